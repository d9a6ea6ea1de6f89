//! A packet in, an answer out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use hickory_proto::op::Message;
use meridian_dns::{Moment, Peer, Rcode, Reply, Transport, View, answer};
use meridian_model::{TargetHealth, Verdict, Verdicts};

use crate::walk::{EdnsOption, Opt, Walked, walk};

//----------- packet ---------------------------------------------------------

/// What the cookies of the corpus were made at.
pub(super) const UNIX_S: u64 = 1_700_000_000;
/// From one input to the next, in microseconds: all buckets of the rate limit are full again.
pub(super) const PAUSE_US: u64 = 3_000_000;
/// How often a packet comes where replies are limited to two a second.
pub(super) const TIMES: u64 = 5;

const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
/// Options of a reply that only one with the same in its query may have: NSID and those above.
const ASKED_FOR: [u16; 5] = [3, SUBNET, COOKIE, KEEPALIVE, PADDING];
const AXFR: u16 = 252;
const SOA: u16 = 6;
const TSIG: u16 = 250;

/// Answers a packet and holds the reply to the protocol. The first octet of the input says who asks and how:
/// three bits for the transport, one each for IPv6, for a view in which endpoints are down, and for a
/// server with a limit of replies. The others are the packet.
///
/// # Errors
/// What is wrong with the reply.
pub fn packet(input: &[u8]) -> Result<()> {
    static UPTIME_US: AtomicU64 = AtomicU64::new(0);
    let Some((&how, packet)) = input.split_first() else { return Ok(()) };
    let worlds = worlds();
    let health = usize::from(how >> 4 & 1);
    let peer = peer(how);
    let moment = Moment {
        random: u64::from(how >> 6),
        unix_s: UNIX_S,
        uptime_us: UPTIME_US.fetch_add(PAUSE_US, Ordering::Relaxed),
    };
    let asked = walk(packet).ok();
    let mut out = Vec::new();
    if how >> 5 & 1 == 1 {
        for time in 0..TIMES {
            let moment = Moment { random: moment.random + time, ..moment };
            let reply = answer(&worlds.limited[health], packet, peer, moment, &mut out);
            hold(packet, asked.as_ref(), peer, &out, reply).with_context(|| format!("reply {time}"))?;
        }
        return Ok(());
    }
    let view = &worlds.free[health];
    let reply = answer(view, packet, peer, moment, &mut out);
    hold(packet, asked.as_ref(), peer, &out, reply)?;
    ensure!(!matches!(reply, Reply::Dropped | Reply::Sent { slipped: true, .. }), "limited without a limit");
    let mut again = Vec::new();
    let same = answer(view, packet, peer, moment, &mut again) == reply && again == out;
    ensure!(same, "asked twice, answered differently");
    if let Reply::Sent { truncated: false, .. } = reply {
        answer(view, packet, Peer { transport: Transport::Tcp, ..peer }, moment, &mut again);
        same_over_tcp(&out, &again).context("over TCP")?;
    }
    Ok(())
}

pub(super) fn peer(how: u8) -> Peer {
    let transport = match how & 7 {
        1 => Transport::Tcp,
        2 => Transport::Tls,
        3 => Transport::Https,
        4 => Transport::Quic,
        _ => Transport::Udp,
    };
    let address = match how >> 3 & 1 {
        0 => IpAddr::V4(Ipv4Addr::new(10, 1, 0, 53)),
        _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x53)),
    };
    Peer { address, transport }
}

//----------- World ----------------------------------------------------------

/// By health: all healthy, and some not.
pub(super) struct Worlds {
    pub(super) free: [View; 2],
    limited: [View; 2],
    /// The limited ones twice more, each with buckets of its own.
    pub(super) twins: [[View; 2]; 2],
}

/// The configuration that packets are answered from, and its folder.
#[must_use]
pub fn world() -> (&'static str, PathBuf) {
    (include_str!("../../fuzz/world.toml"), Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz"))
}

/// It is read once.
pub(super) fn worlds() -> &'static Worlds {
    static WORLDS: OnceLock<Worlds> = OnceLock::new();
    WORLDS.get_or_init(|| {
        let (text, folder) = world();
        let limit = "[server.rate_limit]\nper_client = 2\nerrors = 1\n";
        let views = |text: &str| {
            let loaded = meridian::load_text(text, &folder.join("world.toml"));
            let ground = loaded.unwrap_or_else(|issues| panic!("{issues}")).ground;
            let targets = ground.catalog().targets().len();
            let view = |all: &[Verdict]| {
                let health = all.iter().cycle().map(|&verdict| TargetHealth {
                    verdict,
                    in_doubt: verdict != Verdict::Healthy,
                    lost: 0,
                });
                View::new(ground.clone(), Verdicts::new(health.take(targets).collect()), None)
            };
            [view(&[Verdict::Healthy]), view(&[Verdict::Unhealthy, Verdict::Healthy, Verdict::Degraded])]
        };
        let limited = || views(&format!("{text}\n{limit}"));
        Worlds { free: views(text), limited: limited(), twins: [limited(), limited()] }
    })
}

//----------- What must hold -------------------------------------------------

fn hold(packet: &[u8], asked: Option<&Walked>, peer: Peer, out: &[u8], reply: Reply) -> Result<()> {
    let silent = packet.len() < 12 || packet[2] & 0x80 != 0;
    let (rcode, truncated, slipped) = match reply {
        Reply::None => {
            ensure!(silent && out.is_empty(), "no reply to a query");
            return Ok(());
        }
        Reply::Dropped => {
            ensure!(!silent && peer.transport == Transport::Udp, "dropped, but not a query over UDP");
            return Ok(());
        }
        Reply::Transfer(_) => anyhow::bail!("a transfer, which nobody may have here"),
        Reply::Sent { rcode, truncated, slipped, denied: _, tailored: _, facts: _ } => {
            (rcode, truncated, slipped)
        }
    };
    ensure!(!silent, "a reply to what is no query");
    let walked = walk(out).context("the reply")?;
    ensure!(walked.left == 0, "{} octets behind the last record", walked.left);
    ensure!(walked.rcode(out) == rcode as u16, "{} in place of {rcode:?}", walked.rcode(out));
    ensure!((walked.field(9, 1) == 1) == truncated, "TC is not what is counted");
    ensure!(!truncated || peer.transport == Transport::Udp, "TC over a stream");
    header(packet, &walked, rcode)?;
    opt(packet, asked, peer, out, &walked, rcode, slipped)?;
    if let Some(asked) = asked {
        question(packet, asked, out, &walked)?;
    }
    sections(&walked, rcode, truncated)?;
    library(out, &walked)
}

/// Whether the message library finds as many records. It knows no subnet of FAMILY 0, which says that none is
/// disclosed.
fn library(out: &[u8], walked: &Walked) -> Result<()> {
    let options = walked.opts(out).into_iter().filter_map(|opt| opt.options).flatten();
    if options.into_iter().any(|(code, data)| code == SUBNET && data.starts_with(&[0, 0])) {
        return Ok(());
    }
    let message = Message::from_vec(out).context("hickory does not read it")?;
    let kept = [&message.answers, &message.authorities].map(Vec::len);
    ensure!(kept == [1, 2].map(|at| usize::from(walked.counts[at])), "hickory reads {kept:?} records");
    Ok(())
}

/// RFC 1035 §4.1.1, RFC 8906 §8.1.
fn header(packet: &[u8], walked: &Walked, rcode: Rcode) -> Result<()> {
    ensure!(walked.id.to_be_bytes() == packet[..2], "another ID");
    ensure!(walked.field(15, 1) == 1, "QR is 0");
    ensure!(walked.flags >> 11 & 15 == u16::from(packet[2] >> 3 & 15), "another opcode");
    ensure!(walked.field(8, 1) == u16::from(packet[2] & 1), "another RD");
    ensure!(walked.field(4, 4) == 0, "RA, Z, AD or CD is set");
    ensure!(rcode != Rcode::ServFail, "SERVFAIL");
    ensure!(
        matches!(rcode, Rcode::NoError | Rcode::NxDomain) || walked.field(10, 1) == 0,
        "AA with {rcode:?}"
    );
    let unknown = packet[2] >> 3 & 15 != 0;
    ensure!(unknown == (rcode == Rcode::NotImp), "{rcode:?} for opcode {}", packet[2] >> 3 & 15);
    ensure!(!unknown || walked.counts == [0; 4], "more than a header for an unknown opcode");
    Ok(())
}

/// RFC 6891 §6.1.1 and §7, and what each option must be.
fn opt(
    packet: &[u8],
    asked: Option<&Walked>,
    peer: Peer,
    out: &[u8],
    walked: &Walked,
    rcode: Rcode,
    slipped: bool,
) -> Result<()> {
    let ours = walked.opts(out);
    ensure!(ours.len() <= 1, "{} OPT records", ours.len());
    let ours = ours.first();
    let theirs = asked.map(|asked| (asked, asked.opts(packet)));
    let most = match (ours, theirs.as_ref().and_then(|(_, opts)| opts.first())) {
        _ if peer.transport != Transport::Udp => 65535,
        (Some(_), Some(theirs)) => theirs.size.clamp(512, 1232),
        (Some(_), None) => 1232,
        (None, _) => 512,
    };
    ensure!(out.len() <= usize::from(most), "{} octets, at most {most}", out.len());
    if let Some(ours) = ours {
        ensure!(ours.size == 1232 && ours.version == 0 && ours.flags & 0x7fff == 0, "OPT is {ours:?}");
    }
    let Some((asked, theirs)) = theirs.filter(|(asked, _)| is_plain(packet, asked)) else { return Ok(()) };
    ensure!(theirs.len() < 2 || rcode == Rcode::FormErr, "{} OPT records: {rcode:?}", theirs.len());
    ensure!(theirs.len() != 1 || ours.is_some(), "OPT in, none out: {asked:?}");
    ensure!(!theirs.is_empty() || ours.is_none(), "no OPT in, one out");
    if let (Some(ours), [theirs]) = (ours, &theirs[..]) {
        // A wrong signature goes before, and one that is none.
        let signed = asked.records[2].last().is_some_and(|record| record.record_type == TSIG);
        let said = rcode == Rcode::BadVers || signed && [Rcode::NotAuth, Rcode::FormErr].contains(&rcode);
        ensure!(theirs.version == 0 || said, "version {}: {rcode:?}", theirs.version);
        ensure!(theirs.flags & 0x8000 == ours.flags, "another DO");
        options(theirs, ours, peer, out.len(), rcode, slipped)?;
    }
    Ok(())
}

/// Whether nothing is wrong with a query up to its options: one question, no compression where there is nothing
/// to point to, OPT records owned by the root, and nothing behind a signature (RFC 8945 §5.1).
fn is_plain(packet: &[u8], asked: &Walked) -> bool {
    let Some((name, range, ..)) = &asked.question else { return false };
    let root_owned = |at: usize| packet.get(at) == Some(&0);
    asked.field(11, 4) == 0
        && asked.counts[0] == 1
        && range.len() == name.len() + 4
        && asked.records[2].iter().all(|record| record.record_type != 41 || root_owned(record.range.start))
        && asked.records[2].iter().rev().skip(1).all(|record| record.record_type != TSIG)
}

/// What a query with broken options gets; that its signature is wrong goes before.
const WRONG: [Rcode; 3] = [Rcode::FormErr, Rcode::BadVers, Rcode::NotAuth];

fn options(theirs: &Opt, ours: &Opt, peer: Peer, length: usize, rcode: Rcode, slipped: bool) -> Result<()> {
    let ours = ours.options.as_ref().context("our options do not end with their record")?;
    let Some(theirs) = &theirs.options else {
        let wanted = WRONG.contains(&rcode) || slipped;
        ensure!(wanted, "broken options: {rcode:?}");
        return Ok(());
    };
    let of = |options: &[EdnsOption], code: u16| -> Vec<Vec<u8>> {
        options.iter().filter(|(found, _)| *found == code).map(|(_, value)| value.clone()).collect()
    };
    for (code, _) in ours {
        ensure!(of(ours, *code).len() == 1, "option {code} twice");
        let solicited = !ASKED_FOR.contains(code) || !of(theirs, *code).is_empty();
        ensure!(solicited && (ASKED_FOR.contains(code) || *code == 15), "option {code} was not asked for");
    }
    let kept = |code: u16| of(ours, code).into_iter().next();
    match (kept(SUBNET), &of(theirs, SUBNET)[..]) {
        (Some(ours), [theirs]) => {
            let most = if theirs[..2] == [0, 2] { 128 } else { 32 };
            let echoed = ours[..3] == theirs[..3] && ours[4..] == theirs[4..] && ours[3] <= most;
            ensure!(echoed, "the subnet {theirs:?} came back as {ours:?}");
            ensure!(theirs[2] != 0 || ours[3] == 0, "scope {} for no subnet", ours[3]);
        }
        (None, []) => {}
        // One that is malformed, of a resolver without our trust, or with a version that we do not know.
        (None, _) => ensure!(WRONG.contains(&rcode) || slipped, "no subnet came back: {rcode:?}"),
        (Some(_), _) => ensure!(false, "one of two subnets came back"),
    }
    if let (Some(ours), [theirs, ..]) = (kept(COOKIE), &of(theirs, COOKIE)[..]) {
        ensure!(ours.len() == 24 && theirs.get(..8) == ours.get(..8), "{theirs:?} came back as {ours:?}");
    }
    let stream = matches!(peer.transport, Transport::Tcp | Transport::Tls);
    ensure!(kept(KEEPALIVE).is_none() || stream, "keepalive over {:?}", peer.transport);
    if kept(PADDING).is_some() {
        ensure!(peer.transport.is_encrypted() && length.is_multiple_of(468), "{length} octets, padded");
    }
    Ok(())
}

/// RFC 1035 §4.1.2: the question comes back octet for octet.
fn question(packet: &[u8], asked: &Walked, out: &[u8], walked: &Walked) -> Result<()> {
    let Some((name, range, ..)) = &asked.question else {
        ensure!(walked.counts[0] == 0, "a question came from nowhere");
        return Ok(());
    };
    if is_plain(packet, asked) {
        let (_, back, ..) = walked.question.as_ref().context("no question came back")?;
        ensure!(packet.get(range.clone()) == out.get(back.clone()), "another question");
        if let Some(first) = walked.records[0].first() {
            let same = first.owner.eq_ignore_ascii_case(name);
            ensure!(same, "the first answer belongs to another name");
        }
    }
    Ok(())
}

/// RFC 2308 §3, RFC 2181 §5.2.
fn sections(walked: &Walked, rcode: Rcode, truncated: bool) -> Result<()> {
    let [answers, authorities, _] = &walked.records;
    let has_question = walked.counts[0] == 1;
    let answers_allowed = matches!(rcode, Rcode::NoError | Rcode::NxDomain);
    ensure!(answers_allowed || answers.len() + authorities.len() == 0, "records with {rcode:?}");
    let negative = has_question && answers_allowed && (answers.is_empty() || rcode == Rcode::NxDomain);
    if negative && walked.field(10, 1) == 1 && !truncated {
        let soas = authorities.iter().filter(|record| record.record_type == SOA).count();
        ensure!(soas == 1 && authorities.len() == 1, "{rcode:?} with {soas} SOA");
    }
    if rcode == Rcode::NxDomain {
        ensure!(walked.field(10, 1) == 1, "NXDOMAIN without AA");
    }
    let mut ttls: BTreeMap<(Vec<u8>, u16), u32> = BTreeMap::new();
    for record in answers.iter().chain(authorities) {
        ensure!(record.class == 1 || record.class == 3, "class {}", record.class);
        ensure!(record.ttl <= 604_800, "TTL {}", record.ttl);
        let set = (record.owner.to_ascii_lowercase(), record.record_type);
        let ttl = *ttls.entry(set).or_insert(record.ttl);
        ensure!(ttl == record.ttl, "TTLs {ttl} and {} in one RRset", record.ttl);
    }
    Ok(())
}

/// What is whole over UDP is the same over TCP, but for a transfer and what belongs to connections.
fn same_over_tcp(udp: &[u8], tcp: &[u8]) -> Result<()> {
    let (udp_walked, tcp_walked) = (walk(udp)?, walk(tcp)?);
    if let Some((_, _, 251 | AXFR, _)) = udp_walked.question {
        return Ok(());
    }
    for section in 0..2 {
        let octets = |walked: &Walked, message: &[u8]| -> Vec<Vec<u8>> {
            walked.records[section].iter().map(|record| message[record.range.clone()].to_vec()).collect()
        };
        let same = octets(&udp_walked, udp) == octets(&tcp_walked, tcp);
        ensure!(same, "section {section} is another one");
    }
    ensure!(udp_walked.rcode(udp) == tcp_walked.rcode(tcp), "another rcode");
    Ok(())
}
