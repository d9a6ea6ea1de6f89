//! Probes that can never run, or not here: found before one of them decides about an address.

use std::path::Path;

use meridian_config::{Issue, Located};
use meridian_health_probe::{Checker, NetworkChecker, permitted};
use meridian_model::{Catalog, Check, Probe};

/// An issue for each probe that can be run nowhere, such as one with a key that is not its certificate's.
pub(crate) fn never(file: &Path, catalog: &Catalog, places: &[Located<()>]) -> Vec<Issue> {
    each(file, catalog, places, "a probe that can be run", |probe| NetworkChecker.ready(probe).map(drop))
}

/// An issue for each probe that the kernel of this machine does not let this process run.
pub(crate) fn not_here(file: &Path, catalog: &Catalog, places: &[Located<()>]) -> Vec<Issue> {
    each(file, catalog, places, "a probe that this process may run here", permitted)
}

fn each(
    file: &Path,
    catalog: &Catalog,
    places: &[Located<()>],
    expected: &str,
    can_run: impl Fn(&Probe) -> Result<(), String>,
) -> Vec<Issue> {
    let probes = catalog.probes().iter().zip(places);
    // One that is made of others is never run itself.
    let probes = probes.filter(|(probe, _)| !matches!(probe.check, Check::Combined(_)));
    let wrong = probes.filter_map(|(probe, place)| Some((place, can_run(probe).err()?)));
    wrong.map(|(place, why)| Issue::mistake(file, place, expected, &why)).collect()
}
