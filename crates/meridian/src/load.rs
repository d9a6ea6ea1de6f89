//! One way from a file to what is served: for `check`, `serve`, reload and the demo.

use std::path::Path;
use std::sync::Arc;

use meridian_config::{Issue, Located, Position, Settings};
use meridian_dns::Ground;
use meridian_geoip::Locality;

/// A configuration that can be served.
pub struct Loaded {
    /// Names and places, ready for verdicts; holds the catalog.
    pub ground: Arc<Ground>,
    /// What is not the catalog's.
    pub settings: Settings,
    /// What the author should know all the same.
    pub warnings: Vec<Issue>,
}

/// Loads a file and the databases that it names.
///
/// # Errors
/// Every issue there is, a line each.
pub fn load(file: &Path) -> Result<Loaded, Vec<String>> {
    finish(file, meridian_config::load(file))
}

/// Loads a text as though it stood in `file`.
///
/// # Errors
/// As [`load`].
pub fn load_text(text: &str, file: &Path) -> Result<Loaded, Vec<String>> {
    finish(file, meridian_config::parse(text, file))
}

fn finish(
    file: &Path,
    loaded: Result<meridian_config::Loaded, meridian_config::Issues>,
) -> Result<Loaded, Vec<String>> {
    let loaded =
        loaded.map_err(|issues| issues.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
    let geoip = &loaded.settings.geoip;
    let paths: Vec<_> = geoip.databases.iter().map(|database| database.value.clone()).collect();
    let locality = Locality::load(&paths, &geoip.networks).map_err(|errors| {
        let line = |error: &meridian_geoip::DatabaseError| match geoip.databases.get(error.index) {
            Some(Located { key, position: Position { line, column }, value }) => {
                let (file, value) = (file.display(), value.display());
                format!("{file}:{line}:{column}: {key}: {value}: {}", error.problem)
            }
            None => error.to_string(),
        };
        errors.iter().map(line).collect::<Vec<_>>()
    })?;
    let ground = Ground::new(Arc::new(loaded.catalog), &locality)
        .map_err(|error| vec![format!("{}: {error}", file.display())])?;
    Ok(Loaded { ground: Arc::new(ground), settings: loaded.settings, warnings: loaded.warnings })
}
