//! An explanation for programs: what the API answers, too. The keys are fixed; what is added later comes beside them.

use hickory_proto::rr::RecordType;
use meridian_admin::wire;
use meridian_dns::{Asked, Choice, Explanation, Located, Steering};
use meridian_health_probe::{WorstCase, worst_case_failover};
use meridian_model::Gateway;
use meridian_steering::{Family, Note, Permit};

use super::names::Naming;
use super::record::Answered;
use super::text::{basis_text, ttl_text};
use crate::page::whole_ms;

pub(crate) fn explanation(
    asked: &Asked,
    explanation: &Explanation,
    answered: Answered,
    naming: &Naming,
) -> wire::Explanation {
    let steering = match explanation {
        Explanation::Steered(steering) => Some(self::steering(steering, naming)),
        _ => None,
    };
    let Answered { rcode, records, error, scope } = answered;
    let extended_error = error.map(|(code, text)| wire::ExtendedError { code, text });
    wire::Explanation {
        name: asked.name.to_string(),
        question_type: RecordType::from(asked.question_type).to_string(),
        client: asked.client,
        resolver: asked.resolver,
        matter: matter(explanation).to_owned(),
        steering,
        answer: wire::Answer { rcode: rcode.to_owned(), records, scope, extended_error },
    }
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

fn steering(steering: &Steering, naming: &Naming) -> wire::Steering {
    let gateway = naming.gateway(steering.gateway);
    let name = |cluster| naming.cluster(cluster).to_owned();
    let clusters = match &steering.permit {
        Permit::All => None,
        Permit::Only(clusters) => Some(clusters.iter().map(|&cluster| name(cluster)).collect()),
    };
    wire::Steering {
        aliases: steering.aliases.clone(),
        gateway: gateway.name.to_string(),
        site: steering.site.map(name),
        client: located(&steering.client, naming),
        resolver: steering.resolver.as_ref().map(|resolver| located(resolver, naming)),
        residency: wire::Residency {
            rule: rule(&steering.residency),
            resolver_rule: rule(&steering.resolver_residency),
            clusters,
        },
        ranking: steering.ranking.iter().map(|one| stage(one, gateway, naming)).collect(),
        choices: steering.choices.iter().map(|one| choice(one, gateway, naming)).collect(),
        fail_over: fail_over(steering, naming),
    }
}

/// `None` where a dead address is never detected, and for a test name.
fn fail_over(steering: &Steering, naming: &Naming) -> Option<wire::FailOver> {
    let computed = worst_case_failover(&naming.catalog, steering.gateway);
    let WorstCase { first, detected, published, clients } = computed.filter(|_| steering.site.is_none())?;
    Some(wire::FailOver {
        first_outcome_ms: whole_ms(first),
        detected_ms: whole_ms(detected),
        published_ms: whole_ms(published),
        caches_ms: whole_ms(clients),
    })
}

fn located(located: &Located, naming: &Naming) -> wire::Located {
    let place = &located.place;
    wire::Located {
        address: located.address,
        continent: place.continent.map(|continent| continent.code().to_owned()),
        country: place.country.map(|country| country.to_string()),
        subdivision: place.subdivision.as_deref().map(ToString::to_string),
        latitude: place.coordinates.map(meridian_model::Coordinates::latitude),
        longitude: place.coordinates.map(meridian_model::Coordinates::longitude),
        asn: place.asn,
        prefix_len: located.prefix_len,
        prefix: located.prefix.map(|prefix| naming.catalog.prefix(prefix).net.to_string()),
        source: naming.origin(located.origin),
    }
}

/// The number of the residency rule, from 1.
fn rule(notes: &[Note]) -> Option<usize> {
    notes.iter().find_map(|note| if let Note::Rule(rule) = note { rule.map(|index| index + 1) } else { None })
}

fn choice(choice: &Choice, gateway: &Gateway, naming: &Naming) -> wire::Choice {
    wire::Choice {
        family: if choice.family == Family::V4 { "ipv4" } else { "ipv6" }.to_owned(),
        track: choice.track.map(|track| track.as_str().to_owned()),
        trial: choice.trial.map(|(position, share)| wire::Trial {
            position_millionths: position.millionths(),
            share_millionths: share.millionths(),
        }),
        stages: choice.notes.iter().map(|one| stage(one, gateway, naming)).collect(),
        grounds: choice.decision.as_ref().map(|decision| basis_text(decision.basis).to_owned()),
        addresses: choice.addresses.clone(),
        cname: choice.cname.and_then(|endpoint| {
            gateway.endpoints.get(usize::from(endpoint))?.name.as_ref().map(|name| name.name.to_string())
        }),
        drawn: choice.drawn,
        ttl: choice.ttl,
        ttl_reason: ttl_text(choice).to_owned(),
        scope: choice.scope,
        scope_of_decision: choice.area,
        scope_by_network: choice.by_network,
    }
}

fn stage(note: &Note, gateway: &Gateway, naming: &Naming) -> wire::Stage {
    use wire::Stage;
    let names = |indices: &[usize]| -> Vec<String> {
        indices.iter().map(|&index| naming.endpoint(gateway, index)).collect()
    };
    let cluster = |id| naming.cluster(id).to_owned();
    match note {
        Note::Rule(index) => Stage::Rule { rule: index.map(|index| index + 1) },
        Note::Unplaced => Stage::Unplaced,
        Note::Residency { kept, removed } => Stage::Residency { kept: names(kept), removed: names(removed) },
        Note::GeoRule(rule) => Stage::GeoRule {
            rule: rule.as_ref().map(|(index, _)| index + 1),
            condition: rule.as_ref().map(|(_, wanted)| naming.condition(wanted)),
        },
        Note::Distance { cluster: id, km, counts_km, beyond } => Stage::Distance {
            cluster: cluster(*id),
            km: km.round(),
            counts_km: counts_km.round(),
            beyond_max_km: *beyond,
        },
        Note::NoCoordinates => Stage::NoCoordinates,
        Note::Latency { cluster: id, rtt_us, measured } => Stage::Latency {
            cluster: cluster(*id),
            rtt_us: *rtt_us,
            measured_for: measured.as_ref().map(|wanted| naming.condition(wanted)),
        },
        Note::NoAddress(without) => Stage::Family { removed: names(without) },
        Note::Operator { removed, draining, raised } => {
            Stage::Operator { removed: names(removed), draining: names(draining), up: names(raised) }
        }
        Note::Health { kept, degraded, removed } => {
            Stage::Health { kept: names(kept), degraded: names(degraded), removed: names(removed) }
        }
        Note::Track { track, weightless, members } => Stage::Track {
            track: track.map(|track| track.as_str().to_owned()),
            weightless: *weightless,
            members: names(members),
        },
        Note::TooFewHealthy { members, healthy, wanted } => {
            Stage::TooFewHealthy { members: names(members), healthy: *healthy, min_healthy: *wanted }
        }
        Note::Panic { members, healthy } => Stage::Panic { members: names(members), healthy: *healthy },
        Note::OnlyDegraded(members) => Stage::OnlyDegraded { members: names(members) },
        Note::NothingHealthy(members) => Stage::NothingHealthy { members: names(members) },
        Note::Chosen(members) => Stage::Chosen { members: names(members) },
        Note::AllDown => Stage::AllDown,
    }
}
