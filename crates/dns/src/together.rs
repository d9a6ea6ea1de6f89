//! Queries that are answered together: all are read before the first is answered.
//!
//! One query after the other, each waits for its own lines of memory: its name, its gateway, and its client's place in a
//! map of a few hundred thousand ranges, which are in no near cache. In loops of a few steps the waits of many
//! queries are one. Nothing is decided here; a wrong guess costs nothing but its time.

use std::hint::black_box;
use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use meridian_geoip::ClassMap;
use meridian_model::GatewayId;
use meridian_steering::{Addresses, Family};
use smallvec::SmallVec;

use crate::answer::{Reply, answer_asked};
use crate::limits::{TOGETHER, TOUCHED_NAMES};
use crate::name::QueryName;
use crate::peer::{Moment, Peer};
use crate::plain::Asked;
use crate::select::Asker;
use crate::view::View;

/// Room for the names of queries that are answered together; made once.
pub struct Room(Box<[QueryName]>);

impl Default for Room {
    fn default() -> Self {
        Self((0..TOGETHER).map(|_| QueryName::empty()).collect())
    }
}

impl Room {
    /// Reads queries, those that are plain, and what the answers to them will most likely read of memory.
    pub(crate) fn read<'p>(
        &'p mut self,
        view: &View,
        queries: impl Iterator<Item = (Peer, &'p [u8])> + Clone,
    ) -> [Option<Asked<'p>>; TOGETHER] {
        let mut all = [const { None }; TOGETHER];
        let names = &view.zones().names;
        for ((place, name), (_, packet)) in all.iter_mut().zip(&mut self.0).zip(queries.clone()) {
            *place = Asked::read(packet, name);
            if let Some(asked) = place {
                asked.guess = names.guess(asked.name.ancestor(0));
            }
        }
        touch(view, &all, queries.map(|(peer, _)| peer));
        all
    }

    /// Answers queries as a worker does those of a batch. For benches, and tests that hold it to [`crate::answer()`].
    #[doc(hidden)]
    pub fn answer(
        &mut self,
        view: &View,
        queries: &[(Peer, &[u8])],
        mut moment: impl FnMut() -> Moment,
        mut each: impl FnMut(Reply, &[u8]),
    ) {
        let mut out = Vec::new();
        for group in queries.chunks(TOGETHER) {
            let all = self.read(view, group.iter().copied());
            for (&(peer, packet), asked) in group.iter().zip(all) {
                let reply = answer_asked(view, asked, packet, peer, moment(), &mut out);
                each(reply, &out);
            }
        }
    }
}

/// Reads what answers to these will read.
fn touch(view: &View, all: &[Option<Asked<'_>>], peers: impl Iterator<Item = Peer> + Clone) {
    let zones = view.zones();
    let has_many = zones.nodes.len() >= TOUCHED_NAMES;
    let each = || all.iter().zip(peers.clone()).filter_map(|(asked, peer)| Some((asked.as_ref()?, peer)));
    if has_many {
        for guess in each().filter_map(|(asked, _)| asked.guess) {
            zones.names.touch(guess);
            black_box(zones.nodes.get(guess.number() as usize).map(|node| node.zone));
        }
    }
    let gateways = || {
        each().filter_map(|(asked, peer)| {
            let node = zones.nodes.get(asked.guess?.number() as usize)?;
            let family = if asked.question_type == RecordType::AAAA { Family::V6 } else { Family::V4 };
            Some((asked, peer, node.gateway?, family))
        })
    };
    // A client that speaks for itself is one of few resolvers.
    let clients = gateways().filter_map(|(asked, peer, gateway, family)| {
        let disclosed = asked.edns.as_ref().is_some_and(|edns| edns.subnet.is_some());
        let client = Asker::new(asked.edns.as_ref(), peer, Moment::default().random).client;
        (disclosed || has_many).then_some((view.plan(gateway, family)?.map()?, client))
    });
    // So that nothing but the reading is between two of them.
    let clients: SmallVec<[(&ClassMap, IpAddr); TOGETHER]> = clients.collect();
    for &(map, client) in &clients {
        map.touch(client);
    }
    for (map, client) in clients {
        black_box(map.lookup(client));
    }
    if has_many {
        for (_, _, gateway, family) in gateways() {
            black_box(view.offered(gateway, family).map(|offered| offered.ttl));
        }
        for (_, _, gateway, family) in gateways() {
            touch_roster(view, gateway, family);
        }
    }
}

fn touch_roster(view: &View, gateway: GatewayId, family: Family) {
    let target = view.offered(gateway, family).and_then(|offered| match offered.roster.addresses {
        Addresses::V4(listed) => listed.first()?.target,
        Addresses::V6(listed) => listed.first()?.target,
    });
    black_box(target.map(|target| view.verdicts().get(target).verdict));
}
