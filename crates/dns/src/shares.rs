//! Which share of the answers goes to which cluster: for comparing two configurations, without traffic.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use meridian_model::{ClusterId, DomainName, Gateway, GatewayId, Share};
use meridian_steering::{Basis, Decision, Family, Given, Split};

use crate::name::{QueryName, to_name};
use crate::plan::Plan;
use crate::select::{Asker, select};
use crate::view::View;
use crate::zone::Found;

//----------- Mix ------------------------------------------------------------

/// The share of answers that each cluster gets, by the first address or the CNAME of an answer; `None`:
/// answers that name no cluster. Each cluster once, shares over 0, together 1.
pub type Mix = Vec<(Option<ClusterId>, f64)>;

impl View {
    /// What all clients of a gateway get in one family. `None` for a gateway that the view does not have.
    #[must_use]
    pub fn shares(&self, id: GatewayId, family: Family) -> Option<Shares<'_>> {
        let plan = self.plan(id, family)?;
        let trial = self.offered(id, family)?.offer.trial_share;
        Some(Shares { plan, trial, gateway: self.ground().catalog().gateway(id) })
    }

    /// What one client gets in one family. Where its network chooses, which is in the trial of a rollout
    /// and for a sticky gateway, that is one cluster; else the mix that is drawn from.
    #[must_use]
    pub fn mix(&self, id: GatewayId, family: Family, client: IpAddr, resolver: IpAddr) -> Option<Mix> {
        let mut addresses = Given::new();
        let selected = select(self, id, family, &Asker::alone(client, resolver, 0), &mut addresses)?;
        let decision = selected.reasons.decision?;
        let gateway = self.ground().catalog().gateway(id);
        let mut mix = Mix::new();
        if !self.offered(id, family)?.offer.sticky {
            add(&mut mix, gateway, &decision, 1.0);
            return Some(mix);
        }
        let holds = |endpoint: u16| {
            let endpoint = gateway.endpoints.get(usize::from(endpoint));
            let first = addresses.first();
            endpoint.is_some_and(|endpoint| endpoint.addresses.iter().any(|known| Some(&known.ip) == first))
        };
        let mut candidates = decision.candidates.iter().map(|candidate| candidate.endpoint);
        let endpoint = selected.picked.cname.or_else(|| candidates.find(|&endpoint| holds(endpoint)));
        let cluster = endpoint.and_then(|endpoint| gateway.endpoints.get(usize::from(endpoint)));
        mix.push((cluster.map(|endpoint| endpoint.cluster), 1.0));
        Some(mix)
    }

    /// The gateway whose answer a question gets, perhaps through aliases in our zones; `None` where it gets another, also for test names.
    #[must_use]
    pub fn gateway_of(&self, name: &DomainName, question_type: u16) -> Option<GatewayId> {
        let name = QueryName::from_name(&to_name(name).ok()?)?;
        match self.zones().follow(&name, RecordType::from(question_type)).0 {
            Found::Steered { gateway, .. } => Some(gateway),
            _ => None,
        }
    }
}

//----------- Shares ---------------------------------------------------------

/// The mixes of a gateway's clients in one family, and who gets which. Every client asks for itself: it
/// is its own resolver.
#[derive(Clone, Copy)]
pub struct Shares<'v> {
    plan: &'v Plan,
    trial: Share,
    gateway: &'v Gateway,
}

/// Gateways of one view with equal keys have equal [`Shares`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharesKey {
    plan: usize,
    trial: Share,
}

impl Shares<'_> {
    /// What tells these from others of the same view.
    #[must_use]
    pub fn key(&self) -> SharesKey {
        // A plan is made once for each shape and shared; its address stands for it.
        SharesKey { plan: std::ptr::from_ref(self.plan).addr(), trial: self.trial }
    }

    /// All mixes, perhaps some alike.
    #[must_use]
    pub fn mixes(&self) -> Vec<Mix> {
        self.plan.splits().map(|split| self.mix(split)).collect()
    }

    /// Of each of [`Shares::mixes`] whether all who get it are answered with what serves: healthy or degraded, or held
    /// to be so.
    #[must_use]
    pub fn serving(&self) -> Vec<bool> {
        let serves =
            |decision: &Decision| matches!(decision.basis, Basis::Healthy | Basis::Degraded | Basis::Panic);
        self.plan
            .splits()
            .map(|split| serves(&split.live) && split.trial.as_ref().is_none_or(serves))
            .collect()
    }

    /// The index among [`Shares::mixes`] of what a client gets, and the length of the prefix around it in
    /// which that holds.
    #[must_use]
    pub fn at(&self, client: IpAddr) -> Option<(usize, u8)> {
        self.plan.number(client)
    }

    /// A trial has its share of the client networks.
    fn mix(&self, split: &Split) -> Mix {
        let mut mix = Mix::new();
        match &split.trial {
            None => add(&mut mix, self.gateway, &split.live, 1.0),
            Some(trial) => {
                let share = f64::from(self.trial.millionths()) / f64::from(Share::ALL.millionths());
                add(&mut mix, self.gateway, &split.live, 1.0 - share);
                add(&mut mix, self.gateway, trial, share);
            }
        }
        mix
    }
}

/// Adds a share of answers that come from one decision: its candidates go by weight, alike when all
/// weights are 0.
fn add(mix: &mut Mix, gateway: &Gateway, decision: &Decision, share: f64) {
    let total: f64 = decision.candidates.iter().map(|candidate| f64::from(candidate.weight)).sum();
    let mut give = |cluster: Option<ClusterId>, share: f64| {
        if share > 0.0 {
            match mix.iter_mut().find(|(known, _)| *known == cluster) {
                Some((_, known)) => *known += share,
                None => mix.push((cluster, share)),
            }
        }
    };
    if decision.candidates.is_empty() {
        give(None, share);
    }
    #[expect(clippy::cast_precision_loss, reason = "a gateway has far fewer endpoints than 2^52")]
    let alike = 1.0 / decision.candidates.len() as f64;
    for candidate in &decision.candidates {
        let endpoint = gateway.endpoints.get(usize::from(candidate.endpoint));
        let part = if total > 0.0 { f64::from(candidate.weight) / total } else { alike };
        give(endpoint.map(|endpoint| endpoint.cluster), share * part);
    }
}
