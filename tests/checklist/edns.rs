//! Statements 15 to 26: EDNS and the options that are not the client's subnet or cookie.

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Wire, exchange_udp};

use crate::world::{both, questions, serve};

const FORMERR: u16 = 1;
const REFUSED: u16 = 5;
const BADVERS: u16 = 16;

const NSID: u16 = 3;
const EDE: u16 = 15;
/// The bits of an OPT record's TTL (RFC 6891 §6.1.3).
const DO: u32 = 0x8000;

fn shop() -> Ask {
    Ask::new("shop.gslb.example.", RecordType::A)
}

/// A query with records behind its question, as they stand; `counts` are ANCOUNT, NSCOUNT, ARCOUNT.
fn with_records(counts: [u8; 3], records: &[u8]) -> Vec<u8> {
    let mut query = shop().octets();
    (query[7], query[9], query[11]) = (counts[0], counts[1], counts[2]);
    query.extend_from_slice(records);
    query
}

/// An OPT record with this data, which may claim another length.
fn opt(data: &[u8], length: usize) -> Vec<u8> {
    let length = u16::try_from(length).unwrap().to_be_bytes();
    [&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0], &length[..], data].concat()
}

#[test]
fn s15_rfc6891_6_1_1_an_opt_record_comes_back_where_one_came() {
    let meridian = serve("");
    let server = meridian.address();
    for (what, ask) in questions() {
        for edns in [None, Some((512, 0, false)), Some((1232, 0, true)), Some((1232, 1, false))] {
            for reply in both(server, &Ask { edns, ..ask.clone() }.octets()) {
                assert_eq!(reply.opts().count(), usize::from(edns.is_some()), "{what}");
                assert!(reply.opts().all(|opt| opt.section == 3 && opt.owner == "."), "{what}");
            }
        }
    }
    // FORMERR, where the OPT record can be told.
    for reply in both(server, &shop().option(8, &[0, 9, 24, 0, 1, 2, 3]).octets()) {
        assert_eq!((reply.rcode(), reply.opts().count()), (FORMERR, 1));
    }
}

#[test]
fn s16_rfc6891_6_1_3_other_versions_are_told_ours() {
    let meridian = serve("[server.identity]\nnsid = \"ams-1\"\n");
    for version in [1, 2, 100, 255] {
        for ask in [
            shop(),
            shop().option(NSID, &[]),
            // Options of a version that we do not know mean nothing, not even malformed ones.
            shop().option(100, &[1, 2, 3]).option(8, &[9]),
            Ask::new("www.elsewhere.example.", RecordType::A),
        ] {
            let mut query = Ask { edns: Some((1232, version, true)), ..ask }.octets();
            let flags = query.len() - 3 - options_size(&query);
            // All unknown flags too (RFC 8906 §8.2.5).
            (query[flags - 1], query[flags]) = (0xff, 0xff);
            for reply in both(meridian.address(), &query) {
                assert_eq!((reply.rcode(), reply.authoritative()), (BADVERS, false), "{version}");
                assert_eq!(reply.counts, [1, 0, 0, 1]);
                let opt = reply.opts().next().unwrap();
                assert_eq!(opt.ttl & 0x00ff_ffff, DO, "version 0, of the flags only DO");
                assert!(reply.options().is_empty());
            }
        }
    }
}

/// How many octets of options a query of [`Ask`] ends with.
fn options_size(query: &[u8]) -> usize {
    let opt = query.windows(3).rposition(|octets| octets == [0, 0, 41]).unwrap();
    query.len() - opt - 11
}

#[test]
fn s17_rfc6891_6_1_2_unknown_options_and_flags_are_passed_over() {
    let meridian = serve("");
    for code in [0, 4, 14, 100, 4096, 65001, 65535] {
        for size in [0, 1, 300] {
            let mut query =
                Ask { edns: Some((1232, 0, false)), ..shop() }.option(code, &vec![7; size]).octets();
            let flags = query.len() - 3 - options_size(&query);
            for (bits, wanted) in [([0, 0], 0), ([0x7f, 0xff], 0), ([0x80, 0], DO), ([0xff, 0xff], DO)] {
                query[flags - 1..=flags].copy_from_slice(&bits);
                for reply in both(meridian.address(), &query) {
                    assert_eq!((reply.rcode(), reply.counts[1]), (0, 1), "{code} {size}");
                    assert_eq!(reply.opts().next().unwrap().ttl, wanted, "{code} {size}");
                    assert!(reply.options().is_empty(), "{code} {size}");
                }
            }
        }
    }
}

#[test]
fn s18_rfc6891_6_1_1_one_opt_record_anywhere_in_additional() {
    let meridian = serve("");
    let server = meridian.address();
    // An A record with a name of its own, and one with a pointer to the question.
    let other = [1, b'x', 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4];
    let pointing = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4];
    let plain = opt(&[], 0);
    for records in [
        [&plain[..], &other, &pointing].concat(),
        [&other[..], &plain, &pointing].concat(),
        [&other[..], &pointing, &plain].concat(),
    ] {
        for reply in both(server, &with_records([0, 0, 3], &records)) {
            assert_eq!((reply.rcode(), reply.counts), (0, [1, 1, 0, 1]));
        }
    }
    // In another section it is none, and the query has none.
    for reply in both(server, &with_records([1, 0, 0], &plain)) {
        assert_eq!((reply.rcode(), reply.opts().count()), (0, 0));
    }
    let named = [&[1, b'x'], &plain[..]].concat();
    for (what, counts, records) in [
        ("two", [0, 0, 2], [&plain[..], &plain].concat()),
        ("two with one between", [0, 0, 3], [&plain[..], &other, &plain].concat()),
        ("a name of its own", [0, 0, 1], named),
        ("fewer than said", [0, 0, 2], plain.clone()),
        ("RDATA past the end", [0, 0, 1], opt(&[], 1)),
        ("half an option's head", [0, 0, 1], opt(&[0, 3, 0], 3)),
        ("an option past RDLEN", [0, 0, 1], opt(&[0, 3, 0, 1], 4)),
        ("a second option past RDLEN", [0, 0, 1], opt(&[0, 3, 0, 0, 0, 100, 0, 9, 1], 9)),
    ] {
        for reply in both(server, &with_records(counts, &records)) {
            assert_eq!((reply.rcode(), reply.counts[1]), (FORMERR, 0), "{what}");
        }
    }
}

#[test]
fn s23_rfc5001_2_2_nsid_where_asked_and_configured() {
    let named = serve("[server.identity]\nnsid = \"ams-1\"\n");
    let unnamed = serve("");
    for (meridian, wanted) in [(&named, Some(b"ams-1".to_vec())), (&unnamed, None)] {
        for (_, ask) in questions() {
            let plain = Ask { edns: Some((1232, 0, false)), ..ask.clone() };
            for reply in both(meridian.address(), &plain.octets()) {
                assert_eq!(reply.option(NSID), None, "not asked for");
            }
            // What is in the query's option means nothing.
            for payload in [&[][..], b"x", &[0; 40]] {
                for reply in both(meridian.address(), &plain.clone().option(NSID, payload).octets()) {
                    assert_eq!(reply.option(NSID), wanted);
                }
            }
        }
    }
}

#[test]
fn s26_rfc8914_4_refusals_say_why() {
    let meridian = serve("");
    for (name, record_type, code) in
        [("www.elsewhere.example.", RecordType::A, 20), ("gslb.example.", RecordType::AXFR, 18)]
    {
        let ask = Ask::new(name, record_type).edns(1232);
        let [udp, tcp] = both(meridian.address(), &ask.octets());
        // AXFR over UDP is FORMERR (RFC 5936 §4.2).
        let replies = if record_type == RecordType::AXFR { vec![tcp] } else { vec![udp, tcp] };
        for reply in replies {
            assert_eq!(reply.rcode(), REFUSED, "{name}");
            let error = reply.option(EDE).unwrap();
            assert_eq!(u16::from_be_bytes([error[0], error[1]]), code, "{name}");
        }
    }
    // RFC 8914 §2: not to those without EDNS; not where nothing is wrong.
    for reply in both(meridian.address(), &Ask::new("www.elsewhere.example.", RecordType::A).octets()) {
        assert_eq!(reply.counts[3], 0);
    }
    for reply in both(meridian.address(), &shop().edns(1232).octets()) {
        assert_eq!(reply.option(EDE), None);
    }
}

/// The longer the name that is asked for the less room is left: first the error goes, TC comes later.
#[test]
fn s26_rfc8914_3_the_error_goes_first_when_space_is_short() {
    // Nobody may be served: every answer is empty with an error, and has a SOA of several hundred octets.
    let long = |letter: &str| [letter.repeat(60), letter.repeat(60), "example".to_owned()].join(".");
    let config = crate::world::config()
        .text()
        .replace("\"ns1.gslb.example\"", &format!("\"{}\"", long("n")))
        .replace("hostmaster.example", &long("h"))
        .replace("\"shop.gslb.example\"", "\"*.gslb.example\"");
    let rules = "[gateways.residency]\nrules = [ { clients = [\"JP\"], clusters = [\"JP\"] } ]\n";
    let config = config.replace(
        "[[gateways.endpoints]]\ncluster = \"frankfurt\"",
        &format!("{rules}[[gateways.endpoints]]\ncluster = \"frankfurt\""),
    );
    let config = config.replace("name = \"tokyo\"\n", "name = \"tokyo\"\ncountry = \"JP\"\n");
    let meridian = meridian_tests::Meridian::serve(&config);
    let mut seen = Vec::new();
    for length in 1..=235 {
        let mut name = String::new();
        for at in 0..length {
            name.push(if at % 60 == 50 && at + 1 < length { '.' } else { 'x' });
        }
        let ask = Ask::new(&format!("{name}.gslb.example."), RecordType::A).edns(512).subnet("10.1.0.0", 24);
        let reply = exchange_udp(meridian.address(), None, &ask.octets()).unwrap();
        assert!(reply.len() <= 512);
        let reply = Wire::read(&reply).unwrap();
        assert_eq!(reply.rcode(), 0);
        let kind = (reply.option(EDE).is_some(), reply.truncated());
        if seen.last() != Some(&kind) {
            seen.push(kind);
        }
    }
    assert_eq!(seen[..2], [(true, false), (false, false)], "with the error, without it, …");
    assert!(seen[2..].iter().all(|(_, truncated)| *truncated), "{seen:?}");
}
