//! The database that needs no file.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use meridian_geoip::{Locality, PlaceId};
use meridian_model::{Continent, Place};

use crate::{code, place};

#[test]
fn well_known_addresses_have_their_country() {
    let locality = Locality::load(&[], &[]).unwrap();
    for (address, country, continent) in [
        ("193.0.6.139", "NL", Continent::Europe),       // RIPE NCC, Amsterdam
        ("202.12.29.1", "AU", Continent::Oceania),      // APNIC, Brisbane
        ("200.160.2.3", "BR", Continent::SouthAmerica), // NIC.br, Sao Paulo
        ("133.11.0.1", "JP", Continent::Asia),          // University of Tokyo
        ("18.0.0.1", "US", Continent::NorthAmerica),
        ("2001:67c:2e8::1", "NL", Continent::Europe), // RIPE NCC
        ("2001:dc0::1", "AU", Continent::Oceania),    // APNIC
        ("::ffff:193.0.6.139", "NL", Continent::Europe),
    ] {
        let (place, prefix_len) = place(&locality, address);
        assert_eq!(place.country, Some(code(country)), "{address}");
        assert_eq!(place.continent, Some(continent), "{address}");
        let wanted = meridian_model::country(code(country)).map(|country| country.coordinates);
        assert_eq!(place.coordinates, wanted, "{address}");
        assert!(prefix_len > 0, "{address}");
    }
    for address in ["10.1.2.3", "127.0.0.1", "fe80::1", "::1"] {
        let (place, _) = place(&locality, address);
        assert_eq!(place, Place::default(), "{address}");
    }
}

#[test]
fn places_are_distinct_and_the_first_is_unknown() {
    let locality = Locality::load(&[], &[]).unwrap();
    assert_eq!(locality.places()[PlaceId::UNKNOWN.index()], Place::default());
    let countries: BTreeSet<_> = locality.places().iter().map(|place| place.country).collect();
    assert_eq!(countries.len(), locality.places().len(), "a country database has one place a country");
    assert!(countries.len() > 230, "{} countries", countries.len());
    // What it calls a country is in the table; but one network is in a country that was dissolved in 2010.
    for place in &locality.places()[1..] {
        let is_known = place.coordinates.is_some() && place.continent.is_some();
        assert!(is_known || place.country == Some(code("AN")), "{place:?}");
    }
}

/// The walk of the tree is ours; the lookups of the library that others use must agree with it.
#[test]
fn places_agree_with_lookups_in_the_file() {
    let locality = Locality::load(&[], &[]).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/data/geo-whois-asn-country.mmdb");
    let reader = maxminddb::Reader::open_readfile(file).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut known = 0;
    for _ in 0..20_000 {
        let ipv4 = Ipv4Addr::from_bits(random.u32(..)).into();
        // Near the start of a /32 in 2000::/4, where what is given out is.
        let ipv6 = Ipv6Addr::from_bits((2 << 124 | random.u128(..) >> 4) & !(0xfff0 << 96)).into();
        for address in [ipv4, ipv6] {
            let found: Option<&str> =
                reader.lookup(address).unwrap().decode_path(&maxminddb::path!["country_code"]).unwrap();
            let (id, _) = locality.lookup(address);
            assert_eq!(locality.places()[id.index()].country, found.map(code), "{address}");
            known += usize::from(found.is_some());
        }
    }
    assert!(known > 10_000, "only {known} addresses had a country");
}

#[test]
fn coarse_classes_have_wide_prefixes() {
    let locality = Locality::load(&[], &[]).unwrap();
    let one_class = locality.classify(|_| 7);
    assert_eq!(one_class.lookup("193.0.6.139".parse().unwrap()), (7, 0));
    assert_eq!(one_class.lookup("2001:db8::1".parse().unwrap()), (7, 0));
    assert_eq!(one_class.lookup("::ffff:193.0.6.139".parse().unwrap()), (7, 0));
    assert_eq!(one_class.range_count(), 2);

    let continent_of = |id: PlaceId| locality.places()[id.index()].continent.map_or(0, |c| c as u32 + 1);
    let by_place = locality.classify(|id| u32::try_from(id.index()).unwrap());
    let by_continent = locality.classify(continent_of);
    assert!(by_continent.range_count() < by_place.range_count());
    for address in ["193.0.6.139", "202.12.29.1", "18.0.0.1", "2001:67c:2e8::1"] {
        let address = address.parse().unwrap();
        assert!(by_continent.lookup(address).1 <= by_place.lookup(address).1, "{address}");
    }
}
