//! `meridian check`: the loader, stopped before sockets.

use std::path::Path;

use crate::exit;
use crate::load::load;

pub(crate) fn run(file: &Path) -> anyhow::Result<u8> {
    match load(file) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning}");
            }
            let catalog = loaded.ground.catalog();
            println!(
                "{}: ok ({} zones, {} gateways, {} clusters, {} targets to probe)",
                file.display(),
                catalog.zones().len(),
                catalog.gateways().len(),
                catalog.clusters().len(),
                catalog.targets().len(),
            );
            Ok(exit::OK)
        }
        Err(issues) => {
            eprintln!("{issues}");
            Ok(exit::CONFIG)
        }
    }
}
