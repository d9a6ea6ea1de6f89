//! `meridian check`: the loader, stopped before sockets.

use std::path::Path;

use meridian_model::TargetId;

use crate::load::load;
use crate::{exit, probes};

/// `probe`: whether what probes need of this machine is tried too.
pub(crate) fn run(file: &Path, probe: bool) -> anyhow::Result<u8> {
    match load(file) {
        Ok(loaded) => {
            let catalog = loaded.ground.catalog();
            let forbidden =
                if probe { probes::not_here(file, catalog, &loaded.settings.probes) } else { Vec::new() };
            for issue in &forbidden {
                eprintln!("{issue}");
            }
            if !forbidden.is_empty() {
                return Ok(exit::CONFIG);
            }
            for warning in &loaded.warnings {
                eprintln!("{warning}");
            }
            let ids = (0..catalog.targets().len()).map(TargetId::from_index);
            let probed = ids.filter(|&id| catalog.members(id).is_empty()).count();
            println!(
                "{}: ok ({} zones, {} gateways, {} clusters, {} targets to probe)",
                file.display(),
                catalog.zones().len(),
                catalog.gateways().len(),
                catalog.clusters().len(),
                probed,
            );
            Ok(exit::OK)
        }
        Err(issues) => {
            eprintln!("{issues}");
            Ok(exit::CONFIG)
        }
    }
}
