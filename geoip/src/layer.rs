//! Places and where they are, as one source knows them; several are laid over each other.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use meridian_model::Place;

use crate::address_map::AddressMap;
use crate::origin::Sourced;

//----------- Layer ----------------------------------------------------------

/// What one source says of every address.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Distinct; the first is the unknown place.
    pub(crate) places: Vec<Sourced>,
    /// Indexes of `places`.
    pub(crate) map: AddressMap,
}

impl Layer {
    pub(crate) fn new(places: Places, map: AddressMap) -> Self {
        Self { places: places.places, map }
    }

    /// This layer with another below it, `merge` saying what comes of the two places of an address:
    /// ours and the one below.
    pub(crate) fn over(&self, below: &Self, merge: impl Fn(&Sourced, &Sourced) -> Sourced) -> Self {
        let mut places = Places::default();
        let mut merged = HashMap::new();
        let unknown = Sourced::default();
        let map = self.map.zip(&below.map, |ours, theirs| {
            *merged.entry((ours, theirs)).or_insert_with(|| {
                let our_place = self.places.get(ours as usize).unwrap_or(&unknown);
                places.id_of(merge(our_place, below.places.get(theirs as usize).unwrap_or(&unknown)))
            })
        });
        Self::new(places, map)
    }

    /// Whether any place has a country or coordinates.
    pub(crate) fn locates(&self) -> bool {
        self.places.iter().any(|sourced| is_located(&sourced.place))
    }

    /// Whether any place has an ASN.
    pub(crate) fn has_asn(&self) -> bool {
        self.places.iter().any(|sourced| sourced.place.asn.is_some())
    }
}

/// Whether a place says where it is: continent, country, subdivision and coordinates go together, so
/// that none is taken from a source that means another place.
pub(crate) fn is_located(place: &Place) -> bool {
    place.country.is_some() || place.coordinates.is_some()
}

/// What comes of the places that two databases give, the first being preferred. A location with a
/// country or coordinates goes before one that has a continent alone.
pub(crate) fn merge_databases(first: &Sourced, second: &Sourced) -> Sourced {
    let asn = if first.place.asn.is_some() { first } else { second };
    let is_first =
        is_located(&first.place) || (first.place.continent.is_some() && !is_located(&second.place));
    let location = if is_first { first } else { second };
    Sourced {
        place: Place { asn: asn.place.asn, ..location.place.clone() },
        location_source: location.location_source,
        asn_source: asn.asn_source,
    }
}

//----------- Places ---------------------------------------------------------

/// Distinct places, numbered; the unknown place is 0.
#[derive(Debug)]
pub(crate) struct Places {
    places: Vec<Sourced>,
    /// Positions in `places`, by the hash of what is there: a map would keep every place twice.
    ids: HashTable<u32>,
    hasher: RandomState,
}

impl Default for Places {
    fn default() -> Self {
        let mut places = Self { places: Vec::new(), ids: HashTable::new(), hasher: RandomState::new() };
        places.id_of(Sourced::default());
        places
    }
}

impl Places {
    /// The number of a place; a new one, if the place is new.
    pub(crate) fn id_of(&mut self, place: Sourced) -> u32 {
        let Self { places, ids, hasher } = self;
        let at = |id: u32| places.get(id as usize);
        let hash_of = |place: Option<&Sourced>| hasher.hash_one(place);
        let entry = ids.entry(hash_of(Some(&place)), |&id| at(id) == Some(&place), |&id| hash_of(at(id)));
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                // A file of 2³⁰ bytes has no room for 2³² places.
                let id = u32::try_from(places.len()).unwrap_or(u32::MAX);
                entry.insert(id);
                places.push(place);
                id
            }
        }
    }
}
