//! The flat schemas, and what is none.

use meridian_geoip::{DatabaseProblem, Locality, Origin, Source};
use meridian_model::{Continent, Place, country};

use crate::databases::{asn, at, city, errors, flat, load, map, text};
use crate::mmdb::{Mmdb, Value};
use crate::{code, place};

/// The place that one record gives.
fn read(name: &str, fields: Vec<(&'static str, Value)>) -> Place {
    let database = Mmdb::new("flat", vec![("192.0.2.0/24", Value::Map(fields))]).write(name);
    place(&load(&[database]), "192.0.2.1").0
}

//----------- ip-location-db -------------------------------------------------

#[test]
fn flat_records_are_read_whatever_their_numbers_are_written_as() {
    for (name, latitude, longitude) in [
        ("flat-float.mmdb", Value::Float(51.4036), Value::Float(-0.7618)),
        ("flat-double.mmdb", Value::Double(51.4036), Value::Double(-0.7618)),
        ("flat-text.mmdb", Value::Text("51.4036"), Value::Text("-0.7618")),
    ] {
        let locality =
            load(&[Mmdb::new("city ipv4", vec![("192.0.2.0/25", flat(latitude, longitude))]).write(name)]);
        let (found, prefix_len) = place(&locality, "192.0.2.1");
        assert_eq!(found.country, Some(code("GB")), "{name}");
        assert_eq!(found.coordinates, at(51.4036, -0.7618), "{name}");
        assert_eq!(found.subdivision, None, "{name}: state1 is a name, not a code");
        assert_eq!(prefix_len, 25, "{name}");
    }
    // Empty texts are unknown.
    let none = Mmdb::new("city ipv4", vec![("192.0.2.0/25", flat(Value::Text(""), Value::Text("")))]);
    let (found, _) = place(&load(&[none.write("flat-empty.mmdb")]), "192.0.2.1");
    assert_eq!(found.coordinates, Some(country(code("GB")).unwrap().coordinates));
}

#[test]
fn unknown_countries_are_kept_without_coordinates() {
    let record = |code| Value::Map(vec![text("country_code", code)]);
    let database = Mmdb::new(
        "country",
        vec![
            ("192.0.2.0/24", record("ZZ")),
            ("198.51.100.0/24", record("")),
            ("203.0.113.0/24", record("-")),
        ],
    );
    let locality = load(&[database.write("unknown-country.mmdb")]);
    assert_eq!(place(&locality, "192.0.2.1").0, Place { country: Some(code("ZZ")), ..Place::default() });
    assert_eq!(place(&locality, "198.51.100.1").0, Place::default());
    assert_eq!(place(&locality, "203.0.113.1").0, Place::default());
}

//----------- IPinfo ---------------------------------------------------------

#[test]
fn ipinfo_records_are_read() {
    let location = read(
        "ipinfo-location.mmdb",
        vec![
            text("city", "Mountain View"),
            text("region", "California"),
            text("region_code", "CA"),
            text("country", "US"),
            text("lat", "37.40599"),
            text("lng", "-122.078514"),
            text("postal_code", "94043"),
            text("timezone", "America/Los_Angeles"),
        ],
    );
    let mountain_view = Place {
        continent: Some(Continent::NorthAmerica),
        country: Some(code("US")),
        subdivision: Some("CA".into()),
        coordinates: at(37.406, -122.0785),
        asn: None,
    };
    assert_eq!(location, mountain_view);

    // The names come with codes: `country` is a name in one product and a code in the other.
    let japan = Place {
        continent: Some(Continent::Asia),
        country: Some(code("JP")),
        coordinates: country(code("JP")).map(|country| country.coordinates),
        subdivision: None,
        asn: Some(2519),
    };
    let country_asn = vec![
        text("country", "JP"),
        text("country_name", "Japan"),
        text("continent", "AS"),
        text("continent_name", "Asia"),
        text("asn", "AS2519"),
        text("as_name", "ARTERIA Networks Corporation"),
    ];
    assert_eq!(read("ipinfo-country-asn.mmdb", country_asn), japan);
    let lite = vec![
        text("country", "Japan"),
        text("country_code", "JP"),
        text("continent", "Asia"),
        text("continent_code", "AS"),
        text("asn", "AS2519"),
    ];
    assert_eq!(read("ipinfo-lite.mmdb", lite), japan);
}

#[test]
fn coordinates_are_found_in_every_spelling() {
    let double = Value::Double;
    for (name, fields) in [
        ("spelled-lat.mmdb", vec![("lat", double(51.5)), ("lng", double(-0.25))]),
        ("spelled-lat-text.mmdb", vec![text("lat", "51.5"), text("lng", " -0.25")]),
        ("spelled-latitude.mmdb", vec![("latitude", double(51.5)), text("longitude", "-0.25")]),
        ("spelled-loc.mmdb", vec![text("loc", "51.5,-0.25")]),
        ("spelled-loc-space.mmdb", vec![text("loc", "51.5, -0.25"), text("lat", "-"), text("lng", "-")]),
    ] {
        let wanted = Place { coordinates: at(51.5, -0.25), ..Place::default() };
        assert_eq!(read(name, fields), wanted, "{name}");
    }
}

#[test]
fn what_only_looks_like_a_code_is_none() {
    let gb = || text("country", "gb");
    for (name, field, subdivision, number) in [
        ("odd-region.mmdb", text("region", "England"), None, None),
        ("odd-region-short.mmdb", text("region", "Var"), None, None),
        ("odd-region-code.mmdb", text("region", "ENG"), Some("ENG"), None),
        ("odd-region-map.mmdb", map("region", vec![text("name", "England")]), None, None),
        ("odd-asn-number.mmdb", ("asn", Value::U32(64500)), None, Some(64500)),
        ("odd-asn-digits.mmdb", text("asn", "64500"), None, Some(64500)),
        ("odd-asn-lower.mmdb", text("asn", "as64500"), None, Some(64500)),
        ("odd-asn-empty.mmdb", text("asn", ""), None, None),
        ("odd-asn-name.mmdb", text("asn", "ASTERISK"), None, None),
        ("odd-asn-map.mmdb", map("asn", vec![("number", Value::U32(1))]), None, None),
        ("odd-loc.mmdb", text("loc", "London, UK"), None, None),
        ("odd-loc-list.mmdb", ("loc", Value::Array(vec![Value::Double(1.0)])), None, None),
        ("odd-continent.mmdb", ("continent", Value::Float(1.0)), None, None),
    ] {
        let found = read(name, vec![gb(), field]);
        assert_eq!(found.country, Some(code("GB")), "{name}");
        assert_eq!(found.continent, Some(Continent::Europe), "{name}");
        assert_eq!((found.subdivision.as_deref(), found.asn), (subdivision, number), "{name}");
    }
}

#[test]
fn a_database_of_another_schema_is_refused_with_its_fields() {
    let privacy =
        Value::Map(vec![text("service", "Example"), ("vpn", Value::U16(1)), ("hosting", Value::U16(0))]);
    let privacy = Mmdb::new("ipinfo privacy", vec![("192.0.2.0/24", privacy)]).write("privacy.mmdb");
    let empty = Mmdb::new("nothing", vec![]).write("no-records.mmdb");
    // Beside one with locations as well.
    let found = errors(&[city().write("beside-privacy.mmdb"), privacy, empty]);
    assert_eq!(found.iter().map(|error| error.index).collect::<Vec<_>>(), [1, 2]);
    let DatabaseProblem::WrongSchema { database_type, fields } = &found[0].problem else {
        panic!("{}", found[0])
    };
    assert_eq!(
        (database_type.as_str(), fields.join(" ")),
        ("ipinfo privacy", "hosting service vpn".to_owned())
    );
    assert!(found[1].problem.to_string().ends_with("there are no fields"), "{}", found[1]);
}

//----------- Side by side ---------------------------------------------------

/// City and ASN in a file for each family, Country for the rest.
#[test]
fn the_first_match_of_each_field_counts() {
    let of = |name: &str, version, networks| {
        let mut database = Mmdb::new("part", networks);
        database.ip_version = version;
        database.write(name)
    };
    let gb = || flat(Value::Float(51.4036), Value::Float(-0.7618));
    let france = || Value::Map(vec![text("country_code", "FR")]);
    let continent = Value::Map(vec![map("continent", vec![text("code", "AS")])]);
    // Coordinates alone are a location: no country of another database goes with them.
    let point = Value::Map(vec![("latitude", Value::Double(1.0)), ("longitude", Value::Double(2.0))]);
    let databases = [
        of(
            "side-city-4.mmdb",
            4,
            vec![("192.0.2.0/24", gb()), ("198.51.100.0/24", continent), ("203.0.113.0/24", point)],
        ),
        of("side-city-6.mmdb", 6, vec![("2001:db8::/33", gb())]),
        of("side-asn-4.mmdb", 4, vec![("192.0.2.128/25", asn(64500)), ("10.0.0.0/8", asn(64501))]),
        of("side-asn-6.mmdb", 6, vec![("2001:db8::/32", asn(64502))]),
        of(
            "side-country.mmdb",
            6,
            vec![
                ("192.0.0.0/8", france()),
                ("198.51.100.0/25", france()),
                ("203.0.0.0/8", france()),
                ("2001:db8::/31", france()),
            ],
        ),
        of("side-late-asn.mmdb", 6, vec![("0.0.0.0/0", asn(64509))]),
    ];
    let locality = Locality::load(&databases, &[]).unwrap();
    let (db, nothing) = (Source::Database, Source::Nothing);
    for (address, country, asn, location_source, asn_source) in [
        ("192.0.2.1", Some("GB"), Some(64509), db(0), db(5)),
        ("192.0.2.200", Some("GB"), Some(64500), db(0), db(2)),
        ("192.0.3.1", Some("FR"), Some(64509), db(4), db(5)),
        ("198.51.100.1", Some("FR"), Some(64509), db(4), db(5)),
        ("203.0.113.1", None, Some(64509), db(0), db(5)),
        ("10.0.0.1", None, Some(64501), nothing, db(2)),
        ("2001:db8::1", Some("GB"), Some(64502), db(1), db(3)),
        ("2001:db8:8000::1", Some("FR"), Some(64502), db(4), db(3)),
        ("2001:db9::1", Some("FR"), None, db(4), nothing),
        ("64:ff9b::192.0.2.200", Some("GB"), Some(64500), db(0), db(2)),
        ("3fff::1", None, None, nothing, nothing),
    ] {
        let (id, _) = locality.lookup(address.parse().unwrap());
        let found = &locality.places()[id.index()];
        assert_eq!((found.country, found.asn), (country.map(code), asn), "{address}");
        assert_eq!(locality.origin(id), Origin { location: location_source, asn: asn_source }, "{address}");
    }
    // Europe is not the continent of a point in the Gulf of Guinea, nor Asia that of France.
    assert_eq!(place(&locality, "203.0.113.1").0.continent, None);
    assert_eq!(place(&locality, "198.51.100.1").0.continent, Some(Continent::Europe));
    let (asia, _) = place(&locality, "198.51.100.200");
    assert_eq!((asia.continent, asia.country), (Some(Continent::Asia), None));
}
