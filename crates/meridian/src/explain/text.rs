//! An explanation for people: one line a stage, in the order of the stages.

use std::fmt::Write as _;

use hickory_proto::rr::RecordType;
use meridian_dns::{Asked, Choice, Explanation, Located, Steering};
use meridian_health_probe::{WorstCase, worst_case_failover};
use meridian_model::{Gateway, Policy};
use meridian_steering::{Basis, Doubt, Family, Note, Permit};

use super::names::{Naming, place};
use super::record::Answered;
use crate::page::{at_most, whole_ms};

/// The whole explanation.
pub(crate) fn render(
    asked: &Asked,
    explanation: &Explanation,
    answered: &Answered,
    naming: &Naming,
) -> String {
    let mut page = Page(Vec::new());
    let question_type = RecordType::from(asked.question_type);
    let through = asked.resolver.map_or_else(String::new, |resolver| format!(" through {resolver}"));
    page.text(&format!("{} {question_type} for {}{through}", asked.name, asked.client));
    page.text("");
    match explanation {
        Explanation::Steered(steering) => page.steering(steering, naming),
        other => page.line("name", matter(other)),
    }
    page.answer(answered);
    if let Explanation::Steered(steering) = explanation {
        page.fail_over(steering, naming);
    }
    page.written()
}

/// What each stage came to, by its name, in their order.
pub(crate) fn stages(explanation: &Explanation, naming: &Naming) -> Vec<(&'static str, String)> {
    let mut page = Page(Vec::new());
    match explanation {
        Explanation::Steered(steering) => page.steering(steering, naming),
        other => page.line("name", matter(other)),
    }
    let mut stage = "family";
    let named = page.0.into_iter().map(|(what, text)| {
        // A line without a name belongs to the one above it; what is no line of a stage says which family follows.
        stage = what.map_or("family", |what| if what.is_empty() { stage } else { what });
        (stage, text)
    });
    named.collect()
}

fn matter(explanation: &Explanation) -> &'static str {
    match explanation {
        Explanation::NotOurs => "in none of our zones",
        Explanation::NoName => "does not exist",
        Explanation::NoData => "exists, without this type",
        Explanation::Static => "a record that is the same for all",
        Explanation::Alias => "a CNAME that is the same for all",
        Explanation::Delegated => "delegated away",
        Explanation::AnyType => "asked for all types, which has an answer of its own (RFC 8482)",
        Explanation::Steered(_) => "depends on who asks",
    }
}

/// Lines: of a stage, by its name, or others.
struct Page(Vec<(Option<&'static str>, String)>);

impl Page {
    fn written(self) -> String {
        let line = |(what, text): (Option<&str>, String)| match what {
            Some(what) => format!("{what:<10} {text}\n"),
            None => text + "\n",
        };
        self.0.into_iter().map(line).collect()
    }

    fn text(&mut self, text: &str) {
        self.0.push((None, text.to_owned()));
    }

    fn line(&mut self, what: &'static str, text: &str) {
        self.0.push((Some(what), text.to_owned()));
    }

    fn steering(&mut self, steering: &Steering, naming: &Naming) {
        let gateway = naming.gateway(steering.gateway);
        for alias in &steering.aliases {
            self.line("alias", &format!("of {alias}"));
        }
        let site = steering.site.map(|site| format!(", the test name of {}", naming.cluster(site)));
        self.line("gateway", &format!("{}{}", gateway.name, site.unwrap_or_default()));
        self.located("client", &steering.client, naming);
        if let Some(resolver) = &steering.resolver {
            self.located("resolver", resolver, naming);
        }
        self.residency(steering, gateway, naming);
        if steering.site.is_none() {
            self.ranking(&steering.ranking, gateway, naming);
        }
        for choice in &steering.choices {
            if steering.choices.len() > 1 {
                self.text(if choice.family == Family::V4 { "IPv4" } else { "IPv6" });
            }
            self.choice(choice, gateway, naming);
        }
    }

    fn located(&mut self, what: &'static str, located: &Located, naming: &Naming) {
        let Located { place: known, prefix_len, .. } = located;
        let mut text =
            format!("{} (all of /{prefix_len}, by {})", place(known), naming.origin(located.origin));
        if let Some(prefix) = located.prefix {
            let _written = write!(text, "; in {}", naming.catalog.prefix(prefix).net);
        }
        self.line(what, &text);
    }

    fn residency(&mut self, steering: &Steering, gateway: &Gateway, naming: &Naming) {
        let Permit::Only(clusters) = &steering.permit else { return };
        for (what, notes) in [("residency", &steering.residency), ("", &steering.resolver_residency)] {
            let of = if what.is_empty() { "its resolver: " } else { "" };
            if notes.contains(&Note::Unplaced) {
                self.line(what, &format!("{of}cannot be placed well enough to tell the rule"));
            }
            for note in notes {
                if let Note::Rule(rule) = note {
                    let text = match rule {
                        Some(index) => {
                            format!("{of}rule {} ({})", index + 1, rule_text(gateway, *index, naming))
                        }
                        None => format!("{of}no rule allows any cluster"),
                    };
                    self.line(what, &text);
                }
            }
        }
        let names: Vec<&str> = clusters.iter().map(|&cluster| naming.cluster(cluster)).collect();
        let names = if names.is_empty() { "no cluster".to_owned() } else { names.join(", ") };
        self.line("", &format!("may be served by: {names}"));
    }

    fn ranking(&mut self, notes: &[Note], gateway: &Gateway, naming: &Naming) {
        self.line("policy", policy_name(&gateway.policy));
        for note in notes {
            let text = match note {
                Note::Distance { cluster, km, counts_km, beyond } => {
                    let mut text = format!("{} {km:.0} km", naming.cluster(*cluster));
                    if (km - counts_km).abs() > 1e-9 {
                        let _written = write!(text, ", counts as {counts_km:.0} km");
                    }
                    if *beyond {
                        text.push_str(", beyond max_km");
                    }
                    text
                }
                Note::NoCoordinates => "no coordinates: the order of the file".to_owned(),
                Note::Latency { cluster, rtt_us, measured } => {
                    let by = match measured {
                        Some(wanted) => format!("measured for {}", naming.condition(wanted)),
                        None => "estimated from the distance".to_owned(),
                    };
                    format!("{} {:.1} ms, {by}", naming.cluster(*cluster), f64::from(*rtt_us) / 1e3)
                }
                Note::GeoRule(Some((index, wanted))) => {
                    format!("rule {} holds: {}", index + 1, naming.condition(wanted))
                }
                Note::GeoRule(None) => "then the default".to_owned(),
                _ => continue,
            };
            self.line("", &text);
        }
    }

    fn choice(&mut self, choice: &Choice, gateway: &Gateway, naming: &Naming) {
        if let Some((position, share)) = choice.trial {
            let taken = if share > position { "in" } else { "not in" };
            self.line("rollout", &format!("this network is at {position}: {taken} the first {share}"));
        }
        for note in &choice.notes {
            if let Some((what, text)) = note_text(note, gateway, naming) {
                self.line(what, &text);
            }
        }
        if let Some(decision) = &choice.decision {
            self.line("grounds", basis_text(decision.basis));
        }
        if choice.drawn {
            let by = if gateway.sticky { "by the client's network (sticky)" } else { "by chance, by weight" };
            self.line("pick", by);
        }
        if choice.addresses.is_empty() && choice.cname.is_none() {
            return;
        }
        self.line("ttl", &format!("{} s: {}", choice.ttl, ttl_text(choice)));
        self.line("scope", &scope_text(choice));
    }

    fn answer(&mut self, answered: &Answered) {
        let disclosed = answered.scope.map_or_else(String::new, |scope| format!(", scope /{scope}"));
        self.line("answer", &format!("{}{disclosed}", answered.rcode));
        for record in &answered.records {
            self.line("", record);
        }
        if let Some((code, text)) = &answered.error {
            self.line("", &format!("Extended DNS Error {code}: {text}"));
        }
    }

    /// What the gateway's configuration promises, whoever asks.
    fn fail_over(&mut self, steering: &Steering, naming: &Naming) {
        if steering.site.is_some() {
            return self.line("fail-over", "none: a test name answers whatever the health");
        }
        let text = match worst_case_failover(&naming.catalog, steering.gateway) {
            Some(WorstCase { detected, published, clients, .. }) => format!(
                "a dead address is detected within {}, out of the answers within {}, out of caches within {}",
                at_most(whole_ms(detected)),
                at_most(whole_ms(published)),
                at_most(whole_ms(clients))
            ),
            None if naming.gateway(steering.gateway).probe.is_none() => {
                "none: without a probe no dead address is detected".to_owned()
            }
            None => "none: the probe, with invert, is content with a dead address".to_owned(),
        };
        self.line("fail-over", &text);
    }
}

fn rule_text(gateway: &Gateway, index: usize, naming: &Naming) -> String {
    use meridian_model::ResidencyClients;
    let rule = gateway.residency.as_ref().and_then(|residency| residency.rules.get(index));
    let clients = match rule.map(|rule| &rule.clients) {
        Some(ResidencyClients::In(ids)) => {
            ids.iter().map(|&id| &*naming.catalog.jurisdiction(id).name).collect::<Vec<_>>().join(", ")
        }
        Some(ResidencyClients::Everyone) => "*".to_owned(),
        None => String::new(),
    };
    format!("clients in {clients}")
}

fn policy_name(policy: &Policy) -> &'static str {
    match policy {
        Policy::Nearest(_) => "nearest",
        Policy::Geo(_) => "geo",
        Policy::Latency(_) => "latency",
        Policy::Weighted => "weighted",
        Policy::All => "all",
        Policy::Failover(_) => "failover",
    }
}

fn note_text(note: &Note, gateway: &Gateway, naming: &Naming) -> Option<(&'static str, String)> {
    let names = |indices: &[usize]| naming.endpoints(gateway, indices);
    Some(match note {
        Note::Residency { kept, removed } => {
            ("residency", format!("kept {}; removed {}", names(kept), names(removed)))
        }
        Note::NoAddress(without) => ("family", format!("nothing to hand out in it: {}", names(without))),
        Note::Operator { removed, draining, raised } => {
            let all = [("out", removed), ("draining", draining), ("up whatever is found", raised)];
            let said = all.iter().filter(|(_, indices)| !indices.is_empty());
            let said: Vec<String> =
                said.map(|(what, indices)| format!("{what} {}", names(indices))).collect();
            ("operator", said.join("; "))
        }
        Note::Health { kept, degraded, removed } => {
            let degraded = match &degraded[..] {
                [] => String::new(),
                some => format!("degraded {}; ", names(some)),
            };
            ("health", format!("healthy {}; {degraded}not healthy {}", names(kept), names(removed)))
        }
        Note::Track { track, weightless, members } => {
            let of = track.map_or("other tracks", |track| track.as_str());
            let weight = if *weightless { ", of weight 0" } else { "" };
            ("track", format!("{of}{weight}: {}", names(members)))
        }
        Note::TooFewHealthy { members, healthy, wanted } => {
            ("tier", format!("{}: skipped, {healthy} healthy, min_healthy {wanted}", names(members)))
        }
        Note::Panic { members, healthy } => {
            let of = members.len();
            ("panic", format!("{}: {healthy} of {of} healthy, all count as healthy", names(members)))
        }
        Note::OnlyDegraded(members) => ("tier", format!("{}: degraded, none is healthy", names(members))),
        Note::NothingHealthy(members) => ("tier", format!("{}: not healthy", names(members))),
        Note::Chosen(members) => ("chosen", names(members)),
        Note::AllDown => ("all down", "nothing healthy has a turn".to_owned()),
        _ => return None,
    })
}

pub(super) fn basis_text(basis: Basis) -> &'static str {
    match basis {
        Basis::Healthy => "healthy",
        Basis::Degraded => "degraded: nothing of the tier is healthy",
        Basis::Panic => "panic_below: too few are healthy to believe it",
        Basis::ServeAll => "all_down = \"serve_all\"",
        Basis::LastHealthy => "all_down = \"last_healthy\"",
        Basis::Fallback => "all_down = \"fallback\"",
        Basis::AllDown => "all_down = \"nodata\"",
        Basis::TakenOut => "every endpoint is taken out of service by an operator",
        Basis::NoAddress => "no endpoint has an address of this family",
        Basis::Prohibited => "residency: no cluster may serve this client",
        Basis::Filtered => "residency: no cluster that may serve this client can",
    }
}

pub(super) fn ttl_text(choice: &Choice) -> &'static str {
    match (choice.capped, choice.doubt) {
        (true, _) => "the hostname's own TTL",
        (false, None) => "every verdict it depends on is settled",
        (false, Some(Doubt::Verdict)) => "min_ttl, a verdict it depends on is in doubt",
        (false, Some(Doubt::Fallback)) => "min_ttl, a fallback",
    }
}

fn scope_text(choice: &Choice) -> String {
    let Choice { scope, area, by_network, .. } = choice;
    match (by_network, scope) {
        (true, _) => format!("/{scope}: the client's network decides, within /{area} of equal decisions"),
        (false, 0) => "/0: the same for all".to_owned(),
        (false, _) => format!("/{scope}: the widest prefix around the client with this decision"),
    }
}
