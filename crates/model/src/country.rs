//! The countries of the world, each with the point that stands for its people.

use std::sync::LazyLock;

use crate::{Continent, Coordinates, CountryCode};

/// Every officially assigned code of ISO 3166-1, and `XK` (Kosovo), a code that it leaves to users.
///
/// `data/README.md` says where each column is from.
const TABLE: &str = include_str!("../data/countries.csv");

/// A country or territory.
#[derive(Clone, Debug, PartialEq)]
pub struct Country {
    /// ISO 3166-1 alpha-2.
    pub code: CountryCode,
    /// A short English name.
    pub name: &'static str,
    /// As GeoIP databases assign it: Russia and Cyprus to Europe, Turkey to Asia.
    pub continent: Continent,
    /// Where its people are, on average: the mean of its largest urban areas, weighted by population.
    pub coordinates: Coordinates,
}

/// The member states of the European Union (Treaty on European Union, as of 2026).
///
/// Territories with a code of their own (ISO 3166-1) are not named: whether Union law on personal
/// data holds in them differs, and who serves them says so in a jurisdiction of their own.
pub const EU: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT",
    "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The European Economic Area: the Union with Iceland, Liechtenstein and Norway.
pub const EEA: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
    "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The country of a code; `None` for a code that is not assigned.
#[must_use]
pub fn country(code: CountryCode) -> Option<&'static Country> {
    let countries = countries();
    let index = countries.binary_search_by_key(&code, |country| country.code).ok()?;
    countries.get(index)
}

/// All countries, by code.
#[must_use]
pub fn countries() -> &'static [Country] {
    static COUNTRIES: LazyLock<Vec<Country>> = LazyLock::new(|| {
        // A line that does not parse would be missing from the table; the tests count them.
        let mut countries: Vec<Country> = TABLE.lines().skip(1).filter_map(parse_line).collect();
        countries.sort_by_key(|country| country.code);
        countries
    });
    &COUNTRIES
}

/// `code,continent,latitude,longitude,name`; the name is last and may hold commas.
fn parse_line(line: &'static str) -> Option<Country> {
    let mut fields = line.splitn(5, ',');
    let code = CountryCode::parse(fields.next()?).ok()?;
    let continent = Continent::from_code(fields.next()?)?;
    let latitude = fields.next()?.parse().ok()?;
    let longitude = fields.next()?.parse().ok()?;
    let coordinates = Coordinates::new(latitude, longitude).ok()?;
    Some(Country { code, name: fields.next()?, continent, coordinates })
}
