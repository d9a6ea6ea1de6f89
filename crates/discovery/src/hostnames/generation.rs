//! A catalog as the engine sees it: which names it has, and how long each may be stale.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meridian_model::{Catalog, DomainName, EndpointName};

/// A catalog with the names of its endpoints.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) base: Arc<Catalog>,
    /// Each distinct name with the `stale_for` of the endpoints that use it, ascending, each once.
    pub(crate) names: BTreeMap<DomainName, Vec<Duration>>,
}

impl Generation {
    pub(crate) fn new(base: Arc<Catalog>) -> Self {
        let mut names: BTreeMap<DomainName, Vec<Duration>> = BTreeMap::new();
        for name in endpoint_names(&base) {
            names.entry(name.name.clone()).or_default().push(name.stale_for);
        }
        for stale_fors in names.values_mut() {
            stale_fors.sort_unstable();
            stale_fors.dedup();
        }
        Self { base, names }
    }
}

/// The names of all endpoints that have one, in the order of [`Catalog::with_names`].
pub(crate) fn endpoint_names(catalog: &Catalog) -> impl Iterator<Item = &EndpointName> {
    let endpoints = catalog.gateways().iter().flat_map(|gateway| &gateway.endpoints);
    endpoints.filter_map(|endpoint| endpoint.name.as_ref())
}

/// The first endpoint with a name, as log lines name it: gateway, cluster, and how many others there are.
pub(crate) fn endpoint_with(catalog: &Catalog, name: &DomainName) -> Option<String> {
    let all =
        catalog.gateways().iter().flat_map(|gateway| gateway.endpoints.iter().map(move |e| (gateway, e)));
    let mut with = all.filter(|(_, endpoint)| endpoint.name.as_ref().is_some_and(|own| own.name == *name));
    let (gateway, endpoint) = with.next()?;
    let first = format!("{}/{}", gateway.name, catalog.cluster(endpoint.cluster).name);
    Some(match with.count() {
        0 => first,
        others => format!("{first} and {others} more"),
    })
}
