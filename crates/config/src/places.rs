//! The kinds of values that say where something is.

use meridian_model::{Continent, CountryCode, country};

use crate::kinds::{Choice, Degrees, Parsed};

/// Degrees of latitude.
pub(crate) const LATITUDE: Degrees = Degrees { most: 90.0, what: "north positive" };
/// Degrees of longitude.
pub(crate) const LONGITUDE: Degrees = Degrees { most: 180.0, what: "east positive" };

/// A country.
pub(crate) const COUNTRY: Parsed<CountryCode> =
    Parsed { what: "a country as two letters (ISO 3166-1), such as \"IE\"", parse: parse_country };

/// The country of a code in either case, or why there is none; no reason for what is no code.
fn parse_country(text: &str) -> Result<CountryCode, String> {
    let code = CountryCode::parse(text).map_err(|_| String::new())?;
    let hint = match code.as_str() {
        _ if country(code).is_some() => return Ok(code),
        "UK" => "; the United Kingdom has \"GB\"",
        "EL" => "; Greece has \"GR\"",
        _ => "",
    };
    Err(format!("no country has this code{hint}"))
}

/// A continent.
pub(crate) const CONTINENT: Choice<Continent> = Choice(&[
    ("AF", Continent::Africa),
    ("AN", Continent::Antarctica),
    ("AS", Continent::Asia),
    ("EU", Continent::Europe),
    ("NA", Continent::NorthAmerica),
    ("OC", Continent::Oceania),
    ("SA", Continent::SouthAmerica),
]);

/// A part of a country.
pub(crate) const SUBDIVISION: Parsed<Box<str>> = Parsed {
    what: "the part of an ISO 3166-2 code after the hyphen, such as \"CA\"",
    parse: |text| {
        let plain = (1..=3).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric());
        if plain { Ok(text.to_ascii_uppercase().into()) } else { Err(String::new()) }
    },
};
