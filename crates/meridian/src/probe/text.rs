//! Probes for people: a paragraph a target, then how many there are of each result.

use std::fmt::Write as _;

use meridian_health_probe::Finding;

use super::{Report, Row};

/// The whole page.
pub(super) fn render(report: &Report) -> String {
    let mut page = Page(String::new());
    for row in report.rows() {
        page.target(report, row);
    }
    let count = |is: fn(&Finding) -> bool| report.rows().filter(|row| is(&row.finding)).count();
    let all = report.rows().count();
    page.text(&format!(
        "{all} target{}: {} good, {} degraded, {} failed, {} no data",
        if all == 1 { "" } else { "s" },
        count(|finding| matches!(finding, Finding::Good)),
        count(|finding| matches!(finding, Finding::Degraded(_))),
        count(|finding| matches!(finding, Finding::Failed(_))),
        count(|finding| matches!(finding, Finding::NoData(_))),
    ));
    page.0
}

struct Page(String);

impl Page {
    fn text(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn line(&mut self, what: &str, text: &str) {
        // A String takes everything.
        let _written = writeln!(self.0, "{what:<10} {text}");
    }

    fn target(&mut self, report: &Report, row: &Row) {
        let (user, gateways) = report.used_by(row);
        let user = user.map_or_else(String::new, |user| user.name(report.catalog));
        let more = if gateways > 1 { format!(", the first of {gateways} gateways") } else { String::new() };
        self.text(&format!("{user}{more}"));
        let inverted = if row.probe.invert { ", inverted: a failure is wanted" } else { "" };
        self.line("probe", &format!("{}{inverted}", row.probe.name));
        let is_combined = row.latency_ms.is_none();
        if !is_combined {
            self.line("request", &row.action);
            if let Some(name) = &row.sent.server_name {
                self.line("TLS for", name);
            }
            for (index, (name, value)) in row.sent.fields.iter().enumerate() {
                let value = value.as_ref().map_or_else(|| "(hidden)".to_owned(), |value| shown(value));
                self.line(if index == 0 { "sends" } else { "" }, &format!("{name}: {value}"));
            }
            self.line("timeout", &format!("{:?}", row.probe.timeout));
        }
        for (index, member) in report.members(row).enumerate() {
            let text = format!("{}: {}: {}", member.probe.name, member.action, outcome(member));
            self.line(if index == 0 { "made of" } else { "" }, &text);
        }
        self.line("result", &outcome(row));
        self.text("");
    }
}

/// `failed: 503, wanted 200-299, after 1.2 ms`
fn outcome(row: &Row) -> String {
    let reason = row.reason().map_or_else(String::new, |reason| format!(": {}", shown(reason)));
    let after = row.latency_ms.map_or_else(String::new, |latency_ms| format!(", after {latency_ms:.1} ms"));
    format!("{}{reason}{after}", row.result())
}

/// As one line, with nothing that would steer a terminal.
fn shown(text: &str) -> String {
    text.replace(char::is_control, " ")
}
