//! Statements 28 to 38: the client's subnet. What holds for every map of clients is in `properties.rs`,
//! `worlds.rs`, `reference.rs` and `resolver.rs`.

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Meridian, Wire};

use crate::world::{GERMAN, both, config, questions, serve, udp};

const FORMERR: u16 = 1;
const SUBNET: u16 = 8;

fn shop() -> Ask {
    Ask::new("shop.gslb.example.", RecordType::A)
}

/// The last octet of the first address in the answer.
fn cluster(reply: &Wire) -> Option<u8> {
    reply.section(1).next().and_then(|record| record.data.last().copied())
}

#[test]
fn s28_rfc7871_7_2_1_the_option_comes_back_as_it_was_sent() {
    let meridian = serve("");
    for (what, ask) in questions() {
        for option in [
            vec![0, 1, 24, 0, 10, 1, 0],
            vec![0, 1, 17, 0, 10, 1, 128],
            vec![0, 1, 0, 0],
            vec![0, 1, 32, 0, 10, 1, 2, 3],
            vec![0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0],
            vec![0, 2, 0, 0],
        ] {
            for reply in both(meridian.address(), &ask.clone().option(SUBNET, &option).octets()) {
                let back: Vec<Vec<u8>> = reply
                    .options()
                    .into_iter()
                    .filter(|(code, _)| *code == SUBNET)
                    .map(|(_, data)| data)
                    .collect();
                let [back] = &back[..] else { panic!("{what}: {back:?}") };
                assert_eq!((&back[..3], &back[4..]), (&option[..3], &option[4..]), "{what}");
            }
        }
        for edns in [None, Some((1232, 0, false))] {
            for reply in both(meridian.address(), &Ask { edns, ..ask.clone() }.octets()) {
                assert_eq!(reply.option(SUBNET), None, "{what}");
            }
        }
    }
}

#[test]
fn s29_rfc7871_6_malformed_options_are_format_errors() {
    let meridian = serve("");
    for option in [
        // Families that are none, lengths over those of the family.
        vec![0, 0, 24, 0, 10, 1, 0],
        vec![0, 3, 24, 0, 10, 1, 0],
        vec![0xff, 0xff, 0, 0],
        vec![0, 1, 33, 0, 10, 1, 0, 0, 0],
        vec![0, 2, 129, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // Octets: too few, too many, bits beyond SOURCE, a scope, less than a head.
        vec![0, 1, 24, 0, 10, 1],
        vec![0, 1, 24, 0, 10, 1, 0, 0],
        vec![0, 1, 0, 0, 10],
        vec![0, 1, 23, 0, 10, 1, 1],
        vec![0, 1, 1, 0, 0x40],
        vec![0, 1, 24, 24, 10, 1, 0],
        vec![0, 1, 0, 1],
        vec![0, 1, 24],
        vec![],
    ] {
        for (what, ask) in questions() {
            for reply in both(meridian.address(), &ask.option(SUBNET, &option).octets()) {
                assert_eq!((reply.rcode(), reply.counts[1]), (FORMERR, 0), "{what} {option:?}");
                assert_eq!(reply.option(SUBNET), None, "{what} {option:?}");
            }
        }
    }
}

/// A client that keeps its subnet to itself is answered by the address it asks from, for all.
#[test]
fn s30_rfc7871_7_1_2_source_0_is_answered_by_the_resolver_for_all() {
    let config = config().networks([("127.1.0.0/16", "JP"), ("127.2.0.0/16", "DE")]);
    let meridian = Meridian::serve(config.text());
    for (from, wanted) in [("127.1.0.1", 2), ("127.2.0.1", 1)] {
        for option in [vec![0, 1, 0, 0], vec![0, 2, 0, 0], vec![0, 0, 0, 0]] {
            let reply = udp(meridian.address(), from, &shop().option(SUBNET, &option).octets());
            assert_eq!((reply.rcode(), cluster(&reply)), (0, Some(wanted)), "{from} {option:?}");
            assert_eq!(reply.option(SUBNET), Some(option));
        }
        let reply = udp(meridian.address(), from, &shop().octets());
        assert_eq!(cluster(&reply), Some(wanted));
    }
}

#[test]
fn s33_rfc7871_7_4_what_is_the_same_for_all_has_scope_0() {
    let meridian = serve("");
    for (what, ask) in questions() {
        for subnet in [GERMAN, "2001:db8::"] {
            for reply in both(meridian.address(), &ask.clone().subnet(subnet, 24).octets()) {
                let scope = reply.option(SUBNET).unwrap()[3];
                let tailored = what.starts_with("steered") && reply.counts[1] > 0;
                assert_eq!(scope > 0, tailored, "{what}: {scope}");
            }
        }
    }
}

#[test]
fn s35_rfc7871_7_3_1_other_types_at_a_tailored_name_have_scope_0() {
    let apex = config().text().replace("\"shop.gslb.example\"", "\"gslb.example\"");
    let meridian = Meridian::serve(&apex);
    for record_type in [RecordType::SOA, RecordType::NS, RecordType::DNSKEY, RecordType::NSEC] {
        let ask = Ask::new("gslb.example.", record_type).subnet(GERMAN, 24);
        for reply in both(meridian.address(), &ask.octets()) {
            assert_eq!((reply.rcode(), reply.option(SUBNET).unwrap()[3]), (0, 0), "{record_type}");
        }
    }
    let ask = Ask::new("gslb.example.", RecordType::A).subnet(GERMAN, 24);
    for reply in both(meridian.address(), &ask.octets()) {
        assert_eq!((cluster(&reply), reply.option(SUBNET).unwrap()[3] > 0), (Some(1), true));
    }
}

#[test]
fn s38_rfc7871_11_1_subnets_are_taken_from_whom_the_file_trusts() {
    let from_tokyo = [("127.1.0.0/16", "JP"), ("127.2.0.0/16", "JP")];
    let ask = shop().subnet(GERMAN, 24).octets();
    for (trusted, first, second) in [
        ("", (1, true), (1, true)),
        ("[server.client_subnet]\ntrusted = [\"127.1.0.0/16\"]\n", (1, true), (2, false)),
        ("[server.client_subnet]\ntrusted = []\n", (2, false), (2, false)),
    ] {
        let meridian = Meridian::serve(config().networks(from_tokyo).with(trusted).text());
        for (from, wanted) in [("127.1.0.1", first), ("127.2.0.1", second)] {
            let reply = udp(meridian.address(), from, &ask);
            let option = reply.option(SUBNET).unwrap();
            assert_eq!((cluster(&reply), option[3] > 0), (Some(wanted.0), wanted.1), "{trusted}{from}");
            assert_eq!(option[..3], [0, 1, 24]);
        }
    }
}
