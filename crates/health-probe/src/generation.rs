//! A catalog as the engine sees it: which slot answers for which target, and who uses it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use meridian_model::{Catalog, Check, ClusterId, GatewayId, Probe, TargetId};

/// The name of a tracker and its timetable in the engine; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SlotId(pub(crate) u64);

/// What makes a target the same as one of another catalog.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Probed(Arc<Probe>, SocketAddr),
    Combined { name: Box<str>, at_least: u16, invert: bool, address: IpAddr, members: Box<[SlotId]> },
}

impl Key {
    pub(crate) fn new(probe: &Arc<Probe>, at: SocketAddr, members: Box<[SlotId]>) -> Self {
        match &probe.check {
            // The numbers of its probes are those of one catalog.
            Check::Combined(check) => Self::Combined {
                name: probe.name.clone(),
                at_least: check.at_least,
                invert: probe.invert,
                address: at.ip(),
                members,
            },
            _ => Self::Probed(Arc::clone(probe), at),
        }
    }
}

/// A catalog with the slots of its targets.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) catalog: Arc<Catalog>,
    /// The slot of each target, in the catalog's order.
    pub(crate) slots: Vec<SlotId>,
    /// Who uses each target, in the catalog's order.
    pub(crate) uses: Vec<Use>,
}

/// Who uses a target, for log lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    /// The first endpoint that does, as `gateway/cluster/address`.
    pub(crate) endpoint: Box<str>,
    /// How many gateways do.
    pub(crate) gateways: usize,
    /// The gateway of that endpoint, which of its endpoints it is, and the address.
    pub(crate) first: Option<(GatewayId, usize, IpAddr)>,
}

impl Generation {
    /// Takes one slot a target, in the catalog's order.
    pub(crate) fn new(catalog: Arc<Catalog>, slots: Vec<SlotId>) -> Self {
        let uses = uses(&catalog);
        Self { catalog, slots, uses }
    }

    /// Who uses a target; nobody, if it is not of this catalog.
    pub(crate) fn used_by(&self, target: TargetId) -> Use {
        self.uses.get(target.index()).cloned().unwrap_or_default()
    }
}

fn uses(catalog: &Catalog) -> Vec<Use> {
    let mut uses = vec![Use::default(); catalog.targets().len()];
    let mut counted_for = vec![None; uses.len()];
    each_use(catalog, |target, user| {
        let (Some(entry), Some(counted)) =
            (uses.get_mut(target.index()), counted_for.get_mut(target.index()))
        else {
            return;
        };
        if entry.gateways == 0 {
            entry.first = Some((user.gateway, user.endpoint, user.address));
            entry.endpoint = user.name(catalog).into();
        }
        if counted.replace(user.gateway) != Some(user.gateway) {
            entry.gateways += 1;
        }
    });
    uses
}

//----------- User -----------------------------------------------------------

/// An address of an endpoint, whose health depends on a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The gateway that hands it out.
    pub gateway: GatewayId,
    /// Which of the gateway's endpoints has it.
    pub endpoint: usize,
    /// What is handed out, which need not be what is checked.
    pub address: IpAddr,
    /// Where it is.
    pub cluster: ClusterId,
}

impl User {
    /// `gateway/cluster/address`
    #[must_use]
    pub fn name(&self, catalog: &Catalog) -> String {
        let (gateway, cluster) = (catalog.gateway(self.gateway), catalog.cluster(self.cluster));
        format!("{}/{}/{}", gateway.name, cluster.name, self.address)
    }
}

/// Who uses each target, in the catalog's order, itself or by a combined probe.
#[must_use]
pub fn users(catalog: &Catalog) -> Vec<Vec<User>> {
    let mut users: Vec<Vec<User>> = vec![Vec::new(); catalog.targets().len()];
    each_use(catalog, |target, user| {
        // Two combined probes of one address can share a member.
        if let Some(of_target) = users.get_mut(target.index()).filter(|all| all.last() != Some(&user)) {
            of_target.push(user);
        }
    });
    users
}

fn each_use(catalog: &Catalog, mut visit: impl FnMut(TargetId, User)) {
    for (number, gateway) in catalog.gateways().iter().enumerate() {
        for (index, endpoint) in gateway.endpoints.iter().enumerate() {
            for address in &endpoint.addresses {
                // Itself and all that it is made of.
                let mut targets: Vec<TargetId> = address.target.into_iter().collect();
                while let Some(target) = targets.pop() {
                    targets.extend(catalog.members(target));
                    let gateway = GatewayId::from_index(number);
                    let (address, cluster) = (address.ip, endpoint.cluster);
                    visit(target, User { gateway, endpoint: index, address, cluster });
                }
            }
        }
    }
}
