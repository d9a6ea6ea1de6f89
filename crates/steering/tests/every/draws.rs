//! Draws from decisions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meridian_model::{Endpoint, Verdicts};
use meridian_steering::{
    Addresses, Decision, Draw, Family, Listed, Picked, Roster, identity, listed_v4, listed_v6, pick,
};

use crate::build::World;

/// A gateway's roster, laid out once for many draws.
pub(crate) struct Picker {
    pub(crate) answers: Option<u16>,
    family: Family,
    v4: Vec<Listed<Ipv4Addr>>,
    v6: Vec<Listed<Ipv6Addr>>,
    identities: Vec<u64>,
}

impl Picker {
    pub(crate) fn new(world: &World, family: Family) -> Self {
        let gateway = world.gateway();
        let identity =
            |endpoint: &Endpoint| identity(endpoint, &world.catalog.cluster(endpoint.cluster).name);
        Self {
            answers: gateway.answers,
            family,
            v4: listed_v4(gateway).collect(),
            v6: listed_v6(gateway).collect(),
            identities: gateway.endpoints.iter().map(identity).collect(),
        }
    }

    pub(crate) fn pick(
        &self,
        decision: &Decision,
        verdicts: &Verdicts,
        draw: Draw,
        into: &mut Vec<IpAddr>,
    ) -> Picked {
        let addresses = match self.family {
            Family::V4 => Addresses::V4(&self.v4),
            Family::V6 => Addresses::V6(&self.v6),
        };
        let roster = Roster { addresses, identities: &self.identities };
        pick(roster, decision, self.answers, verdicts, draw, into)
    }
}
