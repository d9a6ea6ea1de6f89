//! Codes of countries and of their parts, held against the countries that exist.

use meridian_model::{CountryCode, country};

use crate::forms;
use crate::kinds::Parsed;

/// A country that exists.
pub(crate) const COUNTRY: Parsed<CountryCode> =
    Parsed { what: COUNTRY_WORDS, pattern: forms::COUNTRY, parse: parse_country };

/// What a country is asked for with.
pub(crate) const COUNTRY_WORDS: &str = "a country as two letters (ISO 3166-1), such as \"IE\"";

/// A part of a country: the country and what stands behind the hyphen.
pub(crate) const PART: Parsed<(CountryCode, Box<str>)> = Parsed {
    what: "a part of a country (ISO 3166-2), such as \"US-CA\"",
    pattern: forms::PART,
    parse: parse_part,
};

/// A country or a part of one.
pub(crate) const REGION: Parsed<Region> = Parsed {
    what: "a country (ISO 3166-1), such as \"IE\", or a part of one (ISO 3166-2), such as \"US-CA\"",
    pattern: forms::REGION,
    parse: |text| match text.contains('-') {
        true => parse_part(text).map(|(country, part)| Region::Part(country, part)),
        false => parse_country(text).map(Region::Country),
    },
};

/// A country or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Region {
    Country(CountryCode),
    Part(CountryCode, Box<str>),
}

/// The country of a code in either case, or why there is none; no reason for what is no code.
pub(crate) fn parse_country(text: &str) -> Result<CountryCode, String> {
    let code = CountryCode::parse(text).map_err(|_| String::new())?;
    if country(code).is_some() {
        return Ok(code);
    }
    Err(format!("no country has this code{}", hint(code)))
}

/// The code that is meant by one in use that ISO 3166-1 does not assign.
pub(crate) fn hint(code: CountryCode) -> &'static str {
    match code.as_str() {
        "UK" => "; the United Kingdom has \"GB\"",
        "EL" => "; Greece has \"GR\"",
        _ => "",
    }
}

/// A code such as `US-CA`. Whether the part exists is not known here: there are 5,000, and they change.
pub(crate) fn parse_part(text: &str) -> Result<(CountryCode, Box<str>), String> {
    let (country, part) = text.split_once('-').ok_or_else(String::new)?;
    let plain = (1..=3).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
    if !plain {
        return Err(String::new());
    }
    Ok((parse_country(country)?, part.to_ascii_uppercase().into()))
}
