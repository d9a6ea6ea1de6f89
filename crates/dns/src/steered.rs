//! Answers that depend on who asks: addresses, HTTPS records, aliases, and why there is none.

use std::net::IpAddr;

use hickory_proto::rr::rdata::svcb::{Alpn, EchConfigList, IpHint, SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, HTTPS};
use hickory_proto::rr::{Name, RData, RecordType};
use meridian_model::{ClusterId, GatewayId, Https};
use meridian_steering::{Basis, Family, Given};

use crate::answer::{Answering, Denied, Ended, authoritative};
use crate::edns::Edns;
use crate::facts::Chosen;
use crate::message::Rcode;
use crate::name::to_name;
use crate::reply::{Ending, ExtendedError};
use crate::select::{Asker, Selected, select, select_site};
use crate::view::View;
use crate::zone::{Apex, RrSet};

/// RFC 8914 §4.1: no registered code says that health left nothing.
const ALL_DOWN: ExtendedError = ExtendedError { code: 0, text: "no healthy endpoint" };
/// Nor that an operator left nothing.
const TAKEN_OUT: ExtendedError = ExtendedError { code: 0, text: "every endpoint is taken out of service" };
/// RFC 8914 §4.19.
const PROHIBITED: ExtendedError =
    ExtendedError { code: 18, text: "residency: no cluster may serve this client" };
/// RFC 8914 §4.18.
const FILTERED: ExtendedError =
    ExtendedError { code: 17, text: "residency: no cluster that may serve this client can" };

/// The SvcPriority of our HTTPS records: ServiceMode, one record (RFC 9460 §2.4.1).
pub(crate) const SERVICE_MODE: u16 = 1;

//----------- Outcome --------------------------------------------------------

/// What a steered name has for whoever asks, in one view.
pub(crate) enum Outcome {
    /// These records, the scope in which they are the same, and what is counted of them.
    Set(RrSet, u8, Option<Chosen>),
    /// No address, and why.
    Empty(Basis, u8),
    /// The name has nothing of the type.
    NoData(u8),
    /// The view has no such gateway.
    Broken,
}

/// What a gateway's hostname has.
pub(crate) fn of_gateway(
    view: &View,
    gateway: GatewayId,
    question_type: RecordType,
    asker: Asker,
) -> Outcome {
    let family = match question_type {
        RecordType::A => Family::V4,
        RecordType::AAAA => Family::V6,
        _ => return other(view, gateway, question_type, asker),
    };
    let mut addresses = Given::new();
    let selected = select(view, gateway, family, &asker, &mut addresses);
    let chosen = selected.as_ref().map(|selected| chosen(view, gateway, selected, asker.client));
    of_selection(view, gateway, question_type, selected, addresses, chosen)
}

/// What the test name of one cluster of a gateway has. That steers nobody, and so is not counted.
pub(crate) fn of_site(
    view: &View,
    gateway: GatewayId,
    site: ClusterId,
    question_type: RecordType,
    asker: Asker,
) -> Outcome {
    let family = if question_type == RecordType::A { Family::V4 } else { Family::V6 };
    let mut addresses = Given::new();
    let selected = select_site(view, gateway, site, family, asker, &mut addresses);
    of_selection(view, gateway, question_type, selected, addresses, None)
}

/// A selection: its addresses, its hostname, or the reason why there is neither.
fn of_selection(
    view: &View,
    gateway: GatewayId,
    record_type: RecordType,
    selected: Option<Selected<'_>>,
    addresses: Given,
    chosen: Option<Chosen>,
) -> Outcome {
    let Some(Selected { basis, picked, ttl, scope, .. }) = selected else {
        return Outcome::Broken;
    };
    if let Some(endpoint) = picked.cname {
        return alias(view, gateway, endpoint, ttl, scope, chosen);
    }
    if addresses.is_empty() {
        return Outcome::Empty(basis, scope);
    }
    let data = addresses.into_iter().map(address_data).collect();
    Outcome::Set(RrSet::new(record_type, ttl, data), scope, chosen)
}

/// Any other type: HTTPS where the gateway has it, and a CNAME where one is picked, which holds
/// for every type.
fn other(view: &View, gateway: GatewayId, question_type: RecordType, asker: Asker) -> Outcome {
    let https = view.ground().catalog().gateway(gateway).https.as_ref();
    let https = https.filter(|_| question_type == RecordType::HTTPS);
    let (mut v4, mut v6) = (Given::new(), Given::new());
    let Some(both) = Both::select(view, gateway, asker, &mut v4, &mut v6) else {
        return Outcome::Broken;
    };
    let (scope, Both { first, second }) = (both.scope(), &both);
    let chosen = Some(chosen(view, gateway, both.one(), asker.client));
    if let Some(endpoint) = both.cname() {
        return alias(view, gateway, endpoint, first.ttl.min(second.ttl), scope, chosen);
    }
    let none = first.is_empty() && second.is_empty();
    let Some(https) = https else {
        // For others the CNAME is what every type gets: without it, the reason is.
        let has_cname = view.ground().catalog().gateway(gateway).has_cname();
        return if none && has_cname { Outcome::Empty(first.basis, scope) } else { Outcome::NoData(scope) };
    };
    if v4.is_empty() && v6.is_empty() {
        // What one family says is as good as the other, but for having no address at all.
        let basis = if first.basis == Basis::NoAddress { second.basis } else { first.basis };
        return Outcome::Empty(basis, scope);
    }
    let data = vec![RData::HTTPS(HTTPS(service(https, v4, v6)))];
    Outcome::Set(RrSet::new(RecordType::HTTPS, both.ttl(), data), scope, chosen)
}

/// What a client gets in both families, chosen alike.
pub(crate) struct Both<'v> {
    first: Selected<'v>,
    second: Selected<'v>,
}

impl<'v> Both<'v> {
    pub(crate) fn select(
        view: &'v View,
        gateway: GatewayId,
        asker: Asker,
        v4: &mut Given,
        v6: &mut Given,
    ) -> Option<Self> {
        let asker = Asker { in_both: true, ..asker };
        let first = select(view, gateway, Family::V4, &asker, v4)?;
        let second = select(view, gateway, Family::V6, &asker, v6)?;
        Some(Self { first, second })
    }

    /// The endpoint whose hostname is the answer.
    pub(crate) fn cname(&self) -> Option<u16> {
        self.first.picked.cname.or(self.second.picked.cname)
    }

    /// The one that the answer counts for: the first that leads anywhere.
    pub(crate) fn one(&self) -> &Selected<'v> {
        if self.first.picked.first.is_some() { &self.first } else { &self.second }
    }

    pub(crate) fn scope(&self) -> u8 {
        self.first.scope.max(self.second.scope)
    }

    /// How long the addresses of both may be kept: a family without one says nothing of the other.
    pub(crate) fn ttl(&self) -> u32 {
        let Self { first, second } = self;
        match (&first.reasons.decision, &second.reasons.decision) {
            (Some(one), _) if one.candidates.is_empty() => second.ttl,
            (_, Some(one)) if one.candidates.is_empty() => first.ttl,
            _ => first.ttl.min(second.ttl),
        }
    }
}

/// The hostname of an endpoint that is handed out itself.
fn alias(
    view: &View,
    gateway: GatewayId,
    endpoint: u16,
    ttl: u32,
    scope: u8,
    chosen: Option<Chosen>,
) -> Outcome {
    let endpoints = &view.ground().catalog().gateway(gateway).endpoints;
    let name = endpoints.get(usize::from(endpoint)).and_then(|endpoint| endpoint.name.as_ref());
    match name.and_then(|name| to_name(&name.name).ok()) {
        Some(target) => {
            let data = vec![RData::CNAME(CNAME(target))];
            Outcome::Set(RrSet::new(RecordType::CNAME, ttl, data), scope, chosen)
        }
        // `config` lets no such name through.
        None => Outcome::Broken,
    }
}

//----------- Writing --------------------------------------------------------

impl Answering<'_> {
    /// A gateway's hostname.
    pub(crate) fn steered(&mut self, zone: &Apex, gateway: GatewayId, owner: &Name) -> Ended {
        let outcome = of_gateway(self.view, gateway, self.query.question_type.into(), self.asker());
        self.outcome(zone, gateway, owner, outcome)
    }

    /// The test name of one cluster of a gateway.
    pub(crate) fn site(&mut self, zone: &Apex, gateway: GatewayId, site: ClusterId, owner: &Name) -> Ended {
        let outcome = of_site(self.view, gateway, site, self.query.question_type.into(), self.asker());
        self.outcome(zone, gateway, owner, outcome)
    }

    fn outcome(&mut self, zone: &Apex, gateway: GatewayId, owner: &Name, outcome: Outcome) -> Ended {
        match outcome {
            // RFC 7871 §7.2.1: with a scope, a tailored CNAME stands alone; the resolver follows it.
            Outcome::Set(set, scope, chosen) => {
                self.answer(owner, &set);
                let ending = Ending { chosen, tailored: true, ..authoritative() };
                (Rcode::NoError, Ending { scope: self.disclosed_scope(scope), ..ending })
            }
            Outcome::Empty(basis, scope) => self.empty(zone, gateway, owner, basis, scope),
            Outcome::NoData(scope) => {
                self.negative(zone, owner, zone.negative_ttl);
                let scope = self.disclosed_scope(scope);
                (Rcode::NoError, Ending { scope, tailored: true, ..authoritative() })
            }
            Outcome::Broken => (Rcode::ServFail, Ending::default()),
        }
    }

    /// No address: NODATA, with an Extended DNS Error that says why.
    fn empty(&mut self, zone: &Apex, gateway: GatewayId, owner: &Name, basis: Basis, scope: u8) -> Ended {
        let (error, denied) = match basis {
            Basis::Prohibited => (Some(PROHIBITED), Some(Denied::Prohibited)),
            Basis::Filtered => (Some(FILTERED), Some(Denied::Filtered)),
            Basis::AllDown => (Some(ALL_DOWN), None),
            Basis::TakenOut => (Some(TAKEN_OUT), None),
            _ => (None, None),
        };
        // What health or an operator made empty can be filled again at any time.
        let short = !matches!(basis, Basis::NoAddress | Basis::Prohibited);
        let min_ttl = self.view.ground().catalog().gateway(gateway).min_ttl;
        self.negative(zone, owner, if short { zone.negative_ttl.min(min_ttl) } else { zone.negative_ttl });
        let scope = self.disclosed_scope(scope);
        let chosen = Some(Chosen { basis, series: None });
        (Rcode::NoError, Ending { scope, error, denied, tailored: true, chosen, ..authoritative() })
    }

    fn asker(&self) -> Asker {
        Asker::new(self.query.edns.as_ref(), &self.peer, self.moment.random)
    }

    fn disclosed_scope(&self, scope: u8) -> u8 {
        disclosed_scope(self.query.edns.as_ref(), scope)
    }
}

/// What is counted of a selection for a client.
#[inline]
pub(crate) fn chosen(view: &View, gateway: GatewayId, selected: &Selected<'_>, client: IpAddr) -> Chosen {
    let first = selected.picked.first;
    let series = first.and_then(|endpoint| view.ground().series_of(gateway, endpoint, client));
    Chosen { basis: selected.basis, series }
}

/// RFC 7871 §7.2.1: a scope only for what the client disclosed.
pub(crate) fn disclosed_scope(edns: Option<&Edns>, scope: u8) -> u8 {
    if edns.and_then(Edns::client).is_some() { scope } else { 0 }
}

fn address_data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

/// The service at the name itself, with the addresses of the same selection as hints. The parameters
/// stand in the order of their keys (RFC 9460 §2.2).
fn service(https: &Https, v4: Given, v6: Given) -> SVCB {
    let mut parameters = Vec::new();
    if !https.alpn.is_empty() {
        let ids = https.alpn.iter().map(|id| String::from(&**id)).collect();
        parameters.push((SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(ids))));
    }
    if let Some(port) = https.port {
        parameters.push((SvcParamKey::Port, SvcParamValue::Port(port)));
    }
    let hints: Vec<A> =
        v4.into_iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(A(ip)) } else { None }).collect();
    if !hints.is_empty() {
        parameters.push((SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(hints))));
    }
    if let Some(ech) = &https.ech {
        parameters
            .push((SvcParamKey::EchConfigList, SvcParamValue::EchConfigList(EchConfigList(ech.to_vec()))));
    }
    let hints: Vec<AAAA> =
        v6.into_iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(AAAA(ip)) } else { None }).collect();
    if !hints.is_empty() {
        parameters.push((SvcParamKey::Ipv6Hint, SvcParamValue::Ipv6Hint(IpHint(hints))));
    }
    SVCB::new(SERVICE_MODE, Name::root(), parameters)
}
