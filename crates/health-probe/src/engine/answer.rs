//! What the engine says when it is asked for everything.

use meridian_model::{GatewayId, TargetId, Verdict};
use tokio::time::Instant;

use super::Engine;
use crate::handle::{OneAddress, Question};
use crate::overrides::{handed_out, names};
use crate::{Checker, EndpointStatus, OverrideStatus, PastOutcomes, Report};

impl<C: Checker> Engine<C> {
    /// Answers who asks, if it still waits.
    pub(super) fn answer(&self, question: Question, now: Instant) {
        match question {
            Question::Report(answer) => {
                if let Some(report) = self.report_all(now) {
                    let _still_waits = answer.send(report);
                }
            }
            Question::History(of, answer) => {
                let _still_waits = answer.send(self.history_of(&of, now));
            }
        }
    }

    /// `None` for an address that is not handed out.
    fn history_of(&self, of: &OneAddress, now: Instant) -> Option<Vec<PastOutcomes>> {
        let current = self.current.as_ref()?;
        let catalog = &current.catalog;
        let gateway = catalog.gateways().iter().find(|gateway| gateway.name == of.gateway)?;
        let its = gateway
            .endpoints
            .iter()
            .filter(|of_gateway| catalog.cluster(of_gateway.cluster).name == of.cluster);
        let address = its.flat_map(|endpoint| &endpoint.addresses).find(|one| one.ip == of.address)?;
        let mut past = Vec::new();
        // What a probe is made of, in place of it.
        let mut targets: Vec<TargetId> = address.target.into_iter().collect();
        while let Some(target) = targets.pop() {
            targets.extend(catalog.members(target).iter().rev());
            let slot = current.slots.get(target.index()).and_then(|id| self.slots.get(id));
            past.extend(slot.and_then(|slot| slot.past(self.since_start(now))));
        }
        Some(past)
    }

    fn report_all(&self, now: Instant) -> Option<Report> {
        let current = self.current.as_ref()?;
        let mut endpoints = Vec::new();
        for (at, gateway) in current.catalog.gateways().iter().enumerate() {
            for (index, endpoint) in gateway.endpoints.iter().enumerate() {
                for address in handed_out(endpoint) {
                    let target = endpoint.addresses.iter().find(|one| Some(one.ip) == address);
                    let target = target.and_then(|one| one.target);
                    let cluster = &current.catalog.cluster(endpoint.cluster).name;
                    let names = names(endpoint, address);
                    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
                    let forced = self.overrides.deciding(&gateway.name, cluster, &names);
                    let forced = forced.map(|held| (held.said.target.clone(), held.order(now)));
                    let place = (GatewayId::from_index(at), index);
                    let status = EndpointStatus { address, forced, ..self.endpoint(place, target, now) };
                    let order = status.forced.as_ref().map(|(_, order)| *order);
                    let effective = order.map_or(status.effective, |order| order.overrule(status.effective));
                    endpoints.push(EndpointStatus { effective, ..status });
                }
            }
        }
        let overrides = self.overrides.list().iter().map(|held| OverrideStatus {
            said: held.said.clone(),
            age: held.age(now),
            left: held.left(now),
            addresses: held.addresses,
        });
        let isolated_for = self.isolation.since().map(|since| self.since_start(now).saturating_sub(since));
        Some(Report {
            catalog: current.catalog.clone(),
            isolated_for,
            overrides: overrides.collect(),
            endpoints,
        })
    }

    /// What is observed of a target. One without a probe counts as healthy, and a hostname that is handed out
    /// itself before it has an address as unknown.
    fn endpoint(
        &self,
        (gateway, endpoint): (GatewayId, usize),
        target: Option<TargetId>,
        now: Instant,
    ) -> EndpointStatus {
        let slots = self.current.as_ref().map(|current| &current.slots);
        let slot = target.and_then(|target| slots?.get(target.index())).and_then(|id| self.slots.get(id));
        let observed = slot.map_or(Verdict::Healthy, |slot| slot.observed());
        EndpointStatus {
            gateway,
            endpoint,
            address: None,
            observed,
            forced: None,
            effective: slot.map_or(observed, |slot| slot.effective()),
            is_frozen: slot.is_some_and(|slot| slot.effective() != slot.observed()),
            probed: slot.map(|slot| slot.status(self.since_start(now))),
        }
    }
}
