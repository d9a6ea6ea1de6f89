//! Every number that a type can have, asked of the built binary: a well-formed answer each (RFC 3597, RFC 8906
//! §3.1.2). A server of DNS fell over type 65535 once (CVE-2021-36754).

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hickory_proto::op::Message;
use meridian_tests::stream::{framed, read_framed};
use meridian_tests::{Ask, Config, Meridian, WORLD, Wire};

/// A static name, a gateway's, and one that there is not.
const NAMES: [&str; 3] = ["static.gslb.example.", "shop.gslb.example.", "missing.gslb.example."];
/// NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED.
const RCODES: [u16; 5] = [0, 1, 3, 4, 5];
/// Types that are asked for by one connection, or outstanding on one socket.
const OVER_TCP: u16 = 8192;
const OVER_UDP: u16 = 64;
/// How often a datagram that got lost is sent again; only a broken build loses more.
const TRIES: u32 = 5;
const DEADLINE: Duration = Duration::from_secs(20);

/// How many answers had which rcode.
type Counts = BTreeMap<u16, u32>;

#[test]
fn s10_rfc3597_every_type() {
    let config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n")
        .record("static", "A", "\"192.0.2.10\"")
        .record("static", "TXT", "\"hello\"")
        .clusters(&WORLD)
        .gateway("shop", &["shop.gslb.example"], "https = {}\n", &[("eu-west", "192.0.2.1,2001:db8::1")]);
    let meridian = Meridian::serve(config.text());
    let server = meridian.address();
    let counted: Vec<Counts> = std::thread::scope(|scope| {
        let transports = [over_udp, over_tcp].map(|over| scope.spawn(move || all(server, over)));
        transports.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (transport, counts) in ["UDP", "TCP"].into_iter().zip(counted) {
        let answers: u32 = counts.values().sum();
        println!("{transport}: {answers} answers, by rcode {counts:?}");
        assert_eq!(answers, 65_536 * 2 * 3, "{transport}");
    }
}

/// All types at all names, without DO and with it.
fn all(
    server: SocketAddr,
    over: fn(SocketAddr, &str, bool, RangeInclusive<u16>, &mut Counts) -> Result<()>,
) -> Counts {
    let mut counts = Counts::new();
    for name in NAMES {
        for dnssec_ok in [false, true] {
            for first in (0..=u16::MAX).step_by(usize::from(OVER_TCP)) {
                let types = first..=first + (OVER_TCP - 1);
                over(server, name, dnssec_ok, types, &mut counts)
                    .unwrap_or_else(|error| panic!("{name} from type {first}, DO {dnssec_ok}: {error:#}"));
            }
        }
    }
    counts
}

/// The type is also the message's ID.
fn query(name: &str, dnssec_ok: bool, question_type: u16) -> Vec<u8> {
    let edns = dnssec_ok.then_some((1232, 0, true));
    Ask { edns, id: question_type, ..Ask::new(name, question_type.into()) }.octets()
}

/// Holds a reply to the query of the type that its ID is, and counts it.
fn hold(name: &str, dnssec_ok: bool, reply: &[u8], most: usize, counts: &mut Counts) -> Result<u16> {
    let wire = Wire::read(reply)?;
    Message::from_vec(reply)?;
    let query = query(name, dnssec_ok, wire.id);
    let end = 12 + wire.question.len();
    ensure!(query.get(12..end) == Some(&wire.question), "type {}: another question", wire.id);
    ensure!(wire.flags & 0xf8f0 == 0x8000, "type {}: flags {:#x}", wire.id, wire.flags);
    ensure!(RCODES.contains(&wire.rcode()), "type {}: rcode {}", wire.id, wire.rcode());
    ensure!(reply.len() <= most && !wire.truncated(), "type {}: {} octets", wire.id, reply.len());
    let opts: Vec<u32> = wire.opts().map(|opt| opt.ttl & 0xffff).collect();
    ensure!(opts == [0x8000][..usize::from(dnssec_ok)], "type {}: OPT records {opts:?}", wire.id);
    *counts.entry(wire.rcode()).or_default() += 1;
    Ok(wire.id)
}

/// In windows of datagrams; what has no answer within a second is asked again.
fn over_udp(
    server: SocketAddr,
    name: &str,
    dnssec_ok: bool,
    types: RangeInclusive<u16>,
    counts: &mut Counts,
) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let most = if dnssec_ok { 1232 } else { 512 };
    let mut reply = vec![0; 65_535];
    for first in types.step_by(usize::from(OVER_UDP)) {
        let mut open: Vec<u16> = (first..=first + (OVER_UDP - 1)).collect();
        for _ in 0..TRIES {
            for question_type in &open {
                socket.send(&query(name, dnssec_ok, *question_type))?;
            }
            while !open.is_empty() {
                let Ok(length) = socket.recv(&mut reply) else { break };
                let id = u16::from_be_bytes([reply[0], reply[1]]);
                // One that was asked for again may come twice.
                if let Some(at) = open.iter().position(|question_type| *question_type == id) {
                    hold(name, dnssec_ok, &reply[..length], most, counts)?;
                    open.swap_remove(at);
                }
            }
        }
        if !open.is_empty() {
            bail!("no answer for types {open:?} after {TRIES} tries");
        }
    }
    Ok(())
}

/// All at once on one connection; answers may come in any order.
fn over_tcp(
    server: SocketAddr,
    name: &str,
    dnssec_ok: bool,
    types: RangeInclusive<u16>,
    counts: &mut Counts,
) -> Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut writing = stream.try_clone()?;
    let queries: Vec<u8> =
        types.clone().flat_map(|question_type| framed(&query(name, dnssec_ok, question_type))).collect();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || writing.write_all(&queries));
        let mut open: Vec<bool> = vec![true; types.len()];
        for _ in 0..open.len() {
            let reply = read_framed(&mut stream).context("no further answer")?;
            let id = hold(name, dnssec_ok, &reply, 65_535, counts)?;
            let at = usize::from(id.wrapping_sub(*types.start()));
            ensure!(open.get(at) == Some(&true), "type {id} was answered twice, or not asked for");
            open[at] = false;
        }
        writer.join().expect("it does not panic")?;
        Ok(())
    })
}
