//! What must hold for all inputs.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use meridian_dns::{Ground, Moment, Peer, Reply, Transport, View, answer};
use meridian_model::{TargetHealth, Verdict, Verdicts};
use meridian_tests::fuzzing::same_both_ways;
use meridian_tests::{Ask, Asked, Config};
use proptest::prelude::*;

/// Clusters around the world.
const PLACES: [(&str, f64, f64); 5] = [
    ("c0", 53.35, -6.26),
    ("c1", 39.04, -77.49),
    ("c2", 35.68, 139.77),
    ("c3", -33.87, 151.21),
    ("c4", -23.55, -46.63),
];

fn config(networks: &[(String, &str)], policy: &str) -> String {
    let addresses = (0..PLACES.len()).map(|index| {
        let v6 = if index % 2 == 0 { format!(",2001:db8::{index}") } else { String::new() };
        format!("192.0.2.{index}{v6}")
    });
    let addresses: Vec<String> = addresses.collect();
    let endpoints: Vec<(&str, &str)> =
        PLACES.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
    let keys = format!("probe = \"web\"\npolicy = {policy}\n");
    Config::new()
        .record("www", "CNAME", "\"shop\"")
        .record("sub", "NS", "\"ns.sub\"")
        .record("ns.sub", "A", "\"192.0.2.54\"")
        .with("[[probes]]\nname = \"web\"\ntype = \"http\"\n")
        .networks(networks.iter().map(|(prefix, country)| (prefix.as_str(), *country)))
        .clusters(&PLACES)
        .gateway("shop", &["shop.gslb.example", "*.gslb.example"], &keys, &endpoints)
        .text()
        .to_owned()
}

fn ground(text: &str) -> Arc<Ground> {
    match meridian::load_text(text, Path::new("property.toml")) {
        Ok(loaded) => loaded.ground,
        Err(issues) => panic!("{issues}"),
    }
}

fn view(ground: &Arc<Ground>, verdicts: &[(Verdict, bool)]) -> View {
    let health = ground.catalog().targets().iter().zip(verdicts.iter().cycle());
    let health = health.map(|(_, &(verdict, in_doubt))| TargetHealth { verdict, in_doubt, lost: 1 });
    View::new(ground.clone(), Verdicts::new(health.collect()), None)
}

fn ask(view: &View, ask: &Ask, random: u64) -> Asked {
    let peer = Peer { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Tcp };
    let mut out = Vec::new();
    let moment = Moment { random, ..Moment::default() };
    assert_ne!(same_both_ways(view, &ask.octets(), peer, moment, &mut out).unwrap(), Reply::None);
    Asked::decode(out).unwrap()
}

fn any_verdict() -> impl Strategy<Value = (Verdict, bool)> {
    (prop_oneof![Just(Verdict::Healthy), Just(Verdict::Unhealthy), Just(Verdict::Unknown)], any::<bool>())
}

fn any_policy() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("\"nearest\""),
        Just("\"weighted\""),
        Just(
            "{ type = \"failover\", tiers = [ { clusters = [\"c0\", \"c1\"], policy = \"nearest\" }, { clusters = [\"*\"] } ] }"
        ),
    ]
}

/// Operator networks, many of them nested.
fn any_networks() -> impl Strategy<Value = Vec<(String, &'static str)>> {
    let country = prop::sample::select(vec!["IE", "US", "JP", "AU", "BR", "DE"]);
    let v4 = (0..4_u32, 8..=28_u8, any::<u32>()).prop_map(|(top, length, bits)| {
        let address = ((10 + top) << 24) | (bits & 0x00ff_ffff);
        ipnet::IpNet::new(Ipv4Addr::from(address).into(), length).unwrap().trunc().to_string()
    });
    prop::collection::btree_map(v4, country, 0..40).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Two clients inside one returned scope get the same candidates, in every view; and scopes never
    /// overlap with different answers (RFC 7871 §7.2.1): the scope of the second is the same.
    #[test]
    fn s31_rfc7871_7_2_1_one_scope_one_answer(
        networks in any_networks(),
        policy in any_policy(),
        verdicts in prop::collection::vec(any_verdict(), 8),
        clients in prop::collection::vec((0..6_u32, any::<u32>(), any::<u32>()), 60),
        type_a in any::<bool>(),
    ) {
        let ground = ground(&config(&networks, policy));
        let view = view(&ground, &verdicts);
        let question_type = if type_a { RecordType::A } else { RecordType::AAAA };
        for (top, bits, other_bits) in clients {
            // Mostly where the operator's networks are, at times anywhere.
            let client = if top < 4 { ((10 + top) << 24) | (bits & 0x00ff_ffff) } else { bits };
            let from = |address: u32| {
                Ask::new("shop.gslb.example.", question_type).subnet(&Ipv4Addr::from(address).to_string(), 32)
            };
            let first = ask(&view, &from(client), 7);
            let (_, scope) = first.subnet.unwrap();
            let mask = u32::MAX.checked_shl(32 - u32::from(scope)).unwrap_or(0);
            let second = ask(&view, &from((client & mask) | (other_bits & !mask)), 7);
            prop_assert_eq!(first.addresses(), second.addresses());
            prop_assert_eq!(first.ttl(), second.ttl());
            prop_assert_eq!(scope, second.subnet.unwrap().1, "{} overlaps", Ipv4Addr::from(client));
            prop_assert!(scope <= 32);
        }
    }

    /// The scope is the widest that is right: twice the block has another answer somewhere.
    #[test]
    fn s32_rfc7871_7_2_1_no_scope_is_too_narrow(
        networks in any_networks(),
        verdicts in prop::collection::vec(any_verdict(), 8),
        clients in prop::collection::vec((0..4_u32, any::<u32>()), 20),
    ) {
        let ground = ground(&config(&networks, "\"nearest\""));
        let view = view(&ground, &verdicts);
        for (top, bits) in clients {
            let client = ((10 + top) << 24) | (bits & 0x00ff_ffff);
            let from = |address: u32| {
                ask(&view, &Ask::new("shop.gslb.example.", RecordType::A).subnet(&Ipv4Addr::from(address).to_string(), 32), 7)
            };
            let here = from(client);
            let (_, scope) = here.subnet.unwrap();
            if scope < 9 {
                continue;
            }
            // The sibling block is walked scope by scope: some part of it is answered otherwise.
            let size = 1_u64 << (32 - u32::from(scope));
            let sibling = (u64::from(client) / size * size) ^ size;
            let (mut at, mut differs) = (sibling, false);
            while at < sibling + size && !differs {
                let there = from(u32::try_from(at).unwrap());
                differs = (there.addresses(), there.ttl()) != (here.addresses(), here.ttl());
                let (_, step) = there.subnet.unwrap();
                at += 1 << (32 - u32::from(step));
            }
            prop_assert!(differs, "{}/{scope} could be wider", Ipv4Addr::from(client));
        }
    }
}

/// A zone that may be transferred, with all that a gateway can give in it.
fn transferred() -> &'static Arc<Ground> {
    static GROUND: OnceLock<Arc<Ground>> = OnceLock::new();
    GROUND.get_or_init(|| {
        let endpoints = [("c0", "192.0.2.1,2001:db8::1"), ("c1", "192.0.2.2,192.0.2.3"), ("c2", "192.0.2.4")];
        let config = Config::new()
            .with("[zones.transfer]\nallow = [\"127.0.0.0/8\"]\n[server]\ndata_dir = \"/nowhere\"\n")
            .record("www", "CNAME", "\"shop\"")
            .record("fixed.wild", "AAAA", "\"2001:db8::9\"")
            .with("[[probes]]\nname = \"web\"\ntype = \"http\"\n")
            .clusters(&PLACES)
            .gateway(
                "shop",
                &["shop.gslb.example", "also.gslb.example"],
                "probe = \"web\"\nhttps = { alpn = [\"h2\"] }\n",
                &endpoints,
            )
            .gateway(
                "wild",
                &["*.wild.gslb.example"],
                "probe = \"web\"\npolicy = \"weighted\"\n",
                &endpoints[..2],
            )
            .gateway(
                "few",
                &["few.gslb.example"],
                "probe = \"web\"\nanswers = 1\nall_down = \"nodata\"\n",
                &endpoints[1..],
            );
        ground(config.text())
    })
}

proptest! {
    /// What a zone's content is known by goes by what is there, and not by the changes on the way to it.
    #[test]
    fn contents_are_known_by_what_is_there(
        steps in prop::collection::vec(prop::collection::vec(any_verdict(), 7), 1..6),
    ) {
        let ground = transferred();
        let mut before: Option<View> = None;
        for verdicts in steps {
            let health = ground.catalog().targets().iter().zip(verdicts.iter().cycle());
            let health = health.map(|(_, &(verdict, in_doubt))| TargetHealth { verdict, in_doubt, lost: 1 });
            let verdicts = Verdicts::new(health.collect());
            let fresh = View::new(ground.clone(), verdicts.clone(), None);
            let next = View::new(ground.clone(), verdicts, before.as_ref());
            prop_assert_eq!(next.contents().len(), 1);
            prop_assert_eq!(next.contents(), fresh.contents());
            if let Some(before) = before {
                let gives = |view: &View| {
                    let names = ["shop", "also", "x.wild", "few"].map(|name| format!("{name}.gslb.example."));
                    let types = [RecordType::A, RecordType::AAAA];
                    let asks = names.iter().flat_map(|name| types.map(|of| Ask::new(name, of)));
                    asks.map(|asks| ask(view, &asks, 0).addresses()).collect::<Vec<_>>()
                };
                let same = gives(&before) == gives(&next);
                prop_assert!(same || before.contents() != next.contents());
            }
            before = Some(next);
        }
    }
}

/// One view with a bit of everything, for the packets below.
fn sample() -> &'static View {
    static VIEW: OnceLock<View> = OnceLock::new();
    VIEW.get_or_init(|| {
        let verdicts = [(Verdict::Healthy, false), (Verdict::Unhealthy, false), (Verdict::Unknown, true)];
        view(&ground(&config(&[], "\"nearest\"")), &verdicts)
    })
}

/// What every packet may expect: no panic, and a reply that decodes and belongs to it.
fn holds(packet: &[u8], transport: Transport) -> Result<(), TestCaseError> {
    let peer = Peer { address: IpAddr::from([192, 0, 2, 200]), transport };
    let mut out = vec![1, 2, 3];
    match answer(sample(), packet, peer, Moment { random: 3, ..Moment::default() }, &mut out) {
        // Nobody may have the zones of the sample, and the view has no limit of replies.
        Reply::Transfer(_) => prop_assert!(false, "a transfer"),
        Reply::Dropped => prop_assert!(false, "dropped"),
        Reply::None => prop_assert!(out.is_empty() && (packet.len() < 12 || packet[2] & 0x80 != 0)),
        Reply::Sent { truncated, .. } => {
            prop_assert!(transport == Transport::Tcp || out.len() <= 1232);
            let reply = Message::from_vec(&out);
            // The library does not read the subnet of family 0 that "dig +subnet=0" sends and gets back.
            let family_0 = matches!(&reply, Err(error) if error.to_string() == "unknown address family: 0x0");
            prop_assert!(reply.is_ok() || family_0, "{reply:?} from {out:02x?}");
            prop_assert_eq!(&out[..2], &packet[..2]);
            prop_assert_eq!(out[2] & 0x80, 0x80);
            prop_assert_eq!(out[3] & 0xf0, 0, "RA, Z, AD and CD");
            prop_assert_eq!(out[2] & 2 != 0, truncated);
        }
    }
    Ok(())
}

/// A good query, to be damaged.
fn any_query() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "shop.gslb.example.",
        "a.b.gslb.example.",
        "www.gslb.example.",
        "x.sub.gslb.example.",
        "gslb.example.",
        "ns1.gslb.example.",
        "elsewhere.example.",
        ".",
    ]);
    (name, any::<u16>(), 0..40_u16, 0..=32_u8, any::<[bool; 3]>()).prop_map(
        |(name, id, question_type, source, [with_type, with_edns, with_subnet])| {
            let question_type = if with_type { question_type } else { 1 };
            let mut ask = Ask::new(name, RecordType::from(question_type));
            ask.id = id;
            if with_edns {
                ask = ask.edns(id);
            }
            if with_subnet {
                ask = ask.subnet("8.8.8.8", source);
            }
            ask.octets()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn any_octets(packet in prop::collection::vec(any::<u8>(), 0..600), udp in any::<bool>()) {
        holds(&packet, if udp { Transport::Udp } else { Transport::Tcp })?;
    }

    #[test]
    fn damaged_queries(
        mut packet in any_query(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        udp in any::<bool>(),
    ) {
        for (at, octet) in damage {
            let at = at.index(packet.len());
            packet[at] = octet;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len() + 1));
        }
        holds(&packet, if udp { Transport::Udp } else { Transport::Tcp })?;
    }
}

/// Statement 10: every type gives a well-formed reply with one of these rcodes.
#[test]
fn s10_rfc3597_all_types_are_answered() {
    for question_type in 0..=u16::MAX {
        for name in ["shop.gslb.example.", "ns1.gslb.example.", "gslb.example."] {
            let asked = ask(sample(), &Ask::new(name, RecordType::from(question_type)), 1);
            let rcode = u16::from(asked.message.response_code);
            assert!([0, 5].contains(&rcode), "{name} TYPE{question_type}: {rcode}");
        }
    }
}
