//! Statements 19 to 22: how large replies over UDP are, and what happens to those that are larger.

use std::net::SocketAddr;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Wire, exchange_tcp, exchange_udp};

use crate::world::{questions, serve};

/// The most that is ever sent over UDP, and what we say that we receive.
const LARGEST: u16 = 1232;

fn large() -> Ask {
    Ask::new("large.gslb.example.", RecordType::TXT)
}

fn asked(server: SocketAddr, ask: &Ask) -> (usize, Wire) {
    let reply = exchange_udp(server, None, &ask.octets()).unwrap();
    (reply.len(), Wire::read(&reply).unwrap())
}

/// Sizes about every limit.
fn sizes() -> impl DoubleEndedIterator<Item = usize> {
    (50..=310_u16).map(|step| usize::from(step) * 4)
}

/// A name with as many octets of TXT as are asked for.
fn texts() -> String {
    sizes().fold(String::new(), |mut all, size| {
        let texts: Vec<String> =
            vec!["x".repeat(100); size / 101].into_iter().chain(["y".repeat(size % 101)]).collect();
        let quoted: Vec<String> = texts.iter().map(|text| format!("\\\"{text}\\\"")).collect();
        all.push_str(&format!(
            "[[zones.records]]\nname = \"t{size}\"\ntype = \"TXT\"\ndata = [\"{}\"]\n",
            quoted.join(" ")
        ));
        all
    })
}

/// The records come before the other tables of the world: they belong to its zone.
fn with_texts() -> meridian_tests::Meridian {
    let config = crate::world::config();
    let at = config.text().find("[[zones.records]]").unwrap();
    let (before, after) = config.text().split_at(at);
    meridian_tests::Meridian::serve(&format!("{before}{}{after}", texts()))
}

/// The limit that holds for a client that claims a size.
fn limit(edns: Option<u16>) -> usize {
    usize::from(edns.map_or(512, |size| size.clamp(512, LARGEST)))
}

/// Replies of every size about the limit, for every size that a client may claim.
fn never_larger(server: SocketAddr) {
    for claimed in [None, Some(0), Some(1), Some(511), Some(512), Some(513), Some(900), Some(1231)]
        .into_iter()
        .chain([LARGEST, LARGEST + 1, 1400, 1500, 4096, 65535].map(Some))
    {
        let (mut whole, mut cut) = (0, 0);
        for size in sizes() {
            let edns = claimed.map(|size| (size, 0, true));
            let ask = Ask { edns, ..Ask::new(&format!("t{size}.gslb.example."), RecordType::TXT) };
            let (length, reply) = asked(server, &ask);
            assert!(length <= limit(claimed), "{length} octets for {claimed:?}");
            let (count, room) = if reply.truncated() { (&mut cut, 0) } else { (&mut whole, 1) };
            *count += 1;
            assert_eq!(reply.counts[1], room, "an RRset is there whole or not at all");
        }
        assert!(whole > 0 && cut > 0, "{claimed:?}: {whole} whole, {cut} truncated");
    }
}

#[test]
fn s19_rfc6891_6_2_3_less_than_512_is_512() {
    let meridian = with_texts();
    let ask = |edns: Option<u16>| {
        let last = sizes().rev().find(|size| {
            let edns = edns.map(|size| (size, 0, false));
            let ask = Ask { edns, ..Ask::new(&format!("t{size}.gslb.example."), RecordType::TXT) };
            !asked(meridian.address(), &ask).1.truncated()
        });
        last.unwrap()
    };
    let at_512 = ask(Some(512));
    assert!([0, 1, 511].iter().all(|&size| ask(Some(size)) == at_512));
    // Without EDNS the OPT record's eleven octets are free: three steps of four, less what is left over.
    assert!((at_512..=at_512 + 12).contains(&ask(None)));
    assert!(ask(Some(513)) >= at_512);
}

#[test]
fn s20_rfc9715_3_1_never_over_1232_octets_on_udp() {
    let meridian = with_texts();
    let [v4, v6] = meridian.addresses[..] else { panic!("{:?}", meridian.addresses) };
    never_larger(v4);
    never_larger(v6);
}

#[test]
fn s21_rfc6891_6_2_4_the_size_we_advertise_is_ours() {
    let meridian = serve("");
    for (what, ask) in questions() {
        for claimed in [0, 512, 1232, 4096, 65535] {
            let (_, reply) = asked(meridian.address(), &ask.clone().edns(claimed));
            assert_eq!(reply.opts().next().unwrap().class, LARGEST, "{what}");
        }
    }
}

#[test]
fn s22_rfc2181_9_truncated_replies_have_whole_rrsets_and_tcp_the_rest() {
    let meridian = serve("");
    let server = meridian.address();
    for edns in [None, Some((512, 0, false)), Some((65535, 0, true))] {
        let ask = Ask { edns, ..large() };
        let (_, truncated) = asked(server, &ask);
        assert!(truncated.truncated());
        assert_eq!(truncated.counts, [1, 0, 0, u16::from(edns.is_some())]);
        let whole = Wire::read(&exchange_tcp(server, &ask.octets()).unwrap()).unwrap();
        assert!(!whole.truncated());
        assert_eq!(whole.counts, [1, 12, 0, u16::from(edns.is_some())]);
    }
}
