//! `[[clusters]]`: the sites that serve.

use meridian_model::{Cluster, ClusterId, Coordinates, CountryCode, JurisdictionId};

use crate::countries::COUNTRY;
use crate::findings::{Findings, Spotted};
use crate::jurisdictions::{JURISDICTION, Jurisdictions};
use crate::kinds::{At, List, Sections};
use crate::limits;
use crate::names::{NAME, Names};
use crate::places::{LATITUDE, LONGITUDE};
use crate::reader::{Many, Table};

/// A cluster as written.
pub(crate) struct ClusterSpec {
    name: Option<Spotted<Box<str>>>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    country: Option<CountryCode>,
    jurisdictions: Vec<Spotted<Box<str>>>,
}

/// Reads `[[clusters]]`.
pub(crate) fn read(root: &mut Table<'_>) -> Many<ClusterSpec> {
    let clusters = Sections { header: "[[clusters]]", min: 0, max: limits::CLUSTERS, read: read_cluster };
    root.many("clusters", &clusters)
}

fn read_cluster(table: &mut Table<'_>) -> ClusterSpec {
    let jurisdictions =
        List { of: At(JURISDICTION), what: "jurisdictions", min: 0, max: limits::JURISDICTIONS };
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
    sites: Vec<Site>,
    /// Everything that the clusters say of where they are could be read.
    pub(crate) placed: bool,
}

/// Which law a cluster is under.
struct Site {
    country: Option<CountryCode>,
    /// Those that it names itself.
    named: Vec<JurisdictionId>,
}

impl Clusters {
    /// Builds the clusters and checks that their names differ.
    pub(crate) fn build(
        specs: Many<ClusterSpec>,
        jurisdictions: &mut Jurisdictions,
        findings: &Findings<'_>,
    ) -> Self {
        let Many { list, whole } = specs;
        let names = list.iter().map(|spec| spec.name.clone()).collect();
        let names = Names::new("cluster", names, whole, findings);
        let mut placed = whole;
        let mut site = |spec: &ClusterSpec| {
            let found = spec.jurisdictions.iter().map(|name| jurisdictions.find(name, findings));
            let found: Vec<Option<JurisdictionId>> = found.collect();
            placed &= found.iter().all(Option::is_some);
            Site { country: spec.country, named: found.into_iter().flatten().collect() }
        };
        let sites = list.iter().map(&mut site).collect();
        Self { clusters: list.into_iter().map(build_cluster).collect(), names, sites, placed }
    }

    /// The cluster that an endpoint names; reports a name that no cluster has.
    pub(crate) fn find(&mut self, name: &Spotted<Box<str>>, findings: &Findings<'_>) -> Option<ClusterId> {
        self.names.find(name, findings).map(ClusterId::from_index)
    }

    /// All clusters in one of these jurisdictions, ascending.
    pub(crate) fn within(&self, of: &[JurisdictionId], jurisdictions: &Jurisdictions) -> Vec<ClusterId> {
        let is_in = |site: &Site| {
            of.iter().any(|id| {
                let holds = |country| {
                    jurisdictions.get(*id).is_some_and(|one| one.countries.binary_search(country).is_ok())
                };
                site.named.contains(id) || site.country.as_ref().is_some_and(holds)
            })
        };
        let held = self.sites.iter().enumerate().filter(|(_, site)| is_in(site));
        held.map(|(index, _)| ClusterId::from_index(index)).collect()
    }

    /// All clusters, ascending.
    pub(crate) fn everywhere(&self) -> Vec<ClusterId> {
        (0..self.sites.len()).map(ClusterId::from_index).collect()
    }

    /// Gives the clusters their jurisdictions, when all are known that something names; `None` where
    /// an issue says why.
    pub(crate) fn finish(self, jurisdictions: &Jurisdictions) -> Option<Vec<Cluster>> {
        let mut clusters = self.clusters?;
        for (cluster, site) in clusters.iter_mut().zip(self.sites) {
            let Site { country, named } = site;
            cluster.jurisdictions = named;
            cluster.jurisdictions.extend(country.iter().flat_map(|code| jurisdictions.of_country(*code)));
            cluster.jurisdictions.sort_unstable();
            cluster.jurisdictions.dedup();
        }
        Some(clusters)
    }
}

fn build_cluster(spec: ClusterSpec) -> Option<Cluster> {
    let ClusterSpec { name, latitude, longitude, country, jurisdictions: _ } = spec;
    Some(Cluster {
        name: name?.value,
        coordinates: Coordinates::new(latitude?, longitude?).ok()?,
        country,
        // Which there are is known when everything is read.
        jurisdictions: Vec::new(),
    })
}
