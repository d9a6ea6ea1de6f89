//! Statements 1 to 13: header, opcodes, malformed input.

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Wire, ask_tcp, ask_udp, exchange_udp};

use crate::world::{both, first_over_tcp, questions, serve, silent_over_udp};

const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;

fn good() -> Vec<u8> {
    Ask::new("static.gslb.example.", RecordType::A).octets()
}

#[test]
fn s1_rfc1035_4_1_1_no_reply_to_a_reply() {
    let meridian = serve("");
    let server = meridian.address();
    let mut replies = vec![good(), Ask { opcode: 5, ..Ask::new("gslb.example.", RecordType::SOA) }.octets()];
    // A header of a reply, and nothing else; and one of another server.
    replies.push(good()[..12].to_vec());
    replies.push(exchange_udp(server, None, &good()).unwrap());
    replies.iter_mut().for_each(|reply| reply[2] |= 0x80);
    assert!(silent_over_udp(server, &replies));
    for reply in &replies {
        let after = Ask { id: 0xbeef, ..Ask::new("static.gslb.example.", RecordType::A) }.octets();
        assert_eq!(first_over_tcp(server, &[reply, &after]).id, 0xbeef);
    }
}

#[test]
fn s2_rfc1035_4_1_1_no_reply_to_less_than_a_header() {
    let meridian = serve("");
    let server = meridian.address();
    let short: Vec<Vec<u8>> = (0..12).map(|length| good()[..length].to_vec()).collect();
    assert!(silent_over_udp(server, &short));
    let after = Ask { id: 0xbeef, ..Ask::new("static.gslb.example.", RecordType::A) }.octets();
    for short in &short[1..] {
        assert_eq!(first_over_tcp(server, &[short, &after]).id, 0xbeef);
    }
}

/// All 256 values of the octet with RA, Z, AD, CD and RCODE, with RD and without, with AA and TC set too.
#[test]
fn s3_rfc1035_4_1_1_what_of_the_header_is_copied() {
    let meridian = serve("");
    let server = meridian.address();
    let mut query = good();
    for bits in 0..=255 {
        for first in [0, 1, 6, 7] {
            query[1] = bits;
            (query[2], query[3]) = (first, bits);
            for reply in both(server, &query) {
                assert_eq!(reply.id, u16::from_be_bytes([query[0], bits]));
                // QR and AA, and RD where it was set.
                assert_eq!(reply.flags, 0x8400 | u16::from(first & 1) << 8, "{first:#x} {bits:#x}");
                assert_eq!(reply.counts, [1, 2, 0, 0]);
            }
        }
    }
}

#[test]
fn s5_rfc8906_8_1_4_unknown_opcodes_are_not_implemented() {
    let meridian = serve("");
    let server = meridian.address();
    for opcode in 1..16 {
        let with_question = Ask { opcode, ..Ask::new("gslb.example.", RecordType::SOA) }.octets();
        let mut header = with_question[..12].to_vec();
        header[5] = 0;
        for query in [header, with_question] {
            for reply in both(server, &query) {
                assert_eq!(reply.flags & 0x7fff, u16::from(opcode) << 11 | NOTIMP);
                assert_eq!(reply.counts, [0; 4]);
            }
        }
    }
}

#[test]
fn s6_rfc9619_a_query_has_one_question() {
    let meridian = serve("");
    let server = meridian.address();
    for (count, cookie, wanted) in
        [(0, false, FORMERR), (2, false, FORMERR), (255, false, FORMERR), (0, true, NOERROR)]
    {
        let mut query = good();
        query[5] = count;
        if count == 0 {
            query.truncate(12);
        }
        if count == 2 {
            let question = query[12..].to_vec();
            query.extend_from_slice(&question);
        }
        if cookie {
            query[11] = 1;
            query.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8]);
            query.extend_from_slice(b"12345678");
        }
        for reply in both(server, &query) {
            assert_eq!((reply.rcode(), reply.authoritative()), (wanted, false), "{count}");
            assert_eq!(reply.counts[..3], [0, 0, 0]);
            assert_eq!(reply.option(10).map(|data| data.len()), cookie.then_some(24));
        }
    }
}

#[test]
fn s7_rfc1035_4_1_4_names_that_are_none() {
    let meridian = serve("");
    let server = meridian.address();
    let head = &good()[..12];
    let tail = [0, 1, 0, 1];
    let label = [[63; 1].as_slice(), &[b'a'; 63]].concat();
    let names: Vec<Vec<u8>> = vec![
        // Pointers: to itself, to the header, forwards, past the end, half of one, behind a label.
        vec![0xc0, 12],
        vec![0xc0, 0],
        vec![0xc0, 14],
        vec![0xff, 0xff],
        vec![0xc0],
        vec![1, b'a', 0xc0, 12],
        // Label types 01 and 10.
        vec![0x41, 0],
        vec![0x80, 0],
        vec![0xbf, 0],
        // 256 octets, and very many labels.
        [label.repeat(4), vec![0]].concat(),
        [[1, b'a'].repeat(128), vec![0]].concat(),
        [[1, b'a'].repeat(2000), vec![0]].concat(),
        // No end.
        vec![63, b'a'],
        vec![1],
        vec![],
    ];
    for name in names {
        let whole = [head, &name, &tail].concat();
        for query in [whole, [head, &name].concat()] {
            for reply in both(server, &query) {
                assert_eq!((reply.rcode(), reply.counts), (FORMERR, [0; 4]), "{name:?}");
            }
        }
    }
    // The longest name there is, and a class that is cut off.
    let longest = [label.repeat(3), [61; 1].to_vec(), vec![b'a'; 61], vec![0]].concat();
    assert_eq!(longest.len(), 255);
    for (query, wanted) in
        [([head, &longest, &tail].concat(), REFUSED), ([head, &longest, &tail[..3]].concat(), FORMERR)]
    {
        for reply in both(server, &query) {
            assert_eq!(reply.rcode(), wanted);
        }
    }
}

#[test]
fn s8_rfc1035_4_1_2_the_question_comes_back_octet_for_octet() {
    let meridian = serve("");
    let server = meridian.address();
    let mut random = fastrand::Rng::with_seed(8);
    for (what, ask) in questions() {
        for _ in 0..8 {
            let name: String = ask
                .name
                .chars()
                .map(|c| if random.bool() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect();
            let query = Ask { name, ..ask.clone() }.octets();
            for reply in both(server, &query) {
                assert_eq!(reply.question, &query[12..], "{what}");
            }
        }
    }
}

/// [`Wire::read`] fails where octets are left; here with every size of the client, so that replies of every
/// shape are seen.
#[test]
fn s9_rfc1035_4_1_no_octets_after_the_last_record() {
    let meridian = serve("");
    let server = meridian.address();
    for (what, ask) in questions() {
        for size in [None, Some(512), Some(700), Some(1232), Some(4096)] {
            let query = Ask { edns: size.map(|size| (size, 0, true)), ..ask.clone() }.octets();
            let reply = exchange_udp(server, None, &query).unwrap();
            Wire::read(&reply).unwrap_or_else(|error| panic!("{what}: {error}"));
            both(server, &query);
        }
    }
}

#[test]
fn s11_rfc1035_3_2_4_other_classes_are_refused() {
    let meridian = serve("");
    let server = meridian.address();
    for class in [0, 2, 3, 4, 5, 254, 255, 256, 0x8001, 65535] {
        for name in ["static.gslb.example.", "version.bind.", "id.server.", "."] {
            for record_type in [RecordType::A, RecordType::TXT, RecordType::ANY] {
                let query = Ask { class, ..Ask::new(name, record_type) }.octets();
                for reply in both(server, &query) {
                    assert_eq!((reply.rcode(), reply.authoritative()), (REFUSED, false), "{name} {class}");
                    assert_eq!(reply.counts, [1, 0, 0, 0]);
                }
            }
        }
    }
}

/// RFC 4892: said only where the file says so.
#[test]
fn s11_rfc4892_chaos_names_say_what_the_file_says() {
    let meridian = serve("[server.identity]\nversion = \"Meridian 9\"\nid = \"ams-1\"\n");
    let server = meridian.address();
    for (name, wanted) in [
        ("version.bind.", Some("Meridian 9")),
        ("VERSION.server.", Some("Meridian 9")),
        ("id.server.", Some("ams-1")),
        ("hostname.bind.", Some("ams-1")),
        ("authors.bind.", None),
        ("bind.", None),
    ] {
        let ask = Ask { class: 3, ..Ask::new(name, RecordType::TXT) };
        for reply in [ask_udp(server, &ask).unwrap(), ask_tcp(server, &ask).unwrap()] {
            let texts: Vec<String> =
                reply.message.answers.iter().map(|record| record.data.to_string()).collect();
            assert_eq!(texts, Vec::from_iter(wanted.map(str::to_owned)), "{name}");
            let rcode = if wanted.is_some() { NOERROR } else { REFUSED };
            assert_eq!(reply.wire.rcode(), rcode, "{name}");
            assert!(reply.wire.section(1).all(|record| record.class == 3 && record.ttl == 0));
        }
    }
}

#[test]
fn s12_rfc2136_3_1_notify_and_update_are_not_implemented() {
    let meridian = serve("");
    let server = meridian.address();
    for opcode in [4, 5] {
        let mut query = Ask { opcode, ..Ask::new("gslb.example.", RecordType::SOA) }.octets();
        // With the AA bit of a NOTIFY, and a record in what an UPDATE calls its prerequisites.
        query[2] |= 4;
        query[7] = 1;
        query.extend_from_slice(&[0xc0, 12, 0, 255, 0, 255, 0, 0, 0, 0, 0, 0]);
        for reply in both(server, &query) {
            assert_eq!((reply.rcode(), reply.opcode()), (NOTIMP, opcode.into()));
        }
    }
}

#[test]
fn s58_rfc7766_5_tcp_wherever_udp_is() {
    let meridian = serve("");
    assert_eq!(meridian.addresses.len(), 2);
    for address in &meridian.addresses {
        let [udp, tcp] = both(*address, &good());
        assert_eq!((udp.counts, tcp.counts), ([1, 2, 0, 0], [1, 2, 0, 0]), "{address}");
    }
}

#[test]
fn s13_rfc8906_3_1_1_names_outside_all_zones_are_refused() {
    let meridian = serve("");
    let server = meridian.address();
    for name in [".", "example.", "xgslb.example.", "gslb.example.example.", "www.elsewhere.example."] {
        for record_type in [RecordType::A, RecordType::NS, RecordType::SOA, RecordType::ANY, RecordType::DS] {
            for edns in [None, Some((1232, 0, true))] {
                let query = Ask { edns, ..Ask::new(name, record_type) }.octets();
                for reply in both(server, &query) {
                    assert_eq!((reply.rcode(), reply.authoritative()), (REFUSED, false), "{name}");
                    assert_eq!(reply.counts, [1, 0, 0, u16::from(edns.is_some())], "{name}");
                }
            }
        }
    }
}
