//! The built binary asked by real clients: dig, kdig, and Unbound in front of it; and with a large
//! database. `./tests/run` installs them and runs this suite.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{
    Ask, City, Cluster, Config, Meridian, Shown, Signal, Site, Unbound, WORLD, ask_udp, binary, delv, dig,
    dig_text, kdig, says, scratch,
};

//----------- Configurations -------------------------------------------------

/// Networks in which clients of a test live.
const NETWORKS: [(&str, &str); 6] = [
    ("127.0.1.0/24", "IE"),
    ("127.0.2.0/24", "US"),
    ("127.0.3.0/24", "JP"),
    ("10.1.0.0/16", "IE"),
    ("10.2.0.0/16", "US"),
    ("10.3.0.0/16", "JP"),
];

/// The zone, three clusters, and a gateway with one address in each.
fn config(addresses: [&str; 3], keys: &str) -> Config {
    let endpoints: Vec<(&str, &str)> = WORLD.iter().map(|(name, ..)| *name).zip(addresses).collect();
    Config::new().with("[server]\nlisten = [\"127.0.0.1:0\"]\n").clusters(&WORLD).gateway(
        "shop",
        &["shop.gslb.example"],
        keys,
        &endpoints,
    )
}

const ADDRESSES: [&str; 3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];

/// A server for dig and kdig, with a text that no UDP reply can hold.
fn simple() -> Meridian {
    let texts: Vec<String> = (0..12).map(|number| format!("'\"{number:02}{}\"'", "x".repeat(180))).collect();
    let config = config(ADDRESSES, "")
        .networks(NETWORKS)
        .record("text", "TXT", "'\"hello\"'")
        .record("a.ent", "TXT", "'\"below\"'")
        .record("big", "TXT", &texts.join(", "));
    Meridian::serve(config.text())
}

const SOA: &str = "ns1.gslb.example. hostmaster.example. 7 86400 7200 3600000 60";

//----------- dig ------------------------------------------------------------

#[test]
fn dig_gets_the_nearest_with_its_scope() {
    let meridian = simple();
    for (subnet, wanted, echoed) in [
        ("10.2.3.0/24", "192.0.2.2", "10.2.3.0/24/16"),
        ("10.3.3.7/32", "192.0.2.3", "10.3.3.7/32/16"),
        ("10.3.0.0/16", "192.0.2.3", "10.3.0.0/16/16"),
    ] {
        let shown = dig(meridian.address(), &format!("shop.gslb.example A +subnet={subnet}"));
        assert_eq!(shown.data(), [wanted]);
        assert_eq!(shown.subnet(), Some(echoed));
        assert_eq!(shown.answer, [format!("shop.gslb.example. 30 IN A {wanted}")]);
        assert!(shown.has("aa") && shown.status == "NOERROR" && shown.over == "UDP", "{shown:?}");
    }
    // Family 0: nothing is disclosed, the option comes back.
    let shown = dig(meridian.address(), "shop.gslb.example A +subnet=0 -b 127.0.3.9");
    assert_eq!(shown.data(), ["192.0.2.3"]);
    assert!(shown.subnet().is_some_and(|subnet| subnet.ends_with("/0/0")), "{shown:?}");
    // Without a subnet the resolver's address places the client, and no subnet comes back.
    let shown = dig(meridian.address(), "shop.gslb.example A -b 127.0.2.9");
    assert_eq!((shown.data(), shown.subnet()), (vec!["192.0.2.2".to_owned()], None));
}

#[test]
fn dig_asks_again_over_tcp_when_truncated() {
    let meridian = simple();
    let cut = dig(meridian.address(), "big.gslb.example TXT +ignore +bufsize=4096");
    assert!(cut.has("tc") && cut.answer.is_empty() && cut.size <= 1232, "{cut:?}");
    let whole = dig_text(meridian.address(), "big.gslb.example TXT +bufsize=4096");
    assert!(whole.contains("Truncated, retrying in TCP mode") && whole.contains("ANSWER: 12"), "{whole}");
    let tcp = dig(meridian.address(), "big.gslb.example TXT +tcp");
    assert_eq!((tcp.answer.len(), tcp.over.as_str()), (12, "TCP"));
    assert!(tcp.size > 2300);
}

#[test]
fn dig_gets_what_the_zone_holds() {
    let meridian = simple();
    let server = meridian.address();
    let negative = format!("gslb.example. 60 IN SOA {SOA}");
    for (words, status, authority) in [
        ("nothing.gslb.example A", "NXDOMAIN", Some(&negative)),
        ("x.text.gslb.example A", "NXDOMAIN", Some(&negative)),
        ("text.gslb.example A", "NOERROR", Some(&negative)),
        ("ent.gslb.example A", "NOERROR", Some(&negative)),
        ("shop.gslb.example HTTPS", "NOERROR", Some(&negative)),
        ("elsewhere.example A", "REFUSED", None),
        ("version.bind TXT CH", "REFUSED", None),
        ("gslb.example AXFR +noall", "", None),
    ] {
        if words.contains("AXFR") {
            assert!(dig_text(server, "gslb.example AXFR").contains("Transfer failed"));
            continue;
        }
        let shown = dig(server, words);
        assert_eq!(shown.status, status, "{words}");
        assert_eq!(shown.authority, authority.into_iter().cloned().collect::<Vec<_>>(), "{words}");
        assert!(shown.answer.is_empty() && shown.has("aa") == authority.is_some(), "{words}");
    }
    let servers = dig(server, "gslb.example NS");
    assert_eq!(servers.data(), ["ns1.gslb.example.", "ns2.elsewhere.example."]);
    assert_eq!(servers.additional, ["ns1.gslb.example. 3600 IN A 127.0.0.1"]);
    assert_eq!(dig(server, "gslb.example SOA").answer, [format!("gslb.example. 3600 IN SOA {SOA}")]);
    assert_eq!(dig(server, "shop.gslb.example ANY").data(), ["\"RFC8482\" \"\""]);
    let shown = dig(server, "ShOp.GsLb.ExAmPlE A");
    assert_eq!(shown.question, ["ShOp.GsLb.ExAmPlE. IN A"]);
    assert!(shown.answer[0].starts_with("ShOp.GsLb.ExAmPlE. 30"), "{shown:?}");
}

/// The sixteen lines of RFC 8906 §8, with what each must give; those of DNSSEC and others that are
/// beside the point left as they stand in the RFC.
#[test]
fn dig_as_rfc_8906_asks() {
    let meridian = simple();
    let server = meridian.address();
    let soa = "gslb.example SOA +norec";
    // §8.1.1 SOA; §8.1.2 an unknown type; §8.1.3 the flags of the header, each alone.
    assert_eq!(dig(server, &format!("{soa} +noedns")).answer.len(), 1);
    assert_eq!(dig(server, "gslb.example TYPE1000 +norec +noedns").status, "NOERROR");
    for flag in ["+cdflag", "+noaa", "+adflag", "+zflag", "+rec"] {
        let shown = dig(server, &format!("{soa} +noedns {flag}"));
        assert_eq!((shown.status.as_str(), shown.answer.len()), ("NOERROR", 1), "{flag}");
        assert_eq!(shown.flags, if flag == "+rec" { "qr aa rd" } else { "qr aa" }, "{flag}");
    }
    // §8.1.4: an unknown opcode, header only.
    let opcode = dig(server, "gslb.example +norec +noedns +opcode=15 +header-only");
    assert_eq!((opcode.status.as_str(), opcode.opcode.as_str()), ("NOTIMP", "RESERVED15"));
    // §8.1.5: over TCP.
    assert_eq!(dig(server, &format!("{soa} +noedns +tcp")).answer.len(), 1);
    // §8.2.1 EDNS 0; §8.2.2 EDNS 1; §8.2.3 an unknown option; §8.2.4 unknown flags.
    let is_0 = |shown: &Shown| {
        assert_eq!(
            shown.edns.as_ref().map(|(version, _, size)| (*version, *size)),
            Some((0, 1232)),
            "{shown:?}"
        );
    };
    for (words, status) in [
        ("+edns=0 +nocookie", "NOERROR"),
        ("+edns=1 +noednsneg +nocookie", "BADVERS"),
        ("+edns=0 +ednsopt=100", "NOERROR"),
        ("+edns=0 +ednsflags=0x40 +nocookie", "NOERROR"),
        ("+edns=1 +noednsneg +ednsflags=0x40 +nocookie", "BADVERS"),
        ("+edns=1 +noednsneg +ednsopt=100", "BADVERS"),
        ("+edns=0 +dnssec +nocookie", "NOERROR"),
        ("+edns=1 +noednsneg +dnssec +nocookie", "BADVERS"),
        ("+edns=0 +cookie +nsid +expire +subnet=0.0.0.0/0 +ednsopt=100", "NOERROR"),
        ("+edns=0 +bufsize=512 +ignore +dnssec", "NOERROR"),
    ] {
        let shown = dig(server, &format!("{soa} {words}"));
        assert_eq!(shown.status, status, "{words}");
        assert_eq!(shown.answer.len(), usize::from(status == "NOERROR"), "{words}");
        assert_eq!(shown.has("aa"), status == "NOERROR", "{words}");
        is_0(&shown);
        let (_, flags, _) = shown.edns.clone().unwrap_or_default();
        assert_eq!(flags.trim(), if words.contains("+dnssec") { "do" } else { "" }, "{words}: {shown:?}");
        // dig sends a cookie unless it is told not to, and says whether its own came back.
        let (cookies, others): (Vec<&String>, Vec<&String>) =
            shown.options.iter().partition(|option| option.starts_with("COOKIE: "));
        let wanted = status == "NOERROR" && !words.contains("+nocookie");
        let good = cookies.iter().filter(|cookie| cookie.ends_with(" (good)")).count();
        assert_eq!((cookies.len(), good), (usize::from(wanted), usize::from(wanted)), "{words}: {shown:?}");
        let only_subnet = others.iter().all(|option| option.starts_with("CLIENT-SUBNET"));
        assert!(only_subnet, "{words}: an option that we do not know came back: {shown:?}");
    }
    // NOTIFY and UPDATE.
    for opcode in ["notify", "update"] {
        assert_eq!(dig(server, &format!("gslb.example SOA +opcode={opcode}")).status, "NOTIMP");
    }
}

/// BIND's own resolver library. Nothing is signed: it says that it validated nothing.
#[test]
fn delv_reads_every_kind_of_answer() {
    let meridian = simple();
    let server = meridian.address();
    for (question, wanted) in [
        ("shop.gslb.example A", "IN A 192.0.2."),
        ("text.gslb.example TXT", "IN TXT \"hello\""),
        ("gslb.example SOA", SOA),
        ("big.gslb.example TXT", "xxx"),
        ("nothing.gslb.example A", "ncache nxdomain"),
        ("text.gslb.example A", "ncache nxrrset"),
    ] {
        let said = delv(server, &format!("-i {question}"));
        assert!(said.contains(wanted) && !said.contains("failure"), "{question}: {said}");
    }
}

//----------- kdig -----------------------------------------------------------

#[test]
fn kdig_agrees() {
    let meridian = simple();
    let server = meridian.address();
    let shown = kdig(server, "shop.gslb.example A +subnet=10.3.3.0/24");
    assert_eq!(shown[0].data(), ["192.0.2.3"]);
    assert_eq!(shown[0].subnet(), Some("10.3.3.0/24/16"), "{shown:?}");
    // Several questions on one connection.
    let shown = kdig(server, "+tcp +keepopen shop.gslb.example A text.gslb.example TXT gslb.example SOA");
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown.iter().all(|shown| shown.status == "NOERROR" && shown.answer.len() == 1), "{shown:?}");
    let cut = kdig(server, "+ignore +bufsize=512 big.gslb.example TXT");
    assert!(cut[0].has("tc") && cut[0].size <= 512, "{cut:?}");
}

//----------- Unbound --------------------------------------------------------

/// Clients of the resolver, each in its country.
const CLIENTS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 1, 5), Ipv4Addr::new(127, 0, 2, 5), Ipv4Addr::new(127, 0, 3, 5)];

/// Asks through a resolver from an address.
fn through(resolver: SocketAddr, from: Ipv4Addr) -> Vec<String> {
    dig(resolver, &format!("shop.gslb.example A -b {from}")).data()
}

/// Asks until the answer is this one. A resolver may keep what it has for the TTL, a second here.
fn until(resolver: SocketAddr, from: Ipv4Addr, wanted: &str) {
    for _ in 0..200 {
        if through(resolver, from) == [wanted] {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{from} still gets {:?}, not {wanted}, 10 s after the view changed", through(resolver, from));
}

/// A zone delegated to us at a resolver that sends client subnets: each client gets its nearest
/// cluster; kill it, the answer moves; mend it, it moves back; kill all, the fallback.
#[test]
fn failover_through_unbound() {
    let site = Site::new();
    let mut clusters = [site.cluster(1), site.cluster(2), site.cluster(3)];
    let ips: Vec<String> = clusters.iter().map(Cluster::ip).collect();
    let probe = format!(
        "[health]\nisolation = false\n[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\n",
        site.port
    );
    let config =
        config([&ips[0], &ips[1], &ips[2]], "ttl = 1\nprobe = \"web\"\n").networks(NETWORKS).with(&probe);
    let mut meridian = Meridian::serve(config.text());
    let unbound = Unbound::start(site.address(53), "gslb.example", meridian.address());
    let resolver = unbound.address;
    for (client, wanted) in CLIENTS.into_iter().zip(&ips) {
        assert_eq!(through(resolver, client), [wanted.as_str()]);
    }

    clusters[0].kill();
    meridian.wait_for_verdict(&ips[0], "unhealthy");
    until(resolver, CLIENTS[0], &ips[1]);
    until(resolver, CLIENTS[2], &ips[2]);
    clusters[0].mend();
    meridian.wait_for_verdict(&ips[0], "healthy");
    until(resolver, CLIENTS[0], &ips[0]);

    for (cluster, ip) in clusters.iter_mut().zip(&ips) {
        cluster.kill();
        meridian.wait_for_verdict(ip, "unhealthy");
    }
    for (client, wanted) in CLIENTS.into_iter().zip(&ips) {
        until(resolver, client, wanted);
    }
}

/// The resolver's cache, which believes our scopes, changes no client's answer; and clients within
/// one scope share an entry.
#[test]
fn through_the_cache_is_as_asked_directly() {
    let site = Site::new();
    // Two small networks inside others, so that scopes are nested.
    let inner = [("127.0.2.64/26", "JP"), ("127.0.2.96/30", "IE")];
    let config = config(ADDRESSES, "ttl = 300\n").networks(NETWORKS).networks(inner);
    let meridian = Meridian::serve(config.text());
    let unbound = Unbound::start(site.address(53), "gslb.example", meridian.address());
    let hosts = [1_u8, 2, 63, 64, 65, 95, 96, 97, 99, 100, 127, 128, 200, 254];
    let clients: Vec<Ipv4Addr> =
        (1..=3).flat_map(|third| hosts.map(|host| Ipv4Addr::new(127, 0, third, host))).collect();
    // There and back, so that every client finds entries of others.
    for client in clients.iter().chain(clients.iter().rev()) {
        let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(&client.to_string(), 32);
        let direct = ask_udp(meridian.address(), &ask).unwrap().addresses();
        assert_eq!(through(unbound.address, *client), direct, "{client}");
    }
    let from_cache = unbound.from_subnet_cache();
    let asked = u64::try_from(clients.len() * 2).unwrap();
    assert!(from_cache > asked / 2, "{from_cache} of {asked} answers came from the cache");
}

//----------- A large database -----------------------------------------------

fn databases(files: &[&Path]) -> String {
    let quoted: Vec<String> = files.iter().map(|file| format!("{:?}", file.to_str().unwrap())).collect();
    format!("[geoip]\ndatabases = [{}]\n", quoted.join(", "))
}

/// Networks that have long been where they are, and the nearest of the three clusters.
const KNOWN: [(&str, &str); 9] = [
    ("134.226.0.0", "192.0.2.1"),
    ("193.1.0.0", "192.0.2.1"),
    ("129.215.0.0", "192.0.2.1"),
    ("18.9.0.0", "192.0.2.2"),
    ("128.112.0.0", "192.0.2.2"),
    ("129.6.0.0", "192.0.2.2"),
    ("133.11.0.0", "192.0.2.3"),
    ("130.54.0.0", "192.0.2.3"),
    ("2001:200::", "192.0.2.3"),
];

#[test]
fn a_city_database_in_two_files() {
    let [ipv4, ipv6] = City::files();
    let config = config(ADDRESSES, "");
    let mut meridian = Meridian::serve(config.clone().with(&databases(&[&ipv4, &ipv6])).text());
    let ask = |server: SocketAddr, (client, wanted): (&str, &str)| {
        let source = if client.parse::<IpAddr>().unwrap().is_ipv4() { 24 } else { 48 };
        let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(client, source);
        assert_eq!(ask_udp(server, &ask).unwrap().addresses(), [wanted], "{client}");
    };
    for known in KNOWN {
        ask(meridian.address(), known);
    }

    // A truncated copy: an issue at check, and at a reload the database in force stays.
    let folder = scratch();
    let truncated = folder.join("truncated.mmdb");
    let octets = std::fs::read(&ipv4).unwrap();
    std::fs::write(&truncated, &octets[..octets.len() / 3]).unwrap();
    std::fs::write(meridian.config(), config.with(&databases(&[&truncated])).text()).unwrap();
    let check = Command::new(binary()).arg("check").arg(meridian.config()).output().unwrap();
    assert_eq!(check.status.code(), Some(64));
    let message = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(
        message.contains("geoip.databases[0]: expected a") && message.contains("truncated.mmdb"),
        "{message}"
    );
    meridian.signal(Signal::SIGHUP);
    meridian.wait_for("refused", |line| says(line, "reload refused"));
    for known in KNOWN {
        ask(meridian.address(), known);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
