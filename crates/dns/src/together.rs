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
use crate::asked::{Asked, Spot};
use crate::limits::{TOGETHER, TOUCHED_NAMES};
use crate::peer::{Moment, Peer};
use crate::select::client;
use crate::view::View;

/// Room for queries that are answered together; made once.
pub struct Room(Box<[Place]>);

struct Place {
    is_plain: bool,
    asked: Asked,
}

impl Default for Room {
    fn default() -> Self {
        Self((0..TOGETHER).map(|_| Place { is_plain: false, asked: Asked::nothing() }).collect())
    }
}

impl Room {
    /// Reads queries, those that are plain, and what the answers to them will most likely read of memory.
    pub(crate) fn read<'p>(
        &mut self,
        view: &View,
        queries: impl Iterator<Item = &'p (Peer, &'p [u8])> + Clone,
    ) {
        self.forget();
        let names = &view.zones().names;
        let mut discloses = false;
        let mut hashes = [0; TOGETHER];
        for ((place, hash), (_, packet)) in self.0.iter_mut().zip(&mut hashes).zip(queries.clone()) {
            let Place { is_plain, asked } = place;
            *is_plain = asked.read(packet).is_some();
            if *is_plain {
                *hash = names.hash(asked.name.ancestor(0));
                discloses |= discloses_client(asked);
            }
        }
        // Apart from the reading, so that nothing else is between two of them.
        for (asked, hash) in self.asked().zip(hashes) {
            if let Some(asked) = asked {
                asked.looked = names.look(hash);
            }
        }
        let has_many = view.zones().nodes.len() >= TOUCHED_NAMES;
        let peers = queries.map(|(peer, _)| peer);
        if has_many {
            self.touch_names(view);
        }
        // A client that speaks for itself is one of few resolvers.
        if has_many || discloses {
            self.look_for_clients(view, peers, has_many);
        }
        if has_many {
            self.touch_gateways(view);
        }
    }

    /// As though nothing had been plain.
    pub(crate) fn forget(&mut self) {
        self.0.iter_mut().for_each(|place| place.is_plain = false);
    }

    /// What was read of each; `None`: it is not plain.
    pub(crate) fn asked(&mut self) -> impl Iterator<Item = Option<&mut Asked>> {
        self.0.iter_mut().map(|place| place.is_plain.then_some(&mut place.asked))
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
            self.read(view, group.iter());
            for (&(peer, packet), asked) in group.iter().zip(self.asked()) {
                let reply = answer_asked(view, asked, packet, peer, moment(), &mut out);
                each(reply, &out);
            }
        }
    }

    /// Reads what will be read of the names.
    fn touch_names(&mut self, view: &View) {
        let zones = view.zones();
        for guess in self.asked().flatten().filter_map(|asked| asked.looked.guess()) {
            zones.names.touch(guess);
            black_box(zones.nodes.get(guess.number() as usize).map(|node| node.zone));
        }
    }

    /// Looks for the clients of queries on the maps that will decide, of `all` or of those alone that disclose theirs.
    fn look_for_clients<'p>(
        &mut self,
        view: &View,
        peers: impl Iterator<Item = &'p Peer> + Clone,
        all: bool,
    ) {
        let mut sought: SmallVec<[(&mut Spot, &ClassMap, IpAddr); TOGETHER]> = SmallVec::new();
        for (asked, peer) in self.asked().zip(peers) {
            let Some(asked) = asked.filter(|asked| all || discloses_client(asked)) else { continue };
            let map = steered(view, asked).and_then(|(gateway, family)| view.plan(gateway, family)?.map());
            if let Some(map) = map {
                let client = client(asked.edns.as_ref(), peer);
                sought.push((&mut asked.spot, map, client));
            }
        }
        // Few steps each, so that a processor is with the next ones while it waits for one.
        sought.iter().for_each(|(_, map, client)| map.touch(*client));
        sought.iter().for_each(|(_, map, client)| map.touch_last(*client));
        sought.into_iter().for_each(|(spot, map, client)| spot.look(map, client));
    }

    /// Reads what will be read of the gateways.
    fn touch_gateways(&mut self, view: &View) {
        for (gateway, family) in self.asked().flatten().filter_map(|asked| steered(view, asked)) {
            black_box(view.offered(gateway, family).map(|offered| offered.offer.ttl));
        }
        for (gateway, family) in self.asked().flatten().filter_map(|asked| steered(view, asked)) {
            touch_roster(view, gateway, family);
        }
    }
}

fn discloses_client(asked: &Asked) -> bool {
    asked.edns.as_ref().is_some_and(|edns| edns.subnet.is_some())
}

/// What most likely decides of a query.
fn steered(view: &View, asked: &Asked) -> Option<(GatewayId, Family)> {
    let node = view.zones().nodes.get(asked.looked.guess()?.number() as usize)?;
    let family = if asked.question_type == RecordType::AAAA { Family::V6 } else { Family::V4 };
    Some((node.gateway?, family))
}

fn touch_roster(view: &View, gateway: GatewayId, family: Family) {
    let target = view.offered(gateway, family).and_then(|offered| match offered.addresses {
        Addresses::V4(listed) => listed.first()?.target,
        Addresses::V6(listed) => listed.first()?.target,
    });
    black_box(target.map(|target| view.verdicts().get(target).verdict));
}
