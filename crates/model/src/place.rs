//! Where clients and clusters are.

use std::fmt;

use ipnet::IpNet;
use thiserror::Error;

//----------- Place ----------------------------------------------------------

/// Where a client is, as far as is known. All fields empty: nowhere known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The continent.
    pub continent: Option<Continent>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<CountryCode>,
    /// The part of an ISO 3166-2 code after the hyphen: `CA` of `US-CA`.
    pub subdivision: Option<Box<str>>,
    /// Where distances are measured from.
    pub coordinates: Option<Coordinates>,
    /// The number of the autonomous system that announces the client's network.
    pub asn: Option<u32>,
}

//----------- Network --------------------------------------------------------

/// A network that the operator places; goes before every database, the longest prefix first.
///
/// A country or coordinates replace all that a database says of the location; an ASN alone leaves
/// the location to the databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Host bits are zero.
    pub prefix: IpNet,
    /// What the operator says; what is `None` follows from the country, or from the databases.
    pub place: Place,
}

//----------- Coordinates ----------------------------------------------------

/// A point on earth, kept in millionths of a degree so that equal points are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Coordinates {
    latitude_microdegrees: i32,
    longitude_microdegrees: i32,
}

impl Coordinates {
    /// Takes degrees: latitude from -90 (south) to 90, longitude from -180 (west) to 180.
    ///
    /// # Errors
    /// Names the one that is out of range or not a number.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, CoordinatesError> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(CoordinatesError::Latitude(latitude));
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(CoordinatesError::Longitude(longitude));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 180 million, checked above")]
        let microdegrees = |degrees: f64| (degrees * 1e6).round() as i32;
        Ok(Self {
            latitude_microdegrees: microdegrees(latitude),
            longitude_microdegrees: microdegrees(longitude),
        })
    }

    /// Degrees, north positive.
    #[must_use]
    pub fn latitude(self) -> f64 {
        f64::from(self.latitude_microdegrees) / 1e6
    }

    /// Degrees, east positive.
    #[must_use]
    pub fn longitude(self) -> f64 {
        f64::from(self.longitude_microdegrees) / 1e6
    }

    /// The great-circle distance in kilometres, by the haversine formula on a sphere of the earth's
    /// mean radius (IUGG R1); within 0.6 % of the ellipsoid.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        const EARTH_RADIUS_KM: f64 = 6371.0088;
        let (lat_a, lat_b) = (self.latitude().to_radians(), other.latitude().to_radians());
        let half_lat = (lat_b - lat_a) / 2.0;
        let half_lon = (other.longitude() - self.longitude()).to_radians() / 2.0;
        let h = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
        // Rounding can carry h over 1 for antipodes.
        2.0 * EARTH_RADIUS_KM * h.min(1.0).sqrt().asin()
    }
}

impl fmt::Debug for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.latitude(), self.longitude())
    }
}

/// A latitude or longitude that no place has; the value in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum CoordinatesError {
    /// Not from -90 to 90.
    #[error("latitude {0}")]
    Latitude(f64),
    /// Not from -180 to 180.
    #[error("longitude {0}")]
    Longitude(f64),
}

//----------- CountryCode ----------------------------------------------------

/// An ISO 3166-1 alpha-2 code in upper case; the form is checked here, not the assignment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Parses two letters in either case.
    ///
    /// # Errors
    /// When the text is not two ASCII letters.
    pub fn parse(text: &str) -> Result<Self, CountryCodeError> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(CountryCodeError),
        }
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not two letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not two letters")]
pub struct CountryCodeError;

//----------- Continent ------------------------------------------------------

/// A continent by the two-letter codes that GeoIP databases use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Continent {
    Africa,
    Antarctica,
    Asia,
    Europe,
    NorthAmerica,
    Oceania,
    SouthAmerica,
}

impl Continent {
    /// All of them, by code.
    pub const ALL: [Self; 7] = [
        Self::Africa,
        Self::Antarctica,
        Self::Asia,
        Self::Europe,
        Self::NorthAmerica,
        Self::Oceania,
        Self::SouthAmerica,
    ];

    /// `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Africa => "AF",
            Self::Antarctica => "AN",
            Self::Asia => "AS",
            Self::Europe => "EU",
            Self::NorthAmerica => "NA",
            Self::Oceania => "OC",
            Self::SouthAmerica => "SA",
        }
    }

    /// The continent of a code in upper case.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|continent| continent.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn great_circles() {
        let at = |lat, lon| Coordinates::new(lat, lon).unwrap();
        // Dublin to Tokyo and to Ashburn, by an independent calculator: 9,594 and 5,454 km.
        let dublin = at(53.35, -6.26);
        assert!((dublin.distance_km(at(35.68, 139.77)) - 9594.0).abs() < 15.0);
        assert!((dublin.distance_km(at(39.04, -77.49)) - 5454.0).abs() < 15.0);
        assert!((at(0.0, 0.0).distance_km(at(0.0, 180.0)) - 20015.0).abs() < 1.0);
        assert!(at(10.0, 179.9).distance_km(at(10.0, -179.9)) < 25.0);
        assert!(dublin.distance_km(dublin).abs() < 1e-9);
    }

    #[test]
    fn coordinates_have_a_range() {
        assert_eq!(Coordinates::new(90.1, 0.0), Err(CoordinatesError::Latitude(90.1)));
        assert_eq!(Coordinates::new(0.0, -180.5), Err(CoordinatesError::Longitude(-180.5)));
        assert!(Coordinates::new(f64::NAN, 0.0).is_err());
        assert!(Coordinates::new(-90.0, 180.0).is_ok());
    }

    #[test]
    fn countries_are_two_letters() {
        assert_eq!(CountryCode::parse("ie").unwrap().as_str(), "IE");
        assert!(CountryCode::parse("IRL").is_err());
        assert!(CountryCode::parse("1E").is_err());
    }
}
