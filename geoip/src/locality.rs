//! Places for all addresses, and classes of places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use meridian_model::{Network, Place};

use crate::address_map::AddressMap;
use crate::database;
use crate::error::{DatabaseError, DatabaseProblem};
use crate::layer::{Layer, merge_databases};
use crate::limits::MOST_DATABASES;
use crate::marks::{Marks, position};
use crate::networks;

//----------- Locality -------------------------------------------------------

/// Where every address is.
#[derive(Clone, Debug)]
pub struct Locality {
    places: Vec<Place>,
    map: AddressMap,
}

/// A place of a [`Locality`], by its position in [`Locality::places`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaceId(u32);

impl PlaceId {
    /// The place of addresses that nothing is known of.
    pub const UNKNOWN: Self = Self(0);

    /// The index in [`Locality::places`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Locality {
    /// Compiles the databases, or the embedded one if there are none, with the operator's networks
    /// before them.
    ///
    /// Of several databases, the first that knows the country or coordinates of an address gives all
    /// that belongs to its location; likewise for the ASN. Of several networks the longest prefix
    /// holds, and of equal ones the last; [`Network`] says what it replaces.
    ///
    /// Files are read whole and closed again. For large databases this takes seconds and a few times
    /// their size in memory.
    ///
    /// # Errors
    /// All databases that cannot be used, each with the reason.
    pub fn load(databases: &[PathBuf], networks: &[Network]) -> Result<Self, Vec<DatabaseError>> {
        let below = load_databases(databases)?;
        let all = if networks.is_empty() {
            below
        } else {
            networks::layer(networks).over(&below, networks::merge_network)
        };
        Ok(Self { places: all.places, map: all.map })
    }

    /// All places, each once. The first is the unknown place, [`Place::default`].
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The place of an address, and the length of the widest prefix around it that is in this place
    /// throughout. For an IPv4-mapped address the length counts from the start of the IPv6 address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> (PlaceId, u8) {
        let (id, prefix_len) = self.map.lookup(address);
        (PlaceId(id), prefix_len)
    }

    /// Puts every address into the class of its place. Asks once for every place, in order.
    pub fn classify(&self, class_of_place: impl FnMut(PlaceId) -> u32) -> ClassMap {
        let ids = (0..).take(self.places.len()).map(PlaceId);
        let classes: Vec<u32> = ids.map(class_of_place).collect();
        ClassMap { map: self.map.map(|id| classes.get(id as usize).copied().unwrap_or_default()) }
    }

    /// Where some prefixes are, none given twice.
    #[must_use]
    pub fn marks(&self, prefixes: &[IpNet]) -> Marks {
        Marks::new(prefixes)
    }

    /// As [`Locality::classify`], by place and by the longest marked prefix around the address. Asks
    /// once for every pair that occurs.
    pub fn classify_marked(
        &self,
        marks: &Marks,
        mut class_of: impl FnMut(PlaceId, Option<usize>) -> u32,
    ) -> ClassMap {
        let mut known = HashMap::new();
        let map = self.map.zip(&marks.map, |place, mark| {
            *known.entry((place, mark)).or_insert_with(|| class_of(PlaceId(place), position(mark)))
        });
        ClassMap { map }
    }

    /// How many ranges of addresses there are, in both families together.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.map.range_count()
    }

    /// The ranges of IPv4 in order: first and last address, and the place.
    pub fn ipv4_ranges(&self) -> impl Iterator<Item = (u32, u32, PlaceId)> {
        self.map.ipv4_ranges().map(|(first, last, place)| (first, last, PlaceId(place)))
    }

    /// The ranges of IPv6 in order. Addresses that hold an IPv4 address are where that is, whatever
    /// these ranges say of them.
    pub fn ipv6_ranges(&self) -> impl Iterator<Item = (u128, u128, PlaceId)> {
        self.map.ipv6_ranges().map(|(first, last, place)| (first, last, PlaceId(place)))
    }

    /// The bytes of memory that the ranges take; the places are a few more.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.map.size_bytes()
    }
}

fn load_databases(paths: &[PathBuf]) -> Result<Layer, Vec<DatabaseError>> {
    if paths.is_empty() {
        return database::embedded()
            .map(|database| database.layer)
            .map_err(|problem| vec![DatabaseError { index: 0, path: PathBuf::from("(embedded)"), problem }]);
    }
    let mut errors = Vec::new();
    let mut without_location = Vec::new();
    let mut layers: Vec<Layer> = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let error = |problem| DatabaseError { index, path: path.clone(), problem };
        if index >= MOST_DATABASES {
            errors.push(error(DatabaseProblem::TooMany));
            continue;
        }
        match database::load(path) {
            Ok(database) => {
                if !database.layer.locates() {
                    let wrong = DatabaseProblem::WrongType { database_type: database.database_type };
                    without_location.push((database.layer.has_asn(), error(wrong)));
                }
                layers.push(database.layer);
            }
            Err(problem) => errors.push(error(problem)),
        }
    }
    // An ASN database is of use only beside one with locations. Where another could not be read,
    // that one may have had them.
    let located = !errors.is_empty() || without_location.len() < layers.len();
    errors.extend(without_location.into_iter().filter(|(asn, _)| !(*asn && located)).map(|(_, error)| error));
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.index);
        return Err(errors);
    }
    let merged = layers.into_iter().reduce(|first, second| first.over(&second, merge_databases));
    // Not reached: there is a path, and every path has made a layer or an error.
    merged.ok_or_else(Vec::new)
}

//----------- ClassMap -------------------------------------------------------

/// A class for every address: what remains of places when only some differences matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    map: AddressMap,
}

impl ClassMap {
    /// The class of an address, and the length of the widest prefix around it that has this class
    /// throughout: 0 where a whole address family has one class. For an IPv4-mapped address the
    /// length counts from the start of the IPv6 address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> (u32, u8) {
        self.map.lookup(address)
    }

    /// The map of coarser classes: those that `class_of` gives the same number become one. It may
    /// be asked for the same class several times, and must answer the same.
    #[must_use]
    pub fn merge(&self, class_of: impl FnMut(u32) -> u32) -> Self {
        Self { map: self.map.map(class_of) }
    }

    /// How many ranges of addresses there are, in both families together; neighbours differ.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.map.range_count()
    }

    /// The bytes of memory that the map takes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.map.size_bytes()
    }
}
