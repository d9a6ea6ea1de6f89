//! Stage 1, residency: which clusters may serve a client at all.

use meridian_model::{
    Catalog, ClusterId, JurisdictionId, Place, Residency, ResidencyClients, UnknownClients,
};

use crate::trail::{Note, Trail};

/// The clusters that may serve a client. No later stage and no fallback goes beyond them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permit {
    /// All of them: the gateway says nothing of residency.
    All,
    /// These, ascending; none: no answer with an address.
    Only(Box<[ClusterId]>),
}

impl Permit {
    /// Whether a cluster may serve.
    #[must_use]
    pub fn allows(&self, cluster: ClusterId) -> bool {
        match self {
            Self::All => true,
            Self::Only(clusters) => clusters.binary_search(&cluster).is_ok(),
        }
    }

    /// The clusters that both allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, permit) | (permit, Self::All) => permit.clone(),
            (Self::Only(ours), _) => {
                Self::Only(ours.iter().copied().filter(|&cluster| other.allows(cluster)).collect())
            }
        }
    }
}

/// Which of a gateway's clusters may serve a client at this place.
///
/// A client whose rule cannot be told, because the place is not known well enough, is treated as
/// `unknown` says. Where that is a jurisdiction, the first rule for all of that jurisdiction holds.
#[must_use]
pub fn permit(
    residency: &Residency,
    clusters: &[ClusterId],
    place: &Place,
    catalog: &Catalog,
    trail: &mut impl Trail,
) -> Permit {
    let rule = match rule_of(residency, place, catalog) {
        Some(rule) => rule,
        None => {
            trail.note(|| Note::Unplaced);
            match residency.unknown {
                UnknownClients::Deny => None,
                UnknownClients::TreatAs(jurisdiction) => rule_for(residency, jurisdiction, catalog),
            }
        }
    };
    trail.note(|| Note::Rule(rule));
    let allowed = rule.and_then(|rule| residency.rules.get(rule)).map_or(&[][..], |rule| &rule.clusters);
    let mut ours: Vec<ClusterId> =
        clusters.iter().copied().filter(|cluster| allowed.binary_search(cluster).is_ok()).collect();
    ours.sort_unstable();
    Permit::Only(ours.into())
}

/// Whether a place is known well enough to tell its rule.
#[must_use]
pub fn is_placed(residency: &Residency, place: &Place, catalog: &Catalog) -> bool {
    rule_of(residency, place, catalog).is_some()
}

/// The first rule that holds; `None` when that cannot be told, `Some(None)` when none does.
fn rule_of(residency: &Residency, place: &Place, catalog: &Catalog) -> Option<Option<usize>> {
    place.country?;
    for (index, rule) in residency.rules.iter().enumerate() {
        let holds = match &rule.clients {
            ResidencyClients::Everyone => Some(true),
            ResidencyClients::In(jurisdictions) => {
                let each = jurisdictions.iter().map(|&id| catalog.jurisdiction(id).holds(place));
                each.reduce(|one, other| match (one, other) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (None, _) | (_, None) => None,
                    _ => Some(false),
                })?
            }
        };
        match holds {
            Some(true) => return Some(Some(index)),
            Some(false) => {}
            None => return None,
        }
    }
    Some(None)
}

/// The first rule for a whole jurisdiction: one that names it or everyone, or whose jurisdictions
/// together hold all of it.
fn rule_for(residency: &Residency, jurisdiction: JurisdictionId, catalog: &Catalog) -> Option<usize> {
    let whole = catalog.jurisdiction(jurisdiction);
    residency.rules.iter().position(|rule| match &rule.clients {
        ResidencyClients::Everyone => true,
        ResidencyClients::In(ids) => {
            let of = || ids.iter().map(|&id| catalog.jurisdiction(id));
            let has_country = |country| of().any(|one| one.countries.binary_search(country).is_ok());
            ids.contains(&jurisdiction)
                || whole.countries.iter().all(has_country)
                    && whole.subdivisions.iter().all(|part| {
                        has_country(&part.0) || of().any(|one| one.subdivisions.binary_search(part).is_ok())
                    })
        }
    })
}
