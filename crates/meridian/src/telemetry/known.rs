//! What is known of one query that was taken down.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{RData, RecordType};
use meridian_dns::{Asked, Reply, Taken, Transport, View};
use meridian_model::{Catalog, GatewayId};

use crate::logs::QUERY_LOG;

/// All of it, from the octets and the view that it was answered from.
pub(super) struct Known<'t> {
    pub(super) taken: &'t Taken,
    pub(super) view: &'t View,
    /// What was asked; `None` where that could not be read.
    pub(super) asked: Option<Asked>,
    /// Whose name it is, where the answer depends on who asks.
    pub(super) gateway: Option<&'t str>,
    /// The clusters of the addresses.
    pub(super) clusters: Vec<&'t str>,
    /// The mnemonic of what was answered, or what was done in place of an answer.
    pub(super) rcode: &'static str,
    /// The addresses in the answer.
    pub(super) addresses: Vec<IpAddr>,
    /// The ECS scope, where the client's subnet was disclosed.
    pub(super) scope: Option<u8>,
}

impl<'t> Known<'t> {
    /// `None` of what has no view, which is none that was taken.
    pub(super) fn of(taken: &'t Taken) -> Option<Self> {
        let view = taken.view.as_deref()?;
        let catalog = view.ground().catalog();
        let asked = Asked::of(view, &taken.query, taken.peer, taken.moment);
        let gateway = asked.as_ref().and_then(|asked| asked.gateway(view));
        let reply = Message::from_vec(&taken.answer).ok();
        let addresses: Vec<IpAddr> =
            reply.iter().flat_map(|reply| &reply.answers).filter_map(address).collect();
        let clusters = gateway.map(|gateway| clusters(catalog, gateway, &addresses)).unwrap_or_default();
        let rcode = match taken.reply {
            Reply::Sent { rcode, .. } => rcode.as_str(),
            Reply::Dropped => "dropped",
            Reply::Transfer(_) => "transfer",
            Reply::None => "none",
        };
        let scope = reply.as_ref().and_then(scope);
        let gateway = gateway.map(|id| &*catalog.gateway(id).name);
        Some(Self { taken, view, asked, gateway, clusters, rcode, addresses, scope })
    }

    pub(super) fn transport(&self) -> &'static str {
        match self.taken.peer.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Https => "https",
            Transport::Quic => "quic",
        }
    }

    /// The mnemonic of what was asked for.
    pub(super) fn record_type(&self) -> Option<String> {
        self.asked.as_ref().map(|asked| RecordType::from(asked.question_type).to_string())
    }

    /// For whom it was asked, and by whom if that is another.
    pub(super) fn client(&self) -> (IpAddr, Option<IpAddr>) {
        self.asked.as_ref().map_or((self.taken.peer.address, None), |asked| (asked.client, asked.resolver))
    }

    /// A line of the query log.
    pub(super) fn log(&self) {
        let (client, resolver) = self.client();
        let resolver = resolver.map(tracing::field::display);
        let name = self.asked.as_ref().map(|asked| asked.name.as_str());
        let took = self.taken.replied.duration_since(self.taken.received).unwrap_or_default();
        tracing::info!(
            target: QUERY_LOG,
            name,
            r#type = self.record_type(),
            %client,
            resolver,
            transport = self.transport(),
            rcode = self.rcode,
            gateway = self.gateway,
            cluster = listed(&self.clusters),
            addresses = listed(&self.addresses),
            scope = self.scope,
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "query"
        );
    }
}

/// `None` of nothing, so that there is no such field.
fn listed<T: ToString>(all: &[T]) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().map(T::to_string).collect::<Vec<_>>().join(" "))
}

fn address(record: &hickory_proto::rr::Record) -> Option<IpAddr> {
    match record.data {
        RData::A(ip) => Some(ip.0.into()),
        RData::AAAA(ip) => Some(ip.0.into()),
        _ => None,
    }
}

fn scope(reply: &Message) -> Option<u8> {
    match reply.edns.as_ref().map(Edns::options)?.get(EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some(subnet.scope_prefix()),
        _ => None,
    }
}

/// Each once, in the order of the endpoints.
fn clusters<'c>(catalog: &'c Catalog, gateway: GatewayId, addresses: &[IpAddr]) -> Vec<&'c str> {
    let mut names: Vec<&str> = Vec::new();
    for endpoint in &catalog.gateway(gateway).endpoints {
        if endpoint.addresses.iter().any(|address| addresses.contains(&address.ip)) {
            let name = &*catalog.cluster(endpoint.cluster).name;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}
