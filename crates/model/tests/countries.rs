//! The table of countries: complete, and as its sources say.

use std::collections::{BTreeMap, BTreeSet};

use meridian_model::{Continent, Coordinates, CountryCode};
use meridian_model::{Country, countries, country};

/// The 249 codes that ISO 3166-1 assigns (April 2026), and `XK`.
const CODES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY \
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK \
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR \
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK \
    ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM \
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF \
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

fn of(code: &str) -> &'static Country {
    let found = CountryCode::parse(code).ok().and_then(country);
    found.unwrap_or_else(|| panic!("{code} is missing"))
}

#[test]
fn every_assigned_code_is_there_once() {
    let wanted: Vec<&str> = CODES.split(' ').collect();
    assert_eq!(wanted.len(), 250);
    let found: Vec<&str> = countries().iter().map(|country| country.code.as_str()).collect();
    assert_eq!(found, wanted);
    let names: BTreeSet<&str> = countries().iter().map(|country| country.name).collect();
    assert_eq!(names.len(), 250, "two countries have one name");
    assert!(
        countries().iter().all(|country| country.name.trim() == country.name && !country.name.is_empty())
    );
}

#[test]
fn unassigned_codes_are_no_country() {
    for code in ["ZZ", "AA", "UK", "EU", "AN"] {
        assert_eq!(country(CountryCode::parse(code).unwrap()), None, "{code}");
    }
}

#[test]
fn continents_are_those_of_geoip_databases() {
    for (continent, codes) in [
        (Continent::Africa, "EG ZA MA RE MU EH SH"),
        (Continent::Antarctica, "AQ BV TF GS"),
        (Continent::Asia, "TR KZ GE AM ID IL JP IO"),
        (Continent::Europe, "RU CY IS XK GB SJ PT"),
        (Continent::NorthAmerica, "US MX PA GL TT CW"),
        (Continent::Oceania, "AU NZ GU PG UM PF"),
        (Continent::SouthAmerica, "BR CO GF FK SR"),
    ] {
        for code in codes.split(' ') {
            assert_eq!(of(code).continent, continent, "{code}");
        }
    }
}

/// Where most people of a large country are, and not its middle.
#[test]
fn points_are_where_people_are() {
    let at = |latitude, longitude| Coordinates::new(latitude, longitude).unwrap();
    for (code, city, within_km) in [
        ("RU", at(55.75, 37.62), 450.0), // Moscow; the country's middle is 3,300 km east
        ("CA", at(45.50, -73.57), 1300.0), // Montreal; the middle is in the tundra
        ("AU", at(-33.87, 151.21), 700.0), // Sydney; the middle is a desert
        ("BR", at(-23.55, -46.63), 600.0), // Sao Paulo; the middle is a rain forest
        ("EG", at(30.05, 31.25), 150.0), // Cairo
        ("US", at(39.0, -92.0), 500.0),  // the census's centre of population is in Missouri
        ("IE", at(53.35, -6.26), 30.0),  // Dublin
        ("SG", at(1.29, 103.85), 30.0),
        ("NZ", at(-36.85, 174.76), 300.0), // Auckland
    ] {
        let distance_km = of(code).coordinates.distance_km(city);
        assert!(distance_km < within_km, "{code}: {distance_km:.0} km from where its people are");
    }
    // Neighbours and antipodes, by an atlas.
    for (a, b, km) in [("FR", "ES", 950.0), ("US", "GB", 6600.0), ("JP", "KR", 1000.0), ("ES", "NZ", 19700.0)]
    {
        let distance_km = of(a).coordinates.distance_km(of(b).coordinates);
        assert!((distance_km - km).abs() < 400.0, "{a} to {b}: {distance_km:.0} km");
    }
}

/// The points are derived, not chosen: the mean of the urban areas on the sphere, by population.
#[test]
fn points_follow_from_the_urban_areas() {
    let mut sums: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    for line in include_str!("../data/urban-areas.csv").lines().skip(1) {
        let fields: Vec<&str> = line.splitn(6, ',').collect();
        let [code, latitude, longitude, population, _source, _name] = fields[..] else { panic!("{line}") };
        let latitude: f64 = latitude.parse().unwrap();
        let longitude: f64 = longitude.parse().unwrap();
        assert!(Coordinates::new(latitude, longitude).is_ok(), "{line}");
        let population: f64 = population.parse().unwrap();
        assert!((1.0..50_000.0).contains(&population), "{line}");
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        let sum = sums.entry(code).or_default();
        sum[0] += population * latitude.cos() * longitude.cos();
        sum[1] += population * latitude.cos() * longitude.sin();
        sum[2] += population * latitude.sin();
    }
    assert_eq!(sums.len(), countries().len());
    for country in countries() {
        let [x, y, z] = sums[country.code.as_str()];
        let mean = Coordinates::new(z.atan2(x.hypot(y)).to_degrees(), y.atan2(x).to_degrees()).unwrap();
        let off_km = mean.distance_km(country.coordinates);
        assert!(
            off_km < 1.0,
            "{}: {mean:?} from the areas, {:?} in the table",
            country.code,
            country.coordinates
        );
    }
}
