//! `[[clusters]]`: the sites that serve.

use meridian_model::{Cluster, ClusterId, Coordinates, CountryCode};

use crate::findings::{Findings, Spotted};
use crate::kinds::{At, List, Sections, Text};
use crate::limits;
use crate::names::{NAME, Names};
use crate::places::{COUNTRY, LATITUDE, LONGITUDE};
use crate::reader::{Many, Table};

const JURISDICTION: Text = Text { what: "the name of a jurisdiction", characters: limits::NAME_CHARACTERS };

/// A cluster as written.
pub(crate) struct ClusterSpec {
    name: Option<Spotted<Box<str>>>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    country: Option<CountryCode>,
    jurisdictions: Vec<Box<str>>,
}

/// Reads `[[clusters]]`.
pub(crate) fn read(root: &mut Table<'_>) -> Many<ClusterSpec> {
    let clusters = Sections { header: "[[clusters]]", min: 0, max: limits::CLUSTERS, read: read_cluster };
    root.many("clusters", &clusters)
}

fn read_cluster(table: &mut Table<'_>) -> ClusterSpec {
    let jurisdictions = List { of: JURISDICTION, what: "jurisdictions", min: 0, max: limits::JURISDICTIONS };
    ClusterSpec {
        name: table.required("name", &At(NAME)),
        latitude: table.required("latitude", &LATITUDE),
        longitude: table.required("longitude", &LONGITUDE),
        country: table.optional("country", &COUNTRY),
        jurisdictions: table.or("jurisdictions", Vec::new(), &jurisdictions),
    }
}

/// All clusters, to be found by name.
pub(crate) struct Clusters {
    /// `None` where an issue says why.
    pub(crate) clusters: Option<Vec<Cluster>>,
    pub(crate) names: Names,
}

impl Clusters {
    /// Builds the clusters and checks that their names differ.
    pub(crate) fn build(specs: Many<ClusterSpec>, findings: &Findings<'_>) -> Self {
        let Many { list, whole } = specs;
        let names = list.iter().map(|spec| spec.name.clone()).collect();
        let names = Names::new("cluster", names, whole, findings);
        Self { clusters: list.into_iter().map(build_cluster).collect(), names }
    }

    /// The cluster that an endpoint names; reports a name that no cluster has.
    pub(crate) fn find(&mut self, name: &Spotted<Box<str>>, findings: &Findings<'_>) -> Option<ClusterId> {
        self.names.find(name, findings).map(ClusterId::from_index)
    }
}

fn build_cluster(spec: ClusterSpec) -> Option<Cluster> {
    let ClusterSpec { name, latitude, longitude, country, jurisdictions: _ } = spec;
    Some(Cluster {
        name: name?.value,
        coordinates: Coordinates::new(latitude?, longitude?).ok()?,
        country,
        jurisdictions: Vec::new(),
    })
}
