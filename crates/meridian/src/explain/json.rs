//! An explanation for programs. The keys are fixed; what is added later comes beside them.

use hickory_proto::rr::RecordType;
use meridian_dns::{Asked, Choice, Explanation, Located, Steering};
use meridian_health_probe::{WorstCase, worst_case_failover};
use meridian_model::Gateway;
use meridian_steering::{Family, Note, Permit};
use serde_json::{Value, json};

use super::names::Naming;
use super::record::Answered;
use super::text::{basis_text, ttl_text};
use crate::page::whole_ms;

/// One object.
pub(crate) fn render(
    asked: &Asked,
    explanation: &Explanation,
    answered: &Answered,
    naming: &Naming,
) -> String {
    let steering = match explanation {
        Explanation::Steered(steering) => self::steering(steering, naming),
        _ => Value::Null,
    };
    let value = json!({
        "name": asked.name.to_string(),
        "type": RecordType::from(asked.question_type).to_string(),
        "client": asked.client,
        "resolver": asked.resolver,
        "matter": matter(explanation),
        "steering": steering,
        "answer": {
            "rcode": answered.rcode,
            "records": answered.records,
            "scope": answered.scope,
            "extended_error":
                answered.error.as_ref().map(|(code, text)| json!({ "code": code, "text": text })),
        },
    });
    format!("{value:#}")
}

fn matter(explanation: &Explanation) -> &'static str {
    match explanation {
        Explanation::NotOurs => "not_ours",
        Explanation::NoName => "no_name",
        Explanation::NoData => "no_data",
        Explanation::Static => "static",
        Explanation::Alias => "alias",
        Explanation::Delegated => "delegated",
        Explanation::AnyType => "any_type",
        Explanation::Steered(_) => "steered",
    }
}

fn steering(steering: &Steering, naming: &Naming) -> Value {
    let gateway = naming.gateway(steering.gateway);
    let aliases = &steering.aliases;
    let permit = match &steering.permit {
        Permit::All => Value::Null,
        Permit::Only(clusters) => clusters.iter().map(|&cluster| naming.cluster(cluster)).collect(),
    };
    json!({
        "aliases": aliases,
        "gateway": &*gateway.name,
        "site": steering.site.map(|site| naming.cluster(site)),
        "client": located(&steering.client, naming),
        "resolver": steering.resolver.as_ref().map(|resolver| located(resolver, naming)),
        "residency": {
            "rule": rule(&steering.residency),
            "resolver_rule": rule(&steering.resolver_residency),
            "clusters": permit,
        },
        "ranking": steering.ranking.iter().map(|one| note(one, gateway, naming)).collect::<Vec<_>>(),
        "choices": steering.choices.iter().map(|one| choice(one, gateway, naming)).collect::<Vec<_>>(),
        "fail_over": fail_over(steering, naming),
    })
}

/// In milliseconds; null where a dead address is never detected, and for a test name.
fn fail_over(steering: &Steering, naming: &Naming) -> Value {
    let computed = worst_case_failover(&naming.catalog, steering.gateway);
    let Some(worst_case) = computed.filter(|_| steering.site.is_none()) else { return Value::Null };
    let WorstCase { first, detected, published, clients } = worst_case;
    json!({
        "first_outcome_ms": whole_ms(first),
        "detected_ms": whole_ms(detected),
        "published_ms": whole_ms(published),
        "caches_ms": whole_ms(clients),
    })
}

fn located(located: &Located, naming: &Naming) -> Value {
    let place = &located.place;
    json!({
        "address": located.address,
        "continent": place.continent.map(meridian_model::Continent::code),
        "country": place.country.map(|country| country.to_string()),
        "subdivision": place.subdivision.as_deref(),
        "latitude": place.coordinates.map(meridian_model::Coordinates::latitude),
        "longitude": place.coordinates.map(meridian_model::Coordinates::longitude),
        "asn": place.asn,
        "prefix_len": located.prefix_len,
        "prefix": located.prefix.map(|prefix| naming.catalog.prefix(prefix).net.to_string()),
        "source": naming.origin(located.origin),
    })
}

/// The number of the residency rule, from 1.
fn rule(notes: &[Note]) -> Option<usize> {
    notes.iter().find_map(|note| if let Note::Rule(rule) = note { rule.map(|index| index + 1) } else { None })
}

fn choice(choice: &Choice, gateway: &Gateway, naming: &Naming) -> Value {
    json!({
        "family": if choice.family == Family::V4 { "ipv4" } else { "ipv6" },
        "track": choice.track.map(meridian_model::Track::as_str),
        "trial": choice.trial.map(|(position, share)| json!({
            "position_millionths": position.millionths(),
            "share_millionths": share.millionths(),
        })),
        "stages": choice.notes.iter().map(|one| note(one, gateway, naming)).collect::<Vec<_>>(),
        "grounds": choice.decision.as_ref().map(|decision| basis_text(decision.basis)),
        "addresses": choice.addresses,
        "cname": choice.cname.and_then(|endpoint| {
            gateway.endpoints.get(usize::from(endpoint))?.name.as_ref().map(|name| name.name.to_string())
        }),
        "drawn": choice.drawn,
        "ttl": choice.ttl,
        "ttl_reason": ttl_text(choice),
        "scope": choice.scope,
        "scope_of_decision": choice.area,
        "scope_by_network": choice.by_network,
    })
}

fn note(note: &Note, gateway: &Gateway, naming: &Naming) -> Value {
    let names = |indices: &[usize]| -> Vec<String> {
        indices.iter().map(|&index| naming.endpoint(gateway, index)).collect()
    };
    match note {
        Note::Rule(index) => json!({ "stage": "rule", "rule": index.map(|index| index + 1) }),
        Note::Unplaced => json!({ "stage": "unplaced" }),
        Note::Residency { kept, removed } => {
            json!({ "stage": "residency", "kept": names(kept), "removed": names(removed) })
        }
        Note::GeoRule(rule) => json!({
            "stage": "geo_rule",
            "rule": rule.as_ref().map(|(index, _)| index + 1),
            "condition": rule.as_ref().map(|(_, wanted)| naming.condition(wanted)),
        }),
        Note::Distance { cluster, km, counts_km, beyond } => json!({
            "stage": "distance", "cluster": naming.cluster(*cluster),
            "km": km.round(), "counts_km": counts_km.round(), "beyond_max_km": beyond,
        }),
        Note::NoCoordinates => json!({ "stage": "no_coordinates" }),
        Note::Latency { cluster, rtt_us, measured } => json!({
            "stage": "latency", "cluster": naming.cluster(*cluster), "rtt_us": rtt_us,
            "measured_for": measured.as_ref().map(|wanted| naming.condition(wanted)),
        }),
        Note::NoAddress(without) => json!({ "stage": "family", "removed": names(without) }),
        Note::Operator { removed, draining, raised } => json!({
            "stage": "operator", "removed": names(removed), "draining": names(draining), "up": names(raised),
        }),
        Note::Health { kept, degraded, removed } => json!({
            "stage": "health", "kept": names(kept), "degraded": names(degraded), "removed": names(removed),
        }),
        Note::Track { track, weightless, members } => json!({
            "stage": "track", "track": track.map(meridian_model::Track::as_str),
            "weightless": weightless, "members": names(members),
        }),
        Note::TooFewHealthy { members, healthy, wanted } => json!({
            "stage": "too_few_healthy", "members": names(members), "healthy": healthy, "min_healthy": wanted,
        }),
        Note::Panic { members, healthy } => {
            json!({ "stage": "panic", "members": names(members), "healthy": healthy })
        }
        Note::OnlyDegraded(members) => json!({ "stage": "only_degraded", "members": names(members) }),
        Note::NothingHealthy(members) => json!({ "stage": "nothing_healthy", "members": names(members) }),
        Note::Chosen(members) => json!({ "stage": "chosen", "members": names(members) }),
        Note::AllDown => json!({ "stage": "all_down" }),
    }
}
