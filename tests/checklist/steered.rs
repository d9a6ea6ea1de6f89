//! Statements 34 to 39 and 79 to 87: answers that depend on who asks, and on what is up.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Site, Wire};

use crate::world::{GERMAN, both, config, serve, udp};

const SUBNET: u16 = 8;
/// Somebody in Japan, whom the embedded database knows.
const JAPANESE: Ipv4Addr = Ipv4Addr::new(133, 11, 0, 1);

fn shop(record_type: RecordType) -> Ask {
    Ask::new("shop.gslb.example.", record_type)
}

/// The last octets of the addresses in the answer: the numbers of the clusters.
fn clusters(reply: &Wire) -> Vec<u8> {
    let addresses = reply.section(1).filter(|record| matches!(record.record_type, 1 | 28));
    addresses.filter_map(|record| record.data.last().copied()).collect()
}

fn scope(reply: &Wire) -> u8 {
    reply.option(SUBNET).expect("a subnet")[3]
}

#[test]
fn s34_rfc7871_7_2_1_an_alias_has_the_scope_of_what_it_leads_to() {
    let text =
        config().text().replace("name = \"alias\"", "name = \"www\"").replace("[\"static\"]", "[\"shop\"]");
    let meridian = Meridian::serve(&text);
    for record_type in [RecordType::A, RecordType::AAAA] {
        let of = |name: &str| Ask::new(name, record_type).subnet(GERMAN, 24).octets();
        let alias = both(meridian.address(), &of("www.gslb.example."));
        let direct = both(meridian.address(), &of("shop.gslb.example."));
        for (alias, direct) in alias.iter().zip(&direct) {
            assert_eq!((alias.counts[1], clusters(alias)), (2, clusters(direct)));
            assert!(scope(alias) > 0 && scope(alias) == scope(direct));
        }
    }
}

#[test]
fn s36_a_and_aaaa_are_of_one_cluster() {
    let meridian = serve("");
    let mut random = fastrand::Rng::with_seed(36);
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let client = Ipv4Addr::from(random.u32(..)).to_string();
        let [a, aaaa] = [RecordType::A, RecordType::AAAA].map(|record_type| {
            udp(meridian.address(), "127.0.0.1", &shop(record_type).subnet(&client, 24).octets())
        });
        assert_eq!((clusters(&a).len(), clusters(&a)), (1, clusters(&aaaa)), "{client}");
        seen.extend(clusters(&a));
    }
    assert_eq!(seen.len(), 2, "clients of both clusters");
}

/// An IPv4 address in its IPv6 forms: mapped (RFC 4291), 6to4 (RFC 3056), Teredo (RFC 4380), NAT64 (RFC 6052).
#[test]
fn s37_all_forms_of_one_ipv4_address_map_alike() {
    let meridian = serve("");
    for client in [JAPANESE, Ipv4Addr::new(10, 1, 2, 3), Ipv4Addr::new(10, 2, 3, 4)] {
        let [a, b, c, d] = client.octets();
        let words = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
        let [not_high, not_low] = words.map(|word| !word);
        let wanted = clusters(
            &both(meridian.address(), &shop(RecordType::A).subnet(&client.to_string(), 32).octets())[0],
        );
        for form in [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, words[0], words[1]),
            Ipv6Addr::new(0x2002, words[0], words[1], 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, not_high, not_low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, words[0], words[1]),
        ] {
            let ask = shop(RecordType::A).subnet(&form.to_string(), 128).octets();
            for reply in both(meridian.address(), &ask) {
                assert_eq!(clusters(&reply), wanted, "{client} as {form}");
            }
        }
    }
}

#[test]
fn s39_rfc7871_7_4_no_subnet_turns_an_answer_into_none() {
    let meridian = serve("");
    let mut random = fastrand::Rng::with_seed(39);
    for _ in 0..300 {
        let length = random.u8(0..=32);
        let ask = shop(RecordType::A).subnet(&Ipv4Addr::from(random.u32(..)).to_string(), length);
        let v6 = Ipv6Addr::from(random.u128(..));
        let other = shop(RecordType::AAAA).subnet(&v6.to_string(), random.u8(0..=128));
        for ask in [ask, other] {
            let reply = udp(meridian.address(), "127.0.0.1", &ask.octets());
            assert_eq!((reply.rcode(), clusters(&reply).len()), (0, 1), "{ask:?}");
        }
    }
}

#[test]
fn s79_all_servers_of_one_file_have_one_soa_and_ns() {
    let text = config().text().replace("serial = 7\n", "");
    let servers = [Meridian::serve(&text), Meridian::serve(&text)];
    for record_type in [RecordType::SOA, RecordType::NS] {
        let ask = Ask::new("gslb.example.", record_type).octets();
        let replies: Vec<Vec<_>> = servers
            .iter()
            .flat_map(|server| both(server.address(), &ask))
            .map(|reply| {
                reply.records.into_iter().map(|record| (record.owner, record.ttl, record.data)).collect()
            })
            .collect();
        assert!(replies.iter().all(|reply| !reply.is_empty() && *reply == replies[0]), "{record_type}");
    }
}

//----------- Health ---------------------------------------------------------

/// A gateway with two clusters that can be killed.
fn watched(site: &Site, keys: &str) -> String {
    Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[health]\nisolation = false\n")
        .watched(site, "10s", keys)
        .networks([("10.1.0.0/16", "DE")])
        .text()
        .to_owned()
}

/// Address and TTL of the answer to a German.
fn german(meridian: &Meridian) -> (Vec<u8>, Option<u32>) {
    let ask = shop(RecordType::A).subnet(GERMAN, 24).octets();
    let [udp, tcp] = both(meridian.address(), &ask);
    assert_eq!((udp.rcode(), clusters(&udp)), (0, clusters(&tcp)));
    (clusters(&udp), udp.section(1).next().map(|record| record.ttl))
}

/// The TTL is short while the verdict before the answer is in doubt; all down is served as though all were up;
/// only a gateway that says so answers nothing, and says why (RFC 8914).
#[test]
fn s82_s87_ttl_and_what_is_answered_when_all_are_down() {
    for (keys, all_down) in [("", vec![1]), ("all_down = \"nodata\"\n", vec![])] {
        let site = Site::new();
        let mut clusters = [site.cluster(1), site.cluster(2)];
        let mut meridian = Meridian::serve(&watched(&site, keys));
        assert_eq!(german(&meridian), (vec![1], Some(30)));
        clusters[0].kill();
        meridian.wait_for_verdict(&site.address(1).to_string(), "unhealthy");
        // It may come back at any time.
        assert_eq!(german(&meridian), (vec![2], Some(5)));
        clusters[1].kill();
        meridian.wait_for_verdict(&site.address(2).to_string(), "unhealthy");
        let (addresses, ttl) = german(&meridian);
        assert_eq!((&addresses, ttl), (&all_down, (!all_down.is_empty()).then_some(5)));
        let ask = shop(RecordType::A).subnet(GERMAN, 24).octets();
        for reply in both(meridian.address(), &ask) {
            assert_eq!(reply.option(15).is_some(), all_down.is_empty(), "an error says why");
        }
        clusters[0].mend();
        meridian.wait_for_verdict(&site.address(1).to_string(), "healthy");
        assert_eq!(german(&meridian).0, [1]);
    }
}

#[test]
fn s83_where_a_cluster_has_no_aaaa_the_next_one_that_has_answers() {
    let text = config().text().replace("\"192.0.2.1\", \"2001:db8::1\"", "\"192.0.2.1\"");
    assert_ne!(text, config().text());
    let meridian = Meridian::serve(&text);
    for (record_type, wanted) in [(RecordType::A, 1), (RecordType::AAAA, 2)] {
        for reply in both(meridian.address(), &shop(record_type).subnet(GERMAN, 24).octets()) {
            assert_eq!(clusters(&reply), [wanted], "{record_type}");
        }
    }
}

#[test]
fn s84_the_same_question_has_the_same_answer_everywhere() {
    let servers = [serve(""), serve("")];
    let mut random = fastrand::Rng::with_seed(84);
    for _ in 0..20 {
        let client = Ipv4Addr::from(random.u32(..)).to_string();
        let ask = shop(RecordType::A).subnet(&client, 24).octets();
        let mut answers = BTreeSet::new();
        for server in &servers {
            for address in &server.addresses {
                // Each socket is another's worker as a rule.
                for _ in 0..4 {
                    let replies = both(*address, &ask);
                    answers.extend(replies.map(|reply| (clusters(&reply), scope(&reply))));
                }
            }
        }
        assert_eq!(answers.len(), 1, "{client}");
    }
}

/// Gateway wildcards cover every depth, also below an exact hostname, and not their own suffix; static wildcards
/// follow RFC 4592.
#[test]
fn s86_gateway_wildcards_follow_the_gateway_api() {
    let text = config()
        .with("[[gateways]]\nname = \"wide\"\nhostnames = [\"*.w.gslb.example\"]\n[[gateways.endpoints]]\ncluster = \"tokyo\"\naddresses = [\"192.0.2.8\"]\n")
        .with("[[gateways]]\nname = \"exact\"\nhostnames = [\"foo.w.gslb.example\"]\n[[gateways.endpoints]]\ncluster = \"tokyo\"\naddresses = [\"192.0.2.9\"]\n");
    let meridian = Meridian::serve(text.text());
    for (name, rcode, wanted) in [
        ("foo.w.gslb.example.", 0, Some(9)),
        ("x.foo.w.gslb.example.", 0, Some(8)),
        ("x.y.z.w.gslb.example.", 0, Some(8)),
        ("w.gslb.example.", 0, None),
        ("x.static.gslb.example.", 3, None),
        ("wild.gslb.example.", 0, None),
    ] {
        for reply in both(meridian.address(), &Ask::new(name, RecordType::A).octets()) {
            assert_eq!((reply.rcode(), clusters(&reply).first().copied()), (rcode, wanted), "{name}");
        }
    }
}
