//! Reading ahead: what the answers to a batch will need from memory.
//!
//! One query after the other, each waits for its own lines of memory: with a million names, and a map of a few hundred
//! thousand ranges, they are in no near cache. In loops of a few steps the waits of many queries are one. Nothing is
//! decided here; a wrong guess costs nothing but its time.

use std::hint::black_box;
use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use meridian_steering::{Addresses, Family};

use crate::answer::{Moment, Peer, Transport};
use crate::limits::{AHEAD_NAMES, UDP_BATCH};
use crate::plain::Asked;
use crate::select::Asker;
use crate::view::View;

/// Reads what answers to these packets will most likely read, where there are so many names that it pays.
pub fn read_ahead(view: &View, packets: &mut dyn Iterator<Item = (IpAddr, &[u8])>) {
    let zones = view.zones();
    if zones.nodes.len() < AHEAD_NAMES {
        return;
    }
    let mut wanted = [None; UDP_BATCH];
    let mut count = 0;
    for (place, (address, packet)) in wanted.iter_mut().zip(packets) {
        count += 1;
        let Some(asked) = Asked::read(packet) else { continue };
        let family = if asked.question_type == RecordType::AAAA { Family::V6 } else { Family::V4 };
        let peer = Peer { address, transport: Transport::Udp };
        let asker = Asker::new(asked.edns.as_ref(), peer, Moment::default().random);
        if let Some(number) = zones.names.guess(asked.name.ancestor(0)) {
            *place = Some((number, family, asker));
        }
    }
    let wanted = || wanted.iter().take(count).flatten();
    for (number, ..) in wanted() {
        black_box(zones.names.wire(*number).first());
        black_box(zones.nodes.get(*number as usize).map(|node| node.zone));
    }
    let gateways = || {
        wanted().filter_map(|(number, family, asker)| {
            let node = zones.nodes.get(*number as usize)?;
            Some((node.gateway?, *family, asker))
        })
    };
    for (gateway, family, asker) in gateways() {
        let plan = view.plan(gateway, family);
        black_box(plan.and_then(|plan| plan.decide(asker.client, asker.resolver)).map(|(_, scope)| scope));
        black_box(view.offered(gateway, family).map(|offered| offered.ttl));
    }
    for (gateway, family, _) in gateways() {
        let target = view.offered(gateway, family).and_then(|offered| match offered.roster.addresses {
            Addresses::V4(listed) => listed.first()?.target,
            Addresses::V6(listed) => listed.first()?.target,
        });
        black_box(target.map(|target| view.verdicts().get(target).verdict));
    }
}
