//! The short way of a query and the general one: the same octets.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use meridian_dns::{Moment, Peer, Reply, Room, View, answer, answer_generally};

use super::packet::{PAUSE_US, TIMES, UNIX_S, Worlds, peer, worlds};

/// Answers a packet as [`answer`] does, which must be what comes of the general way, and of the short way of a batch.
///
/// For views without a limit of replies, which would count the packet twice.
///
/// # Errors
/// What differs.
pub fn same_both_ways(
    view: &View,
    packet: &[u8],
    peer: Peer,
    moment: Moment,
    out: &mut Vec<u8>,
) -> Result<Reply> {
    let reply = answer(view, packet, peer, moment, out);
    let mut generally = Vec::new();
    same(reply, out, answer_generally(view, packet, peer, moment, &mut generally), &generally)?;
    let mut differs = Ok(());
    ROOM.with_borrow_mut(|room| {
        room.answer(
            view,
            &[(peer, packet)],
            || moment,
            |together, octets| differs = same(together, octets, reply, out).context("in a batch"),
        );
    });
    differs.map(|()| reply)
}

thread_local! {
    /// What one query leaves there must not matter to the next.
    static ROOM: RefCell<Room> = RefCell::default();
}

fn same(reply: Reply, out: &[u8], general: Reply, generally: &[u8]) -> Result<()> {
    ensure!(reply == general, "{reply:?} in short, {general:?} in general");
    ensure!(out == generally, "in short:\n{out:02x?}\nin general:\n{generally:02x?}");
    Ok(())
}

/// Answers a packet both ways. The input is that of [`super::packet`]; where replies are limited, two servers
/// have the same packets, each its way.
///
/// # Errors
/// What differs.
pub fn paths(input: &[u8]) -> Result<()> {
    static UPTIME_US: AtomicU64 = AtomicU64::new(0);
    let Some((&how, packet)) = input.split_first() else { return Ok(()) };
    let Worlds { free, twins: [one, other], .. } = worlds();
    let health = usize::from(how >> 4 & 1);
    let (peer, random) = (peer(how), u64::from(how >> 6));
    let uptime_us = UPTIME_US.fetch_add(PAUSE_US, Ordering::Relaxed);
    let moment = Moment { random, unix_s: UNIX_S, uptime_us };
    let (mut out, mut generally) = (Vec::new(), Vec::new());
    if how >> 5 & 1 == 0 {
        return same_both_ways(&free[health], packet, peer, moment, &mut out).map(drop);
    }
    for time in 0..TIMES {
        let moment = Moment { random: random + time, ..moment };
        let reply = answer(&one[health], packet, peer, moment, &mut out);
        let general = answer_generally(&other[health], packet, peer, moment, &mut generally);
        same(reply, &out, general, &generally).with_context(|| format!("reply {time}"))?;
    }
    Ok(())
}
