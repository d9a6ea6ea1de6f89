//! Which source a place is from.

use meridian_model::Place;

use crate::limits::MOST_DATABASES;

//----------- Origin ---------------------------------------------------------

/// Which sources a place is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// What gave the country, coordinates, subdivision and continent, which go together. A network that
    /// refines a database's location by a continent or subdivision counts as its source.
    pub location: Source,
    /// What gave the ASN.
    pub asn: Source,
}

/// What knows of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Nothing does.
    Nothing,
    /// The embedded database.
    Embedded,
    /// The database at this position in the list that was given.
    Database(usize),
    /// The network at this position in the list that was given.
    Network(usize),
}

//----------- Sourced --------------------------------------------------------

/// A place and its sources, each [`PackedSource::NOTHING`] where there is nothing that it gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sourced {
    pub(crate) place: Place,
    pub(crate) location_source: PackedSource,
    pub(crate) asn_source: PackedSource,
}

impl Sourced {
    /// A place that is all from one source.
    pub(crate) fn new(place: Place, source: PackedSource) -> Self {
        let Place { continent, country, subdivision, coordinates, asn } = &place;
        let has_location =
            continent.is_some() || country.is_some() || subdivision.is_some() || coordinates.is_some();
        Self {
            location_source: if has_location { source } else { PackedSource::NOTHING },
            asn_source: if asn.is_some() { source } else { PackedSource::NOTHING },
            place,
        }
    }
}

/// A [`Source`] in four bytes: there are as many as places, of which a city database has half a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PackedSource(u32);

impl PackedSource {
    pub(crate) const NOTHING: Self = Self(0);
    pub(crate) const EMBEDDED: Self = Self(1);
    const FIRST_DATABASE: u32 = 2;
    #[expect(clippy::cast_possible_truncation, reason = "16")]
    const FIRST_NETWORK: u32 = Self::FIRST_DATABASE + MOST_DATABASES as u32;

    /// The database at this position, below [`MOST_DATABASES`].
    pub(crate) fn database(index: usize) -> Self {
        Self(u32::try_from(index).map_or(0, |index| Self::FIRST_DATABASE + index))
    }

    /// The network at this position.
    pub(crate) fn network(index: u32) -> Self {
        Self(Self::FIRST_NETWORK.saturating_add(index))
    }

    pub(crate) fn unpack(self) -> Source {
        match self.0 {
            0 => Source::Nothing,
            1 => Source::Embedded,
            database @ Self::FIRST_DATABASE..Self::FIRST_NETWORK => {
                Source::Database((database - Self::FIRST_DATABASE) as usize)
            }
            network => Source::Network((network - Self::FIRST_NETWORK) as usize),
        }
    }
}
