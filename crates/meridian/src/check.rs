//! `meridian check`: the loader, stopped before sockets.

use std::path::Path;

use meridian_model::TargetId;

use crate::exit;
use crate::load::load;

pub(crate) fn run(file: &Path) -> anyhow::Result<u8> {
    match load(file) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning}");
            }
            let catalog = loaded.ground.catalog();
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
