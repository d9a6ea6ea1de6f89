//! Places for all addresses.

use std::net::IpAddr;
use std::path::PathBuf;

use meridian_model::{Network, Place};

use crate::address_map::AddressMap;
use crate::database::{self, Database};
use crate::error::{DatabaseError, DatabaseProblem};
use crate::layer::{Layer, merge_databases};
use crate::limits::MOST_DATABASES;
use crate::networks;
use crate::origin::{Origin, PackedSource};

//----------- Locality -------------------------------------------------------

/// Where every address is.
#[derive(Clone, Debug)]
pub struct Locality {
    places: Vec<Place>,
    /// Of the location and of the ASN, as many as `places`.
    sources: Vec<(PackedSource, PackedSource)>,
    pub(crate) map: AddressMap,
    editions: Vec<Edition>,
}

/// A database that places are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Its file; `None`: the embedded one.
    pub path: Option<PathBuf>,
    /// What its metadata call it.
    pub database_type: String,
    /// When it was built, in seconds since 1970.
    pub built_s: u64,
}

/// A place of a [`Locality`], by its position in [`Locality::places`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaceId(u32);

impl PlaceId {
    /// The place of addresses that nothing is known of.
    pub const UNKNOWN: Self = Self(0);

    pub(crate) fn new(id: u32) -> Self {
        Self(id)
    }

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
        let (below, editions) = load_databases(databases)?;
        let all = if networks.is_empty() {
            below
        } else {
            networks::layer(networks).over(&below, networks::merge_network)
        };
        let sources = all.places.iter().map(|place| (place.location_source, place.asn_source)).collect();
        let places = all.places.into_iter().map(|sourced| sourced.place).collect();
        Ok(Self { places, sources, map: all.map, editions })
    }

    /// All places; the first is the unknown place, [`Place::default`]. The same place from other
    /// sources is another one: see [`Locality::origin`].
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The databases, in their order.
    #[must_use]
    pub fn editions(&self) -> &[Edition] {
        &self.editions
    }

    /// The place of an address, and the length of the widest prefix around it that is in this place
    /// throughout. For an IPv6 address that stands for an IPv4 one the length counts from the start of
    /// the IPv6 address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> (PlaceId, u8) {
        let (id, prefix_len) = self.map.lookup(address);
        (PlaceId(id), prefix_len)
    }

    /// Which sources a place is from.
    #[must_use]
    pub fn origin(&self, id: PlaceId) -> Origin {
        let (location, asn) = self.sources.get(id.index()).copied().unwrap_or_default();
        Origin { location: location.unpack(), asn: asn.unpack() }
    }

    /// All IPv4 addresses in order: first and last of a range, and its place. Neighbours differ.
    pub fn ranges_v4(&self) -> impl Iterator<Item = (u32, u32, PlaceId)> {
        self.map.ranges_v4().map(|(first, last, id)| (first, last, PlaceId(id)))
    }

    /// All IPv6 addresses in order but those that stand for IPv4 ones, which have the place of those:
    /// first and last of a range, and its place.
    pub fn ranges_v6(&self) -> impl Iterator<Item = (u128, u128, PlaceId)> {
        self.map.ranges_v6().map(|(first, last, id)| (first, last, PlaceId(id)))
    }

    /// The ids of all places, in order.
    pub(crate) fn place_ids(&self) -> impl Iterator<Item = PlaceId> {
        (0..).take(self.places.len()).map(PlaceId)
    }

    /// How many ranges of addresses there are, in both families together.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.map.range_count()
    }

    /// The bytes of memory that the ranges take; the places are a few more.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.map.size_bytes()
    }
}

fn load_databases(paths: &[PathBuf]) -> Result<(Layer, Vec<Edition>), Vec<DatabaseError>> {
    if paths.is_empty() {
        return database::embedded()
            .map(|database| {
                let edition = edition(None, &database);
                (database.layer, vec![edition])
            })
            .map_err(|problem| vec![DatabaseError { index: 0, path: PathBuf::from("(embedded)"), problem }]);
    }
    let mut errors = Vec::new();
    let mut without_location = Vec::new();
    let (mut layers, mut editions): (Vec<Layer>, Vec<Edition>) = (Vec::new(), Vec::new());
    for (index, path) in paths.iter().enumerate() {
        let error = |problem| DatabaseError { index, path: path.clone(), problem };
        if index >= MOST_DATABASES {
            errors.push(error(DatabaseProblem::TooMany));
            continue;
        }
        match database::load(path, PackedSource::database(index)) {
            Ok(database) => {
                let has_asn = database.layer.has_asn();
                if !database.layer.locates() {
                    without_location.push((has_asn, error(wrong(&database))));
                }
                editions.push(edition(Some(path), &database));
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
    merged.map(|layer| (layer, editions)).ok_or_else(Vec::new)
}

fn edition(path: Option<&PathBuf>, of: &Database) -> Edition {
    Edition { path: path.cloned(), database_type: of.database_type.clone(), built_s: of.built_s }
}

/// What is wrong with a database that has no location.
fn wrong(Database { database_type, fields, layer, .. }: &Database) -> DatabaseProblem {
    let (database_type, fields) = (database_type.clone(), fields.clone());
    if layer.places.len() > 1 {
        DatabaseProblem::WrongType { database_type }
    } else {
        DatabaseProblem::WrongSchema { database_type, fields }
    }
}
