//! `[health]`: what holds for all probes.

use std::time::Duration;

use meridian_model::Isolation;
use serde_json::json;

use crate::findings::{Findings, Spotted};
use crate::kinds::{At, Flag, Section, Span, Whole};
use crate::limits;
use crate::reader::Table;
use crate::schema::Given;
use crate::settings::Health;

/// A file that others may write must not run programs as this user.
const ALLOW_EXEC_DEFAULT: bool = false;
/// A server that cannot see the world does not conclude that the world is down.
const ISOLATION_DEFAULT: bool = true;

/// `[health]` as written.
pub(crate) struct HealthSpec {
    pub(crate) health: Health,
    isolation: Option<IsolationSpec>,
}

#[derive(Default)]
struct IsolationSpec {
    min_clusters: Option<Spotted<u16>>,
    window: Option<Duration>,
}

/// Reads `[health]`.
pub(crate) fn read(root: &mut Table<'_>) -> HealthSpec {
    let health = Health { allow_exec: ALLOW_EXEC_DEFAULT };
    let default = HealthSpec { health, isolation: ISOLATION_DEFAULT.then(IsolationSpec::default) };
    root.or("health", default, &Section { header: "[health]", read: read_health })
}

fn read_health(table: &mut Table<'_>) -> HealthSpec {
    let health = Health { allow_exec: table.or("allow_exec", ALLOW_EXEC_DEFAULT, &Flag) };
    let window = Span { min: limits::INTERVAL_MIN, max: limits::INTERVAL_MAX };
    let clusters = u16::try_from(limits::CLUSTERS).unwrap_or(u16::MAX);
    // One cluster that fails is what probes are for.
    let clusters = At(Whole { min: 2, max: clusters, unit: "clusters" });
    table.cases(|| vec![vec![Given::Is("isolation", json!(false))]]);
    if table.or("isolation", ISOLATION_DEFAULT, &Flag) {
        let min_clusters = table.optional("isolation_min", &clusters);
        let window = table.optional("isolation_window", &window);
        return HealthSpec { health, isolation: Some(IsolationSpec { min_clusters, window }) };
    }
    for key in ["isolation_min", "isolation_window"] {
        table.refused(key, &format!("no {key} beside isolation = false"));
    }
    HealthSpec { health, isolation: None }
}

impl HealthSpec {
    /// When the prober suspects itself, with so many clusters.
    pub(crate) fn isolation(&self, clusters: usize, findings: &Findings<'_>) -> Option<Isolation> {
        let IsolationSpec { min_clusters, window } = self.isolation.as_ref()?;
        if let Some(min) = min_clusters.as_ref().filter(|min| usize::from(min.value) > clusters) {
            let expected = format_args!("at most {clusters}, the number of clusters");
            findings.mistake(&min.spot, expected, min.value);
        }
        Some(Isolation { min_clusters: min_clusters.as_ref().map(|min| min.value), window: *window })
    }
}
