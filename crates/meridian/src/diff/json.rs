//! The comparison for programs. The keys are fixed; what is added later comes beside them.

use serde_json::{Value, json};

use super::Report;
use super::tally::{Tally, percent};

/// One object. All shares are percent. Hostnames that move alike share one entry: thousands may.
pub(super) fn render(report: &Report<'_>, max_moved: Option<f64>, is_over: bool) -> String {
    let by_query = report.queries.is_some();
    let changes = report.alike().into_iter().map(|(tally, hostnames)| {
        let mut value = json!({
            "hostnames": hostnames,
            "moved_percent": measures(by_query, tally.percent()),
            "countries": countries(by_query, tally),
        });
        if by_query {
            value["queries"] = json!(tally.all[0]);
        }
        value
    });
    let changes: Vec<Value> = changes.collect();
    let mut value = json!({
        "weighed_by": if by_query { "queries" } else { "address_space" },
        "changes": changes,
        "total": { "moved_percent": measures(by_query, report.total) },
        "max_moved_percent": max_moved,
        "over_max_moved": is_over,
    });
    match report.queries {
        None => {
            value["added"] = json!(report.added);
            value["removed"] = json!(report.removed);
        }
        Some(rest) => {
            value["total"]["queries"] = json!(report.rows.iter().map(|row| row.tally.all[0]).sum::<f64>());
            value["not_counted"] = json!({
                "added": rest.added, "removed": rest.removed, "not_steered": rest.not_steered,
            });
        }
    }
    format!("{value:#}\n")
}

/// The countries of which some clients move, most clients first.
fn countries(by_query: bool, tally: &Tally<'_>) -> Vec<Value> {
    let country = |(country, clients): (Option<meridian_model::CountryCode>, &super::tally::Country<'_>)| {
        let flows = tally.flows(clients).into_iter().map(|((from, to), part)| {
            let percent = measures(by_query, percent(part, clients.all));
            json!({ "from": from, "to": to, "percent": percent })
        });
        json!({
            "country": country.map(|country| country.to_string()),
            "moved_percent": measures(by_query, percent(clients.moved, clients.all)),
            "flows": flows.collect::<Vec<_>>(),
        })
    };
    tally.most_moved().into_iter().map(country).collect()
}

/// One number of queries; of address space one a family.
fn measures(by_query: bool, [first, second]: [Option<f64>; 2]) -> Value {
    if by_query { json!(first) } else { json!({ "ipv4": first, "ipv6": second }) }
}
