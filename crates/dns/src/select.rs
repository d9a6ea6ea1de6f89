//! Steps 4 and 5 of a query: where the client is, and what it gets.

use std::borrow::Cow;
use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use meridian_geoip::client_network;
use meridian_model::{ClusterId, GatewayId, Share};
use meridian_steering::{
    Basis, Decision, Doubt, Draw, Family, Given, Picked, Split, client_hash, decide, decide_for_site,
    in_trial, pick, standings,
};

use crate::asked::Spot;
use crate::ecs::ClientSubnet;
use crate::edns::Edns;
use crate::peer::Peer;
use crate::view::{Offered, View};

//----------- Asker ----------------------------------------------------------

/// Who asks for a steered name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// The subnet that was disclosed; else the resolver stands for its clients.
    pub(crate) client: IpAddr,
    /// How many leading bits of that were disclosed: the answer is for all who share them.
    pub(crate) source: u8,
    /// Who sent the query.
    pub(crate) resolver: IpAddr,
    /// What chooses where nothing else does.
    pub(crate) random: u64,
    /// Whether both families are asked for together: then the same `random` chooses the same endpoints.
    pub(crate) in_both: bool,
    /// What is known of where the client is.
    pub(crate) spot: Spot,
}

/// Whether a type asks for the addresses of one family.
pub(crate) fn is_address(question_type: u16) -> bool {
    matches!(RecordType::from(question_type), RecordType::A | RecordType::AAAA)
}

impl Asker {
    /// Who sent a query: for whom its subnet speaks, if the peer's word counts, else for itself.
    #[inline]
    pub(crate) fn new(edns: Option<&Edns>, peer: &Peer, random: u64) -> Self {
        match edns.and_then(Edns::client) {
            Some(subnet) => {
                let source = subnet.source();
                Self { source, ..Self::alone(subnet.address(), peer.address, random) }
            }
            None => Self::alone(peer.address, peer.address, random),
        }
    }

    /// One client by itself.
    #[inline]
    pub(crate) fn alone(client: IpAddr, resolver: IpAddr, random: u64) -> Self {
        let source = if client.is_ipv4() { 32 } else { 128 };
        Self { client, source, resolver, random, in_both: false, spot: Spot::default() }
    }
}

/// For whom a query is: whom its subnet speaks for, if the peer's word counts, else who sent it.
#[inline]
pub(crate) fn client(edns: Option<&Edns>, peer: &Peer) -> IpAddr {
    edns.and_then(Edns::client).map_or(peer.address, ClientSubnet::address)
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

impl Selected<'_> {
    /// Whether there was nothing to pick from.
    pub(crate) fn is_empty(&self) -> bool {
        self.reasons.decision.as_ref().is_some_and(|decision| decision.candidates.is_empty())
    }
}

/// Why a selection is as it is.
pub(crate) struct Reasons<'v> {
    /// What was picked from; `None` for a site name.
    pub(crate) decision: Option<Cow<'v, Decision>>,
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
    asker: &Asker,
    into: &mut Given,
) -> Option<Selected<'v>> {
    let offered = view.offered(gateway, family)?;
    let (split, area) = view.plan(gateway, family)?.decide(asker)?;
    match decide_spanning(view, gateway, family, asker, area) {
        None => Some(select_from(view, gateway, (split, area), &offered, asker, into)),
        Some(split) => {
            let selected = select_from(view, gateway, (&split, area), &offered, asker, into);
            let decision = selected.reasons.decision.map(|decision| Cow::Owned(decision.into_owned()));
            Some(Selected { reasons: Reasons { decision, ..selected.reasons }, ..selected })
        }
    }
}

/// The same from a split that holds for the asker, in a prefix of this length.
fn select_from<'v>(
    view: &View,
    gateway: GatewayId,
    (split, area): (&'v Split, u8),
    offered: &Offered<'_>,
    asker: &Asker,
    into: &mut Given,
) -> Selected<'v> {
    let mut hashed = Hashed { client: asker.client, salt: offered.offer.salt, known: None };
    let on_trial = match &split.trial {
        None => None,
        Some(_) if offered.offer.trial_share == Share::ALL => None,
        Some(_) => Some(in_trial(offered.offer.trial_share, hashed.hash())),
    };
    let decision = decision_of(split, on_trial);
    let draw = match offered.offer.sticky {
        true => Draw::Client(hashed.hash()),
        // A rendezvous chooses by what an endpoint is, and not by which others have the family.
        false if asker.in_both => Draw::Client(asker.random),
        false => Draw::Random(asker.random),
    };
    let picked = pick(offered.roster(), decision, offered.offer.answers, view.health(gateway), draw, into);
    let by_network = on_trial.is_some() || offered.offer.sticky && picked.drawn;
    let scope = if by_network { area.max(hashed.scope()) } else { area };
    let (ttl, capped) = ttl(offered, decision);
    let (basis, doubt) = (decision.basis, decision.doubt);
    let decision = Some(Cow::Borrowed(decision));
    let reasons = Reasons { decision, area, by_network, on_trial, doubt, capped };
    Selected { basis, picked, ttl, scope, reasons }
}

/// What all clients of a disclosed subnet get, where residency does not permit them the same: the clusters
/// that each of them may have, in the order of its first address. Rare, and so not prepared.
fn decide_spanning(
    view: &View,
    gateway: GatewayId,
    family: Family,
    asker: &Asker,
    area: u8,
) -> Option<Split> {
    // All of the subnet has one decision.
    if area <= asker.source {
        return None;
    }
    let outlook = view.ground().outlooks(gateway)?.spanning(asker.client, asker.source, asker.resolver)?;
    let known = view.ground().catalog().gateway(gateway);
    let standings = standings(known, family, view.health(gateway));
    Some(decide(known, family, &standings, &outlook, &mut ()))
}

/// The trial's decision for who is in it, or where all are (`None`); else that of the live track.
fn decision_of(split: &Split, on_trial: Option<bool>) -> &Decision {
    let is_live = on_trial == Some(false);
    split.trial.as_ref().filter(|_| !is_live).unwrap_or(&split.live)
}

/// Selects for the test name of one cluster of a gateway: its endpoints, whatever their health and whatever
/// operators say, so that a cluster can be tested before it is taken in again.
pub(crate) fn select_site<'v>(
    view: &'v View,
    gateway: GatewayId,
    site: ClusterId,
    family: Family,
    asker: Asker,
    into: &mut Given,
) -> Option<Selected<'v>> {
    let offered = view.offered(gateway, family)?;
    let (permit, area) = if view.ground().outlooks(gateway)?.is_alike_for(site) {
        // Whose subnet it is, and how wide, does not matter: any client's permit will do.
        let any = Asker::alone(asker.client, asker.resolver, asker.random);
        (view.permit(gateway, any)?.0, 0)
    } else {
        view.permit(gateway, asker)?
    };
    let known = view.ground().catalog().gateway(gateway);
    let standings = standings(known, family, view.verdicts());
    let decision = decide_for_site(known, family, &standings, &permit, site);
    let draw = Draw::Random(asker.random);
    let picked = pick(offered.roster(), &decision, None, view.verdicts(), draw, into);
    let (ttl, capped) = ttl(&offered, &decision);
    let reasons = Reasons { decision: None, area, by_network: false, on_trial: None, doubt: None, capped };
    Some(Selected { basis: decision.basis, picked, ttl, scope: area, reasons })
}

/// The TTL, and whether a hostname's own is what limits it.
fn ttl(offered: &Offered<'_>, decision: &Decision) -> (u32, bool) {
    let wanted = if decision.doubt.is_some() { offered.offer.min_ttl } else { offered.offer.ttl };
    match decision.ttl_cap {
        Some(cap) if cap < wanted => (cap, true),
        _ => (wanted, false),
    }
}

//----------- Hashed ---------------------------------------------------------

/// The hash of the client's network, made when it is first asked for.
struct Hashed {
    client: IpAddr,
    salt: u64,
    known: Option<(u64, u8)>,
}

impl Hashed {
    fn both(&mut self) -> (u64, u8) {
        let Self { client, salt, known } = self;
        *known.get_or_insert_with(|| {
            let network = client_network(*client);
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
