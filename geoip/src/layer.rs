//! Places and where they are, as one source knows them; several are laid over each other.

use std::collections::HashMap;

use meridian_model::Place;

use crate::address_map::AddressMap;

//----------- Layer ----------------------------------------------------------

/// What one source says of every address.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Distinct; the first is the unknown place.
    pub(crate) places: Vec<Place>,
    /// Indexes of `places`.
    pub(crate) map: AddressMap,
}

impl Layer {
    pub(crate) fn new(places: Places, map: AddressMap) -> Self {
        Self { places: places.places, map }
    }

    /// This layer with another below it, `merge` saying what comes of the two places of an address:
    /// ours and the one below.
    pub(crate) fn over(&self, below: &Self, merge: impl Fn(&Place, &Place) -> Place) -> Self {
        let mut places = Places::default();
        let mut merged = HashMap::new();
        let map = self.map.zip(&below.map, |ours, theirs| {
            *merged.entry((ours, theirs)).or_insert_with(|| {
                let place_of =
                    |places: &[Place], id: u32| places.get(id as usize).cloned().unwrap_or_default();
                places.id_of(merge(&place_of(&self.places, ours), &place_of(&below.places, theirs)))
            })
        });
        Self::new(places, map)
    }

    /// Whether any place has a country or coordinates.
    pub(crate) fn locates(&self) -> bool {
        self.places.iter().any(is_located)
    }

    /// Whether any place has an ASN.
    pub(crate) fn has_asn(&self) -> bool {
        self.places.iter().any(|place| place.asn.is_some())
    }
}

/// Whether a place says where it is: country, subdivision and coordinates go together, so that none
/// is taken from a source that means another place.
pub(crate) fn is_located(place: &Place) -> bool {
    place.country.is_some() || place.coordinates.is_some()
}

/// What comes of the places that two databases give, the first being preferred.
pub(crate) fn merge_databases(first: &Place, second: &Place) -> Place {
    let asn = first.asn.or(second.asn);
    if is_located(first) || !is_located(second) {
        Place { asn, continent: first.continent.or(second.continent), ..first.clone() }
    } else {
        Place { asn, ..second.clone() }
    }
}

//----------- Places ---------------------------------------------------------

/// Distinct places, numbered; the unknown place is 0.
#[derive(Debug)]
pub(crate) struct Places {
    places: Vec<Place>,
    ids: HashMap<Place, u32>,
}

impl Default for Places {
    fn default() -> Self {
        Self { places: vec![Place::default()], ids: HashMap::from([(Place::default(), 0)]) }
    }
}

impl Places {
    /// The number of a place; a new one, if the place is new.
    pub(crate) fn id_of(&mut self, place: Place) -> u32 {
        if let Some(&id) = self.ids.get(&place) {
            return id;
        }
        // A file of 2³⁰ bytes has no room for 2³² places.
        let id = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(place.clone());
        self.ids.insert(place, id);
        id
    }
}
