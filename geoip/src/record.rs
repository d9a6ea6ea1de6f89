//! The records of GeoIP databases, in the schemas that are in use.
//!
//! MaxMind's (GeoIP2 and GeoLite2 City, Country and ASN; DB-IP's own files follow it) nests:
//! `country.iso_code`, `continent.code`, `subdivisions[].iso_code`, `location.latitude`. That of the
//! npm packages `@ip-location-db/*` is flat: `country_code`, `latitude`, `longitude`. Both have
//! `autonomous_system_number`. Fields that are not named here are skipped undecoded.

use std::borrow::Cow;
use std::fmt;

use meridian_model::{Continent, Coordinates, CoordinatesError, CountryCode, Place, country};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Visitor};

//----------- Record ---------------------------------------------------------

/// A record of any of the schemas, as far as it is about a place.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    country: Option<Coded<'a>>,
    #[serde(borrow)]
    registered_country: Option<Coded<'a>>,
    #[serde(borrow)]
    continent: Option<Coded<'a>>,
    #[serde(borrow)]
    subdivisions: Vec<Coded<'a>>,
    location: Option<Location>,
    #[serde(borrow)]
    country_code: Option<Cow<'a, str>>,
    latitude: Number,
    longitude: Number,
    autonomous_system_number: Number,
}

/// Something with a code. Other databases have plain names in these fields, which say nothing here.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Coded<'a> {
    Map {
        #[serde(borrow, alias = "code")]
        iso_code: Option<Cow<'a, str>>,
    },
    Other(IgnoredAny),
}

/// MaxMind's `location`, without its accuracy and time zone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Number,
    longitude: Number,
}

impl Record<'_> {
    /// The place that the record tells of; what it leaves out follows from the country.
    ///
    /// # Errors
    /// When the coordinates are not on earth: the file is damaged, or of a schema that means
    /// something else by these names.
    pub(crate) fn place(&self) -> Result<Place, CoordinatesError> {
        let code_of = |coded: &Option<Coded<'_>>| country_code(coded.as_ref().and_then(Coded::code));
        let country = code_of(&self.country)
            .or_else(|| code_of(&self.registered_country))
            .or_else(|| country_code(self.country_code.as_deref()));
        let continent = self.continent.as_ref().and_then(Coded::code).and_then(Continent::from_code);
        // Where the country is the one of registration, or unknown, its parts would be another's.
        let subdivision = match self.subdivisions.first().and_then(Coded::code) {
            Some(code) if code_of(&self.country).is_some() && is_subdivision(code) => Some(code.into()),
            _ => None,
        };
        let nested = self.location.as_ref().and_then(|location| location.latitude.pair(&location.longitude));
        let coordinates = match nested.or_else(|| self.latitude.pair(&self.longitude)) {
            Some((latitude, longitude)) => Some(Coordinates::new(latitude, longitude)?),
            None => None,
        };
        let asn = self.autonomous_system_number.as_u32();
        Ok(complete(Place { continent, country, subdivision, coordinates, asn }))
    }
}

/// The place with the continent and the coordinates of its country, where it has none of its own.
pub(crate) fn complete(mut place: Place) -> Place {
    if let Some(country) = place.country.and_then(country) {
        place.continent = place.continent.or(Some(country.continent));
        place.coordinates = place.coordinates.or(Some(country.coordinates));
    }
    place
}

impl Coded<'_> {
    fn code(&self) -> Option<&str> {
        match self {
            Self::Map { iso_code } => iso_code.as_deref(),
            Self::Other(_) => None,
        }
    }
}

/// Empty, and what is no code at all (`-`), is a country that is not known.
fn country_code(text: Option<&str>) -> Option<CountryCode> {
    CountryCode::parse(text?).ok()
}

/// One to three letters or digits (ISO 3166-2 §5.2).
fn is_subdivision(code: &str) -> bool {
    (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

//----------- Number ---------------------------------------------------------

/// A number, in whichever type the writer chose: double, float, integer or text.
#[derive(Clone, Copy, Debug, Default)]
struct Number(Option<f64>);

impl Number {
    /// Latitude and longitude in degrees, if both are there. Rounded to 0.0001° (11 m), as databases
    /// give them, so that the same place is the same whether stored as float or as double.
    fn pair(&self, longitude: &Self) -> Option<(f64, f64)> {
        let rounded = |degrees: f64| (degrees * 1e4).round() / 1e4;
        Some((rounded(self.0?), rounded(longitude.0?)))
    }

    fn as_u32(self) -> Option<u32> {
        let number = self.0.filter(|number| (0.0..=f64::from(u32::MAX)).contains(number))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range, see above")]
        let integer = number as u32;
        Some(integer)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, also as text")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
        Ok(Number(Some(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        #[expect(clippy::cast_precision_loss, reason = "none below 2^53; above is no ASN and no angle")]
        let number = number as f64;
        Ok(Number(Some(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
        #[expect(clippy::cast_precision_loss, reason = "none below 2^53; above is no ASN and no angle")]
        let number = number as f64;
        Ok(Number(Some(number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        match text.trim() {
            "" => Ok(Number(None)),
            digits => digits
                .parse()
                .map(|number| Number(Some(number)))
                .map_err(|_| E::custom(format_args!("expected a number, found {digits:?}"))),
        }
    }
}
