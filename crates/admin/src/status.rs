//! What the probes report, as JSON.

use std::time::{Duration, SystemTime};

use meridian_health_probe::{
    EndpointStatus, Finding, LastOutcome, ProbedStatus, Report, WorstCase, worst_case_failover,
};
use meridian_model::{Forced, GatewayId, Order};
use meridian_store::{KeptChange, KeptOverride};

use crate::{Configuration, wire};

/// `wall`: now, for the times that are shown as such.
pub(crate) fn status(
    report: &Report,
    kept: &[KeptOverride],
    configuration: wire::Configuration,
    wall: SystemTime,
) -> wire::Status {
    wire::Status {
        configuration,
        isolated_for_ms: report.isolated_for.map(ms),
        overrides: overrides(kept, Some(report)),
        gateways: (0..report.catalog.gateways().len())
            .map(|index| gateway(report, GatewayId::from_index(index)))
            .collect(),
        endpoints: report.endpoints.iter().map(|of| endpoint(report, of, wall)).collect(),
    }
}

pub(crate) fn configuration(of: &Configuration) -> wire::Configuration {
    wire::Configuration {
        file: of.file.as_ref().map(|file| file.display().to_string()),
        sha256: of.digest().to_owned(),
        accepted: rfc3339(of.accepted().wall),
        age_ms: ms(of.accepted().clock.elapsed()),
        data_age_ms: ms(of.data_accepted().clock.elapsed()),
        refused: of.refused().map(|refused| wire::Refused {
            at: rfc3339(refused.at.wall),
            ago_ms: ms(refused.at.clock.elapsed()),
            issues: refused.issues.to_string(),
        }),
    }
}

pub(crate) fn overrides(kept: &[KeptOverride], report: Option<&Report>) -> Vec<wire::Override> {
    let addresses = |kept: &KeptOverride| {
        let mut of = report?.overrides.iter();
        of.find(|of| of.said.target == kept.said.target).map(|of| of.addresses)
    };
    kept.iter().map(|kept| wire::Override { addresses: addresses(kept), ..one_override(kept) }).collect()
}

pub(crate) fn one_override(kept: &KeptOverride) -> wire::Override {
    let said = &kept.said;
    let over = match said.forced {
        Forced::Drain { over } => Some(humantime::format_duration(over).to_string()),
        Forced::Up | Forced::Down => None,
    };
    wire::Override {
        target: said.target.to_string(),
        state: said.forced.as_str().to_owned(),
        over,
        reason: said.reason.to_string(),
        by: said.by.to_string(),
        since: rfc3339(kept.since),
        until: kept.until.map(rfc3339),
        addresses: None,
        not_kept: None,
        consequences: None,
    }
}

/// An entry of the audit.
pub(crate) fn audited(of: &KeptChange) -> wire::Change {
    wire::Change {
        number: of.number,
        at: rfc3339(of.at),
        by: of.by.to_string(),
        caller: of.caller.to_string(),
        action: of.action.to_string(),
        target: of.target.to_string(),
        reason: of.reason.to_string(),
        before: of.before.clone(),
        after: of.after.clone(),
        forced: of.forced,
        refused: of.refused.as_ref().map(ToString::to_string),
    }
}

fn gateway(report: &Report, id: GatewayId) -> wire::Gateway {
    wire::Gateway { name: report.catalog.gateway(id).name.to_string(), fail_over: fail_over(report, id) }
}

pub(crate) fn fail_over(report: &Report, id: GatewayId) -> Option<wire::FailOver> {
    worst_case_failover(&report.catalog, id).map(|worst_case| {
        let WorstCase { first, detected, published, clients } = worst_case;
        let ms = |time: Duration| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        wire::FailOver {
            first_outcome_ms: ms(first),
            detected_ms: ms(detected),
            published_ms: ms(published),
            caches_ms: ms(clients),
        }
    })
}

pub(crate) fn endpoint(report: &Report, of: &EndpointStatus, wall: SystemTime) -> wire::Endpoint {
    let gateway = report.catalog.gateway(of.gateway);
    let endpoint = gateway.endpoints.get(of.endpoint);
    let cluster = endpoint.map(|endpoint| report.catalog.cluster(endpoint.cluster).name.to_string());
    let left = of.forced.as_ref().and_then(|(_, order)| match order {
        Order::Drain(left) => Some(f64::from(left.millionths()) / 1e4),
        Order::Up | Order::Down => None,
    });
    wire::Endpoint {
        gateway: gateway.name.to_string(),
        cluster: cluster.unwrap_or_default(),
        address: of.address,
        hostname: endpoint.and_then(|endpoint| endpoint.name.as_ref()).map(|of| of.name.to_string()),
        observed: of.observed.as_str().to_owned(),
        forced: of.forced.as_ref().map(|(_, order)| order.as_str().to_owned()),
        forced_by: of.forced.as_ref().map(|(target, _)| target.to_string()),
        left_percent: left,
        effective: of.effective.as_str().to_owned(),
        frozen: of.is_frozen,
        probe: of.probed.as_ref().map(|probed| probe(probed, wall)),
    }
}

fn probe(of: &ProbedStatus, wall: SystemTime) -> wire::Probe {
    wire::Probe {
        name: of.probe.to_string(),
        held_ms: of.held.map(ms),
        since: of.held.and_then(|held| wall.checked_sub(held)).map(rfc3339),
        in_doubt: of.in_doubt,
        put_off_ms: of.put_off.map(ms),
        cause: of.cause.clone(),
        last: of.last.as_ref().map(last),
    }
}

fn last(of: &LastOutcome) -> wire::Last {
    let result = match of.finding {
        Finding::Good => "good",
        Finding::Degraded(_) => "degraded",
        Finding::Failed(_) => "failed",
        Finding::NoData(_) => "no_data",
    };
    wire::Last {
        result: result.to_owned(),
        reason: of.finding.reason().map(str::to_owned),
        latency_ms: to_the_microsecond(of.latency),
        ago_ms: ms(of.ago),
    }
}

/// Milliseconds: what is finer than a microsecond is noise.
pub(crate) fn to_the_microsecond(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}

pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
