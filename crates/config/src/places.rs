//! The kinds of values that say where something is.

use meridian_model::Continent;

use crate::forms;
use crate::kinds::{Choice, Degrees, Parsed};

/// Degrees of latitude.
pub(crate) const LATITUDE: Degrees = Degrees { most: 90.0, what: "north positive" };
/// Degrees of longitude.
pub(crate) const LONGITUDE: Degrees = Degrees { most: 180.0, what: "east positive" };

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
    pattern: forms::SUBDIVISION,
    parse: |text| {
        let plain = (1..=3).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric());
        if plain { Ok(text.to_ascii_uppercase().into()) } else { Err(String::new()) }
    },
};
