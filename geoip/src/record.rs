//! The records of GeoIP databases, in the schemas that are in use.
//!
//! MaxMind's (GeoIP2 and GeoLite2 City, Country and ASN; DB-IP's own files follow it) nests:
//! `country.iso_code`, `continent.code`, `subdivisions[].iso_code`, `location.latitude`. That of the
//! npm packages `@ip-location-db/*` is flat: `country_code`, `latitude`, `longitude`. Both have
//! `autonomous_system_number`. `IPinfo`'s are flat and mostly text: `country` or `country_code`,
//! `continent` or `continent_code`, `lat` and `lng` or `loc`, `asn` as `AS64500`. Fields that are not
//! named here are skipped undecoded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use meridian_model::{Continent, Coordinates, CoordinatesError, CountryCode, Place, country};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::limits::MOST_FIELDS_NAMED;

//----------- Record ---------------------------------------------------------

/// A record of any of the schemas, as far as it is about a place.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    country: Code<'a>,
    #[serde(borrow)]
    registered_country: Code<'a>,
    #[serde(borrow)]
    continent: Code<'a>,
    #[serde(borrow)]
    subdivisions: Vec<Code<'a>>,
    location: Location,
    #[serde(borrow)]
    country_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    continent_code: Code<'a>,
    #[serde(borrow)]
    region_code: Code<'a>,
    #[serde(borrow)]
    region: Code<'a>,
    latitude: Number,
    longitude: Number,
    lat: Number,
    lng: Number,
    #[serde(borrow)]
    loc: Code<'a>,
    autonomous_system_number: Number,
    #[serde(borrow)]
    asn: Code<'a>,
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
        let country = self.country.country();
        let subdivision = match self.subdivision() {
            // Where the country is the one of registration, or unknown, its parts would be another's.
            Some(code) if country.or_else(|| self.flat_country()).is_some() => Some(code.into()),
            _ => None,
        };
        let coordinates = match self.degrees() {
            Some((latitude, longitude)) => Some(Coordinates::new(latitude, longitude)?),
            None => None,
        };
        let continent = [&self.continent, &self.continent_code].into_iter().find_map(Code::continent);
        Ok(complete(Place {
            continent,
            country: country.or_else(|| self.registered_country.country()).or_else(|| self.flat_country()),
            subdivision,
            coordinates,
            asn: self.autonomous_system_number.as_u32().or_else(|| self.asn.asn()),
        }))
    }

    fn flat_country(&self) -> Option<CountryCode> {
        country_code(self.country_code.as_deref()?)
    }

    fn subdivision(&self) -> Option<&str> {
        let nested = self.subdivisions.first().and_then(|code| code.0.as_deref()).filter(|code| {
            // One to three letters or digits (ISO 3166-2 §5.2).
            (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        // `region` is a name in most files; only what cannot be one is taken for a code.
        let is_code = |code: &&str| {
            (1..=3).contains(&code.len())
                && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        let flat =
            || [&self.region_code, &self.region].into_iter().find_map(|code| code.text().filter(is_code));
        nested.or_else(flat)
    }

    /// Latitude and longitude.
    fn degrees(&self) -> Option<(f64, f64)> {
        let nested = self.location.latitude.pair(self.location.longitude);
        let flat = || self.latitude.pair(self.longitude).or_else(|| self.lat.pair(self.lng));
        nested.or_else(flat).or_else(|| {
            let (latitude, longitude) = self.loc.text()?.split_once(',')?;
            Number(latitude.trim().parse().ok()).pair(Number(longitude.trim().parse().ok()))
        })
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

/// Empty, and what is no code at all (`-`, a name), is a country that is not known.
fn country_code(text: &str) -> Option<CountryCode> {
    CountryCode::parse(text).ok()
}

//----------- Fields ---------------------------------------------------------

/// The names of a record's fields, for who gave a database of another schema.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fields<'a>(#[serde(borrow)] BTreeMap<&'a str, IgnoredAny>);

impl Fields<'_> {
    /// In the order of the alphabet; what no reader of a message would go through is left out.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().take(MOST_FIELDS_NAMED).map(|name| (*name).to_owned()).collect()
    }
}

//----------- Code -----------------------------------------------------------

/// A code: a map that has it in `iso_code` or `code`, or plain text. Where other databases have
/// something else by the same name, or a plain name instead of a code, there is none.
#[derive(Debug, Default)]
struct Code<'a>(Option<Cow<'a, str>>);

impl Code<'_> {
    fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    fn country(&self) -> Option<CountryCode> {
        country_code(self.text()?)
    }

    fn continent(&self) -> Option<Continent> {
        Continent::from_code(self.text()?)
    }

    /// Digits, with or without `AS` before them.
    fn asn(&self) -> Option<u32> {
        let text = self.text()?.trim();
        let digits = match text.split_at_checked(2) {
            Some((prefix, digits)) if prefix.eq_ignore_ascii_case("AS") => digits,
            _ => text,
        };
        digits.parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Code<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CodeVisitor)
    }
}

struct CodeVisitor;

impl<'de> Visitor<'de> for CodeVisitor {
    type Value = Code<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Code<'de>, E> {
        Ok(Code(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Code<'de>, E> {
        Ok(Code(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Code<'de>, A::Error> {
        let mut code = Code(None);
        while let Some(key) = map.next_key::<&'de str>()? {
            if matches!(key, "iso_code" | "code") {
                let found: Code<'de> = map.next_value()?;
                code.0 = code.0.or(found.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(code)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Code<'de>, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Code(None))
    }

    // A number stands for nothing but an ASN.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Code<'de>, E> {
        Ok(Code(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Code<'de>, E> {
        Ok(Code(None))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Code<'de>, E> {
        Ok(Code(None))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Code<'de>, E> {
        Ok(Code(None))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Code<'de>, E> {
        Ok(Code(None))
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Code<'de>, E> {
        Ok(Code(None))
    }
}

//----------- Number ---------------------------------------------------------

/// A number, in whichever type the writer chose: double, float, integer or text.
#[derive(Clone, Copy, Debug, Default)]
struct Number(Option<f64>);

impl Number {
    /// Latitude and longitude in degrees, if both are there. Rounded to 0.0001° (11 m), as databases
    /// give them, so that the same place is the same whether stored as float or as double.
    fn pair(self, longitude: Self) -> Option<(f64, f64)> {
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
            "" | "-" => Ok(Number(None)),
            digits => digits
                .parse()
                .map(|number| Number(Some(number)))
                .map_err(|_| E::custom(format_args!("expected a number, found {digits:?}"))),
        }
    }
}
