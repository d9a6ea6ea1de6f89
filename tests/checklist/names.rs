//! Statements 45 to 57 and 80: names, wildcards, negative answers, and zone files with mistakes.

use std::path::PathBuf;
use std::process::Command;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Signal, Site, Wire, WireRecord, binary, exchange_udp, scratch};

use crate::world::{both, config, serve};

const NOERROR: u16 = 0;
const NXDOMAIN: u16 = 3;

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const HINFO: u16 = 13;
const MX: u16 = 15;
const TXT: u16 = 16;
const SRV: u16 = 33;
const RRSIG: u16 = 46;
const HTTPS: u16 = 65;
const ANY: u16 = 255;
const PRIVATE: u16 = 65280;

//----------- The zone -------------------------------------------------------

/// The zone `z.example`: the example of RFC 4592 §2.2.1, but for its name with an asterisk in the middle, and
/// what the other statements need.
const ZONE: &str = r#"$TTL 3600
@                SOA ns.elsewhere.test. host.elsewhere.test. 1 7200 900 1209600 300
@                NS  ns.elsewhere.test.
@                HTTPS 0 www.elsewhere.test.
*                TXT "this is a wildcard"
*                MX  10 host1
host1            A   192.0.2.1
_ssh._tcp.host1  SRV 0 0 22 host1
_ssh._tcp.host2  SRV 0 0 22 host1
subdel           NS  ns.elsewhere.test.
subdel           NS  ns.subdel
ns.subdel        A   192.0.2.53
ns.subdel        AAAA 2001:db8::53
one              CNAME two
two              CNAME three
three            A   192.0.2.3
three            A   192.0.2.4
dangling         CNAME missing.host1
loop1            CNAME loop2
loop2            CNAME loop1
self             CNAME self
to-the-cut       CNAME www.subdel
away             CNAME www.elsewhere.test.
generic          TYPE65280 \# 3 abcdef
generic          TYPE65281 \# 0
generic          TYPE1 \# 4 c0000209
svc              HTTPS 1 . alpn=h2 port=8443 ipv4hint=192.0.2.7 key65333=abc
svc              SVCB 1 . alpn=h2 key65333=abc
"#;

/// A server of the zone file, and the folder that it lies in.
struct Zone {
    meridian: Meridian,
    folder: PathBuf,
}

impl Zone {
    fn serve() -> Self {
        Self::serve_text(ZONE)
    }

    fn serve_text(text: &str) -> Self {
        let folder = scratch();
        std::fs::write(folder.join("z.zone"), text).unwrap();
        let meridian = Meridian::serve(&configuration(&folder.join("z.zone")));
        Self { meridian, folder }
    }

    /// The reply to a question about a name relative to the zone, the same over UDP and TCP.
    fn ask(&self, name: &str, question_type: u16) -> Wire {
        let name = if name.is_empty() { "z.example.".to_owned() } else { format!("{name}.z.example.") };
        ask(&self.meridian, &name, question_type)
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        // What stays behind among the temporary files harms nobody.
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}

fn configuration(zone: &std::path::Path) -> String {
    let zone = format!("[[zones]]\nname = \"z.example\"\nfile = {zone:?}\n");
    Config::new().with("[server]\nlisten = [\"127.0.0.1:0\"]\n").with(&zone).text().to_owned()
}

fn ask(meridian: &Meridian, name: &str, question_type: u16) -> Wire {
    let query = Ask::new(name, RecordType::from(question_type)).edns(1232).octets();
    let [udp, tcp] = both(meridian.address(), &query);
    let shown = |wire: &Wire| wire.records.iter().map(|record| format!("{record:?}")).collect::<Vec<_>>();
    assert_eq!(shown(&udp), shown(&tcp), "{name} {question_type}");
    udp
}

/// Rcode, AA, and the types in the sections Answer and Authority.
fn shape(reply: &Wire) -> (u16, bool, Vec<u16>, Vec<u16>) {
    let types = |section| reply.section(section).map(|record| record.record_type).collect();
    (reply.rcode(), reply.authoritative(), types(1), types(2))
}

fn no_data() -> (u16, bool, Vec<u16>, Vec<u16>) {
    (NOERROR, true, vec![], vec![SOA])
}

fn no_name() -> (u16, bool, Vec<u16>, Vec<u16>) {
    (NXDOMAIN, true, vec![], vec![SOA])
}

//----------- Statements -----------------------------------------------------

#[test]
fn s45_rfc4592_2_2_2_an_empty_non_terminal_is_nodata() {
    let zone = Zone::serve();
    for name in ["_tcp.host1", "host2", "_tcp.host2"] {
        for question_type in [A, TXT, NS, SOA, CNAME, ANY, PRIVATE] {
            assert_eq!(shape(&zone.ask(name, question_type)), no_data(), "{name} {question_type}");
        }
    }
    // The name above that of a gateway is there too.
    let gateway = [("frankfurt", "192.0.2.1")];
    let text = config().gateway("deep", &["a.steered.gslb.example"], "", &gateway);
    let meridian = Meridian::serve(text.text());
    assert_eq!(shape(&ask(&meridian, "steered.gslb.example.", A)), no_data());
}

/// No name that owns something has an ancestor in its zone that does not exist, and a steered name with
/// nothing healthy is there.
#[test]
fn s46_rfc8020_2_nxdomain_means_that_nothing_is_below() {
    let zone = Zone::serve();
    for line in ZONE.lines().filter(|line| !line.starts_with(['$', '@', '*'])) {
        let mut name = line.split(' ').next();
        while let Some(asked) = name {
            assert_eq!(zone.ask(asked, CNAME).rcode(), NOERROR, "{asked}");
            name = asked.split_once('.').map(|(_, above)| above);
        }
    }
    assert_eq!(shape(&zone.ask("missing.host1", A)), no_name());
    assert_eq!(shape(&zone.ask("below.missing.host1", A)), no_name());

    let site = Site::new();
    let mut cluster = site.cluster(1);
    let probe = format!(
        "[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\n",
        site.port
    );
    let keys = "probe = \"web\"\nall_down = \"nodata\"\n";
    let ip = cluster.ip();
    let text = config().with(&probe).gateway("down", &["down.gslb.example"], keys, &[("frankfurt", &ip)]);
    let mut meridian = Meridian::serve(text.text());
    assert_eq!(ask(&meridian, "down.gslb.example.", A).counts[1], 1);
    cluster.kill();
    meridian.wait_for_verdict(&ip, "unhealthy");
    assert_eq!(shape(&ask(&meridian, "down.gslb.example.", A)), no_data());
}

#[test]
fn s47_rfc2308_3_a_negative_answer_has_one_soa_with_the_lower_ttl() {
    // SOA TTL and MINIMUM, either way.
    for (soa_ttl, minimum) in [(3600, 300), (200, 300)] {
        let text = ZONE.replace("@                SOA", &format!("@ {soa_ttl} SOA"));
        let zone = Zone::serve_text(&text);
        let negative = [
            ("host1", TXT, NOERROR, 0),
            ("_tcp.host1", A, NOERROR, 0),
            ("anything", A, NOERROR, 0),
            ("missing.host1", A, NXDOMAIN, 0),
            ("dangling", A, NXDOMAIN, 1),
            ("two", TXT, NOERROR, 1),
            ("", A, NOERROR, 0),
        ];
        for (name, question_type, code, aliases) in negative {
            let reply = zone.ask(name, question_type);
            assert_eq!(shape(&reply), (code, true, vec![CNAME; aliases], vec![SOA]), "{name}");
            let soa = reply.section(2).next().unwrap();
            assert_eq!((soa.ttl, soa.owner.as_str()), (soa_ttl.min(minimum), "z.example."), "{name}");
        }
        // Asked for itself it has its own.
        assert_eq!(zone.ask("", SOA).section(1).next().unwrap().ttl, soa_ttl);
    }
}

#[test]
fn s48_rfc2308_2_2_a_type_that_a_name_does_not_have_is_nodata() {
    let zone = Zone::serve();
    let kept = ["A", "AAAA", "NS", "SOA", "MX", "TXT", "SRV", "CAA", "HTTPS", "SVCB", "DS", "PTR", "NAPTR"];
    let has: [(&str, &[&str]); 5] = [
        ("", &["SOA", "NS", "HTTPS"]),
        ("host1", &["A"]),
        ("svc", &["HTTPS", "SVCB"]),
        ("_ssh._tcp.host1", &["SRV"]),
        ("made.by.the.wildcard", &["TXT", "MX"]),
    ];
    for (name, types) in has {
        for asked in kept {
            let question_type = u16::from(asked.parse::<RecordType>().unwrap());
            let wanted = match types.contains(&asked) {
                true => (NOERROR, true, vec![question_type], vec![]),
                false => no_data(),
            };
            assert_eq!(shape(&zone.ask(name, question_type)), wanted, "{name} {asked}");
        }
    }
    // Also of a steered name.
    let meridian = serve("");
    for question_type in [TXT, MX, HTTPS, SOA, NS, PRIVATE] {
        assert_eq!(shape(&ask(&meridian, "shop.gslb.example.", question_type)), no_data(), "{question_type}");
    }
}

/// The questions of RFC 4592 §2.2.1 and what it says of each.
#[test]
fn s49_rfc4592_2_2_1_wildcards() {
    let zone = Zone::serve();
    let made = |name: &str, question_type| {
        let reply = zone.ask(name, question_type);
        assert_eq!(shape(&reply), (NOERROR, true, vec![question_type], vec![]), "{name}");
        let owner = reply.section(1).next().unwrap().owner.clone();
        assert_eq!(owner, format!("{name}.z.example."));
    };
    made("host3", MX);
    assert_eq!(shape(&zone.ask("host3", A)), no_data());
    made("foo.bar", TXT);
    // What exists is no wildcard's, and neither is what is below it.
    assert_eq!(shape(&zone.ask("host1", MX)), no_data());
    assert_eq!(shape(&zone.ask("host2", TXT)), no_data());
    assert_eq!(shape(&zone.ask("_telnet._tcp.host1", SRV)), no_name());
    assert_eq!(shape(&zone.ask("host.subdel", A)), (NOERROR, false, vec![], vec![NS, NS]));
    // An asterisk that is asked is the name with the asterisk, below which there is nothing (§2.3, §4.5).
    made("*", TXT);
    assert_eq!(shape(&zone.ask("ghost.*", MX)), no_name());
    // Its case is kept, as that of any name.
    let reply = zone.ask("Foo.BAR", TXT);
    let tail = b"\x03Foo\x03BAR\x01z\x07example\x00\x00\x10\x00\x01";
    assert_eq!(reply.question, tail);
}

#[test]
fn s50_rfc6604_3_chains_end_with_the_rcode_of_the_last_name_and_end() {
    let zone = Zone::serve();
    assert_eq!(shape(&zone.ask("one", A)), (NOERROR, true, vec![CNAME, CNAME, A, A], vec![]));
    assert_eq!(shape(&zone.ask("dangling", A)), (NXDOMAIN, true, vec![CNAME], vec![SOA]));
    assert_eq!(shape(&zone.ask("to-the-cut", A)), (NOERROR, true, vec![CNAME], vec![NS, NS]));
    assert_eq!(shape(&zone.ask("away", A)), (NOERROR, true, vec![CNAME], vec![]));
    assert_eq!(shape(&zone.ask("loop1", A)), (NOERROR, true, vec![CNAME, CNAME], vec![]));
    assert_eq!(shape(&zone.ask("self", A)), (NOERROR, true, vec![CNAME], vec![]));
    // A chain without end is cut somewhere.
    let long: String = (0..100).map(|number| format!("c{number} CNAME c{}\n", number + 1)).collect();
    let zone = Zone::serve_text(&format!("{ZONE}{long}"));
    let reply = zone.ask("c0", A);
    assert_eq!(reply.rcode(), NOERROR);
    assert!((2..=20).contains(&reply.counts[1]), "{:?}", reply.counts);
    // A CNAME beside other data is not loaded.
    let issues = refused(&format!("{ZONE}one A 192.0.2.1\n"));
    assert!(issues.contains("no other records beside the CNAME of one.z.example."), "{issues}");
}

#[test]
fn s51_rfc1034_4_3_2_cname_any_and_rrsig_do_not_follow_a_cname() {
    let zone = Zone::serve();
    assert_eq!(shape(&zone.ask("one", CNAME)), (NOERROR, true, vec![CNAME], vec![]));
    assert_eq!(shape(&zone.ask("one", ANY)), (NOERROR, true, vec![HINFO], vec![]));
    assert_eq!(shape(&zone.ask("one", RRSIG)), no_data());
    assert_eq!(shape(&zone.ask("loop1", CNAME)), (NOERROR, true, vec![CNAME], vec![]));
}

#[test]
fn s52_rfc9471_3_1_below_a_cut_there_is_a_referral_with_its_glue() {
    let zone = Zone::serve();
    for name in ["subdel", "www.subdel", "a.b.subdel", "ns.subdel", "*.subdel"] {
        for question_type in [A, TXT, NS, SOA, ANY, CNAME] {
            let reply = zone.ask(name, question_type);
            assert_eq!(shape(&reply), (NOERROR, false, vec![], vec![NS, NS]), "{name} {question_type}");
            assert!(reply.section(2).all(|record| record.owner == "subdel.z.example."));
            let glue: Vec<&WireRecord> = reply.section(3).filter(|record| record.record_type != 41).collect();
            assert_eq!(glue.len(), 2, "{name} {question_type}");
            assert!(glue.iter().all(|record| record.owner == "ns.subdel.z.example."));
        }
    }
    // Glue that does not fit: TC, and all of it over TCP.
    let servers: String =
        (0..50).map(|n| format!("wide NS ns{n}.wide\nns{n}.wide A 192.0.2.{n}\n")).collect();
    let zone = Zone::serve_text(&format!("{ZONE}{servers}"));
    let query = Ask::new("www.wide.z.example.", RecordType::A).edns(1232).octets();
    let [udp, tcp] = both(zone.meridian.address(), &query);
    assert!(udp.truncated() && !tcp.truncated());
    assert_eq!((tcp.counts[2], tcp.counts[3]), (50, 51));
}

#[test]
fn s53_rfc2181_5_one_ttl_an_rrset_and_no_record_twice() {
    let zone = Zone::serve();
    let names = ["", "host1", "one", "self", "loop1", "svc", "subdel", "anything", "three"];
    for name in names {
        for question_type in [A, NS, MX, TXT, HTTPS, CNAME] {
            let reply = zone.ask(name, question_type);
            let key = |record: &WireRecord| (record.owner.clone(), record.record_type, record.data.clone());
            for (at, record) in reply.records.iter().enumerate() {
                for other in &reply.records[..at] {
                    assert_ne!(key(record), key(other), "{name} {question_type}");
                    let same_set = (&record.owner, record.record_type) == (&other.owner, other.record_type);
                    assert!(!same_set || record.ttl == other.ttl, "{name} {question_type}");
                }
            }
        }
    }
    let issues = refused(&format!("{ZONE}three 60 A 192.0.2.5\nthree A 192.0.2.3\n"));
    assert!(issues.contains("RFC 2181 §5.2") && issues.contains("each record once"), "{issues}");
}

#[test]
fn s54_rfc8482_4_any_is_one_hinfo_record() {
    let zone = Zone::serve();
    for name in ["", "host1", "svc", "one", "anything.made", "*"] {
        let reply = zone.ask(name, ANY);
        assert_eq!(shape(&reply), (NOERROR, true, vec![HINFO], vec![]), "{name}");
        assert_eq!(reply.section(1).next().unwrap().data, b"\x07RFC8482\x00");
    }
    assert_eq!(shape(&zone.ask("host2", ANY)), no_data());
    assert_eq!(shape(&zone.ask("missing.host1", ANY)), no_name());
    let query = Ask::new("z.example.", RecordType::ANY).octets();
    let reply = exchange_udp(zone.meridian.address(), None, &query).unwrap();
    assert!(reply.len() < query.len() + 64, "{} octets", reply.len());
}

#[test]
fn s55_rfc9460_2_https_and_svcb() {
    let zone = Zone::serve();
    let data = |name: &str, question_type| {
        let reply = zone.ask(name, question_type);
        assert_eq!(shape(&reply), (NOERROR, true, vec![question_type], vec![]), "{name}");
        reply.section(1).next().unwrap().data.clone()
    };
    // AliasMode at the apex, which a CNAME may not be at.
    assert_eq!(data("", HTTPS), b"\x00\x00\x03www\x09elsewhere\x04test\x00");
    // The target ".", and a key that nobody knows, kept.
    let unknown = b"\xff\x35\x00\x03abc";
    let alpn = b"\x00\x01\x00\x03\x02h2";
    let https =
        [b"\x00\x01\x00", &alpn[..], b"\x00\x03\x00\x02\x20\xfb\x00\x04\x00\x04\xc0\x00\x02\x07", unknown];
    assert_eq!(data("svc", HTTPS), https.concat());
    assert_eq!(data("svc", 64), [b"\x00\x01\x00", &alpn[..], unknown].concat());
    // Hints of a gateway are those of the cluster that the addresses are of, for each client.
    let gateway = [("frankfurt", "192.0.2.1"), ("tokyo", "192.0.2.2")];
    let keys = "[gateways.https]\nalpn = [\"h2\"]\n";
    let text = config().gateway("web", &["web.gslb.example"], keys, &gateway);
    let meridian = Meridian::serve(text.text());
    for (client, last) in [("10.1.0.0", 1), ("10.2.0.0", 2)] {
        let reply = |question_type| {
            let ask = Ask::new("web.gslb.example.", question_type).subnet(client, 24);
            both(meridian.address(), &ask.octets())[0].section(1).next().unwrap().data.clone()
        };
        assert_eq!(reply(RecordType::A), [192, 0, 2, last]);
        let hint = [0, 4, 0, 4, 192, 0, 2, last];
        assert!(reply(RecordType::HTTPS).ends_with(&hint), "{client}");
    }
}

#[test]
fn s56_rfc3597_5_unknown_types() {
    let zone = Zone::serve();
    for (question_type, data) in [(PRIVATE, &b"\xab\xcd\xef"[..]), (65281, b""), (A, b"\xc0\x00\x02\x09")] {
        let reply = zone.ask("generic", question_type);
        assert_eq!(shape(&reply), (NOERROR, true, vec![question_type], vec![]));
        assert_eq!(reply.section(1).next().unwrap().data, data);
    }
}

/// A resolver that shows a label more at a time finds its way to every name.
#[test]
fn s57_rfc9156_2_1_every_label_on_the_way_has_an_answer() {
    let zone = Zone::serve();
    let site = "tokyo.shop.site.gslb.example.";
    let world = serve("");
    let of_the_zone =
        ["a.b.c.wild", "_ssh._tcp.host2", "www.a.b.subdel", "one"].map(|name| format!("{name}.z.example."));
    let asked = of_the_zone.iter().map(|name| (&zone.meridian, "z.example.", name.as_str()));
    let steered = ["shop.gslb.example.", site, "x.y.wild.gslb.example.", "a.b.ent.gslb.example."];
    for (meridian, apex, name) in asked.chain(steered.map(|name| (&world, "gslb.example.", name))) {
        let mut below = Some(name);
        while let Some(name) = below {
            for question_type in [A, NS] {
                let (code, authoritative, _, authority) = shape(&ask(meridian, name, question_type));
                assert_eq!(code, NOERROR, "{name} {question_type}");
                assert!(authoritative || authority.contains(&NS), "{name} {question_type}");
            }
            below = name.split_once('.').map(|(_, above)| above).filter(|_| name != apex);
        }
    }
}

/// What `check` says of a zone file with a mistake; neither does `serve` start with it.
fn refused(zone: &str) -> String {
    let folder = scratch();
    let file = folder.join("z.zone");
    std::fs::write(&file, zone).unwrap();
    let config = folder.join("meridian.toml");
    std::fs::write(&config, configuration(&file)).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).arg(&config).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let issues = run(&["check"]);
    let at_start = run(&["serve", "--config"]);
    assert!(issues.lines().all(|issue| at_start.contains(issue)), "{issues}\n{at_start}");
    std::fs::remove_dir_all(&folder).unwrap();
    issues.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn s80_a_zone_file_with_a_mistake_changes_nothing_and_is_reported_with_its_line() {
    let broken = format!("{ZONE}new A 192.0.2.300\nother TXT \"open\nwww.subdel A 192.0.2.1\n");
    let first = ZONE.lines().count() + 1;
    let lines = [
        format!("z.zone:{first}:7: data: expected A data (an IPv4 address), found \"192.0.2.300\""),
        format!("z.zone:{}:11: syntax: expected a closing quote in the same line", first + 1),
        format!("z.zone:{}:1: name: expected only DS, and addresses of its name servers", first + 2),
    ];
    let issues = refused(&broken);
    assert_eq!(issues.lines().count(), 3, "{issues}");
    for (issue, wanted) in issues.lines().zip(&lines) {
        assert!(issue.starts_with(wanted), "{issues}");
    }
    // On a reload what was served before stays whole, new names and all.
    let mut zone = Zone::serve();
    let file = zone.folder.join("z.zone");
    std::fs::write(&file, format!("fresh A 192.0.2.8\n{broken}")).unwrap();
    zone.meridian.signal(Signal::SIGHUP);
    zone.meridian.wait_for("what stays", |line| {
        line["message"].as_str().is_some_and(|message| message.starts_with("reload refused"))
    });
    assert_eq!(shape(&zone.ask("fresh", A)), no_data());
    assert_eq!(shape(&zone.ask("one", A)).2, [CNAME, CNAME, A, A]);
}
