//! What things are called where people read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meridian_config::Geoip;
use meridian_geoip::{Origin, Source};
use meridian_model::{Catalog, ClientMatch, ClusterId, Gateway, GatewayId, Network, Place};

/// The names of a catalog's things.
pub(crate) struct Naming {
    pub(crate) catalog: Arc<Catalog>,
    /// The databases in their order; empty: the embedded one.
    databases: Vec<PathBuf>,
    networks: Vec<Network>,
}

impl Naming {
    pub(crate) fn new(catalog: Arc<Catalog>, geoip: &Geoip) -> Self {
        let databases = geoip.databases.iter().map(|database| database.value.clone()).collect();
        Self { catalog, databases, networks: geoip.networks.clone() }
    }

    pub(crate) fn gateway(&self, id: GatewayId) -> &Gateway {
        self.catalog.gateway(id)
    }

    pub(crate) fn cluster(&self, id: ClusterId) -> &str {
        &self.catalog.cluster(id).name
    }

    /// An endpoint by its cluster and, where that has several, by its first address or hostname too.
    pub(crate) fn endpoint(&self, gateway: &Gateway, index: usize) -> String {
        let Some(endpoint) = gateway.endpoints.get(index) else { return format!("endpoint {index}") };
        let cluster = self.cluster(endpoint.cluster);
        let alone = gateway.endpoints.iter().filter(|other| other.cluster == endpoint.cluster).count() == 1;
        match (alone, &endpoint.name, endpoint.addresses.first()) {
            (true, ..) => cluster.to_owned(),
            (false, Some(name), _) => format!("{cluster} {}", name.name),
            (false, None, Some(first)) => format!("{cluster} {}", first.ip),
            (false, None, None) => cluster.to_owned(),
        }
    }

    pub(crate) fn endpoints(&self, gateway: &Gateway, indices: &[usize]) -> String {
        if indices.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<String> = indices.iter().map(|&index| self.endpoint(gateway, index)).collect();
        names.join(", ")
    }

    pub(crate) fn condition(&self, wanted: &ClientMatch) -> String {
        match wanted {
            ClientMatch::Prefix(id) => self.catalog.prefix(*id).net.to_string(),
            ClientMatch::Asn(asn) => format!("AS{asn}"),
            ClientMatch::Subdivision(country, part) => format!("{country}-{part}"),
            ClientMatch::Country(country) => country.to_string(),
            ClientMatch::Continent(continent) => format!("continent {}", continent.code()),
            ClientMatch::Jurisdiction(id) => self.catalog.jurisdiction(*id).name.to_string(),
        }
    }

    /// Where a place comes from: the source of the location, and of the ASN where that is another.
    pub(crate) fn origin(&self, origin: Origin) -> String {
        let location = self.source(origin.location);
        match (location, self.source(origin.asn)) {
            (None, None) => "no source".to_owned(),
            (Some(one), None) | (None, Some(one)) => one,
            (Some(location), Some(asn)) if location == asn => location,
            (Some(location), Some(asn)) => format!("{location}, ASN by {asn}"),
        }
    }

    fn source(&self, source: Source) -> Option<String> {
        Some(match source {
            Source::Nothing => return None,
            Source::Embedded => "the embedded database".to_owned(),
            Source::Database(index) => match self.databases.get(index) {
                Some(path) => path.file_name().map_or_else(|| path.display().to_string(), file_name),
                None => format!("database {}", index + 1),
            },
            Source::Network(index) => match self.networks.get(index) {
                Some(network) => format!("your network {}", network.prefix),
                None => "one of your networks".to_owned(),
            },
        })
    }
}

fn file_name(name: &std::ffi::OsStr) -> String {
    Path::new(name).display().to_string()
}

/// A place in words: `DE-BE, EU, 52.52 13.41, AS64500`.
pub(crate) fn place(place: &Place) -> String {
    let mut parts = Vec::new();
    match (place.country, &place.subdivision) {
        (Some(country), Some(part)) => parts.push(format!("{country}-{part}")),
        (Some(country), None) => parts.push(country.to_string()),
        _ => {}
    }
    parts.extend(place.continent.map(|continent| format!("continent {}", continent.code())));
    parts.extend(place.coordinates.map(|at| format!("{:.4} {:.4}", at.latitude(), at.longitude())));
    parts.extend(place.asn.map(|asn| format!("AS{asn}")));
    if parts.is_empty() { "nowhere known".to_owned() } else { parts.join(", ") }
}
