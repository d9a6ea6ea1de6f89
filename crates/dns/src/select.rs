//! Steps 4 and 5 of a query: where the client is, and what it gets.

use std::net::IpAddr;

use meridian_geoip::client_network;
use meridian_model::{ClusterId, GatewayId, Share};
use meridian_steering::{
    Basis, Decision, Doubt, Draw, Family, Picked, client_hash, decide_for_site, in_trial, pick, standings,
};

use crate::view::{Offered, View};

//----------- Asker ----------------------------------------------------------

/// Who asks for a steered name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// The subnet that was disclosed; else the resolver stands for its clients.
    pub(crate) client: IpAddr,
    /// Who sent the query.
    pub(crate) resolver: IpAddr,
    /// What chooses where nothing else does.
    pub(crate) random: u64,
}

/// What a client gets in one family, and for how long and how many.
pub(crate) struct Selected<'v> {
    pub(crate) basis: Basis,
    pub(crate) picked: Picked,
    /// Seconds.
    pub(crate) ttl: u32,
    /// The length of the widest prefix around the client that is answered alike.
    pub(crate) scope: u8,
    /// How all this came to be.
    pub(crate) reasons: Reasons<'v>,
}

/// Why a selection is as it is.
pub(crate) struct Reasons<'v> {
    /// What was picked from; `None` for a site name.
    pub(crate) decision: Option<&'v Decision>,
    /// The length of the prefix in which the decision holds.
    pub(crate) area: u8,
    /// Whether the client's network chose, beside its place.
    pub(crate) by_network: bool,
    /// Whether the client is in a trial's share; `None`: there is no trial, or it changes nothing.
    pub(crate) on_trial: Option<bool>,
    /// Why the TTL is short, if it is.
    pub(crate) doubt: Option<Doubt>,
    /// Whether a hostname's own TTL is what limits.
    pub(crate) capped: bool,
}

/// Selects for a gateway's hostname; the addresses go into `into`. `None` for a gateway that the view
/// does not have.
pub(crate) fn select<'v>(
    view: &'v View,
    gateway: GatewayId,
    family: Family,
    asker: Asker,
    into: &mut Vec<IpAddr>,
) -> Option<Selected<'v>> {
    let offered = view.offered(gateway, family)?;
    let (split, area) = view.plan(gateway, family)?.decide(asker.client, asker.resolver)?;
    let mut hashed = Hashed { asker, salt: offered.salt, known: None };
    let (decision, on_trial) = match &split.trial {
        None => (&split.live, None),
        Some(trial) if offered.trial_share == Share::ALL => (trial, None),
        Some(trial) if in_trial(offered.trial_share, hashed.hash()) => (trial, Some(true)),
        Some(_) => (&split.live, Some(false)),
    };
    let draw = if offered.sticky { Draw::Client(hashed.hash()) } else { Draw::Random(asker.random) };
    let picked = pick(offered.roster, decision, offered.answers, view.verdicts(), draw, into);
    let by_network = on_trial.is_some() || offered.sticky && picked.drawn;
    let scope = if by_network { area.max(hashed.scope()) } else { area };
    let (ttl, capped) = ttl(&offered, decision);
    let reasons =
        Reasons { decision: Some(decision), area, by_network, on_trial, doubt: decision.doubt, capped };
    Some(Selected { basis: decision.basis, picked, ttl, scope, reasons })
}

/// Selects for the test name of one cluster of a gateway: its endpoints, whatever their health.
pub(crate) fn select_site<'v>(
    view: &'v View,
    gateway: GatewayId,
    site: ClusterId,
    family: Family,
    asker: Asker,
    into: &mut Vec<IpAddr>,
) -> Option<Selected<'v>> {
    let offered = view.offered(gateway, family)?;
    let (permit, area) = view.permit(gateway, asker.client, asker.resolver)?;
    let known = view.ground().catalog().gateway(gateway);
    let standings = standings(known, family, view.verdicts());
    let decision = decide_for_site(known, family, &standings, &permit, site);
    let draw = Draw::Random(asker.random);
    let picked = pick(offered.roster, &decision, None, view.verdicts(), draw, into);
    let (ttl, capped) = ttl(&offered, &decision);
    let reasons = Reasons { decision: None, area, by_network: false, on_trial: None, doubt: None, capped };
    Some(Selected { basis: decision.basis, picked, ttl, scope: area, reasons })
}

/// The TTL, and whether a hostname's own is what limits it.
fn ttl(offered: &Offered<'_>, decision: &Decision) -> (u32, bool) {
    let wanted = if decision.doubt.is_some() { offered.min_ttl } else { offered.ttl };
    match decision.ttl_cap {
        Some(cap) if cap < wanted => (cap, true),
        _ => (wanted, false),
    }
}

//----------- Hashed ---------------------------------------------------------

/// The hash of the client's network, made when it is first asked for.
struct Hashed {
    asker: Asker,
    salt: u64,
    known: Option<(u64, u8)>,
}

impl Hashed {
    fn both(&mut self) -> (u64, u8) {
        let Self { asker, salt, known } = self;
        *known.get_or_insert_with(|| {
            let network = client_network(asker.client);
            (client_hash(*salt, network.key), network.scope)
        })
    }

    fn hash(&mut self) -> u64 {
        self.both().0
    }

    /// How long the prefix is that has this hash.
    fn scope(&mut self) -> u8 {
        self.both().1
    }
}
