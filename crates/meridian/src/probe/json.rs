//! Probes for programs. The keys are fixed; what is added later comes beside them.

use serde_json::{Value, json};

use super::{Report, Row};

/// One array.
pub(super) fn render(report: &Report) -> String {
    let rows: Vec<Value> = report.rows().map(|row| target(report, row)).collect();
    format!("{:#}\n", Value::Array(rows))
}

fn target(report: &Report, row: &Row) -> Value {
    let (user, gateways) = report.used_by(row);
    let is_combined = row.latency_ms.is_none();
    let fields = row.sent.fields.iter();
    json!({
        "gateway": user.map(|user| &*report.catalog.gateway(user.gateway).name),
        "cluster": user.map(|user| &*report.catalog.cluster(user.cluster).name),
        "address": user.map(|user| user.address),
        "gateways": gateways,
        "probe": &*row.probe.name,
        "inverted": row.probe.invert,
        "checked": row.at.ip(),
        "port": (row.at.port() != 0).then_some(row.at.port()),
        "request": (!is_combined).then_some(&row.action),
        "tls_name": row.sent.server_name,
        "headers": fields
            .map(|(name, value)| json!({ "name": name, "value": value, "hidden": value.is_none() }))
            .collect::<Vec<_>>(),
        "timeout_ms": (!is_combined).then(|| milliseconds(row.probe.timeout.as_secs_f64() * 1e3)),
        "result": row.result().replace(' ', "_"),
        "reason": row.reason(),
        "latency_ms": row.latency_ms.map(milliseconds),
        "members": report.members(row).map(member).collect::<Vec<_>>(),
    })
}

fn member(row: &Row) -> Value {
    json!({
        "probe": &*row.probe.name,
        "request": row.latency_ms.map(|_| &row.action),
        "result": row.result().replace(' ', "_"),
        "reason": row.reason(),
        "latency_ms": row.latency_ms.map(milliseconds),
    })
}

/// To the microsecond: what is finer is noise.
fn milliseconds(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}
