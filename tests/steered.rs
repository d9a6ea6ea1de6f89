//! What a gateway's keys mean for those who ask: answers of the whole way from the file to the octets.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use meridian_dns::{Moment, Peer, Transport, View, answer};
use meridian_model::{TargetHealth, Verdict, Verdicts};
use meridian_tests::{Ask, Asked, Config, Meridian, Signal, WORLD, ask_udp};

//----------- Views ----------------------------------------------------------

/// The three clusters of the world with one address each, and keys of the gateway `shop`.
fn world(keys: &str) -> Config {
    let endpoints: Vec<(&str, &str)> = WORLD
        .iter()
        .map(|(name, ..)| *name)
        .zip(["192.0.2.1,2001:db8::1", "192.0.2.2,2001:db8::2", "192.0.2.3,2001:db8::3"])
        .collect();
    Config::new().with("[[probes]]\nname = \"web\"\ntype = \"http\"\n").clusters(&WORLD).gateway(
        "shop",
        &["shop.gslb.example"],
        &format!("probe = \"web\"\n{keys}"),
        &endpoints,
    )
}

/// The view of a configuration; the targets of these addresses are unhealthy.
fn view(config: &Config, down: &[&str]) -> View {
    view_of(config.text(), down)
}

fn view_of(config: &str, down: &[&str]) -> View {
    let loaded =
        meridian::load_text(config, Path::new("steered.toml")).unwrap_or_else(|issues| panic!("{issues}"));
    let health = loaded.ground.catalog().targets().iter().map(|target| {
        let is_down = down.contains(&target.address.to_string().as_str());
        let verdict = if is_down { Verdict::Unhealthy } else { Verdict::Healthy };
        TargetHealth { verdict, ..TargetHealth::default() }
    });
    let verdicts = Verdicts::new(health.collect());
    View::new(loaded.ground, verdicts, None)
}

fn ask(view: &View, ask: &Ask, random: u64) -> Asked {
    let peer = Peer { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Tcp };
    let mut out = Vec::new();
    answer(view, &ask.octets(), peer, Moment { random, ..Moment::default() }, &mut out);
    Asked::decode(out).unwrap()
}

fn shop(client: IpAddr) -> Ask {
    Ask::new("shop.gslb.example.", RecordType::A)
        .subnet(&client.to_string(), if client.is_ipv4() { 24 } else { 56 })
}

/// `count` networks of IPv4 clients, the same each run.
fn networks(count: u32) -> impl Iterator<Item = IpAddr> {
    (0..count).map(|number| {
        Ipv4Addr::from_bits((0x0100_0000 + number.wrapping_mul(2_654_435_761) % 0xdf00_0000) & !0xff).into()
    })
}

//----------- Site names -----------------------------------------------------

#[test]
fn a_site_name_answers_its_cluster_whatever_its_health() {
    let view = view(&world(""), &["192.0.2.2", "2001:db8::2"]);
    for (site, v4) in [("eu-west", "192.0.2.1"), ("us-east", "192.0.2.2"), ("ap-northeast", "192.0.2.3")] {
        let name = format!("{site}.shop.site.gslb.example.");
        let reply = ask(&view, &Ask::new(&name, RecordType::A).subnet("8.8.8.0", 24), 0);
        assert_eq!(reply.addresses(), [v4], "{site}");
        assert_eq!((reply.subnet, reply.ttl()), (Some((24, 0)), Some(30)), "{site}");
        let v6 = ask(&view, &Ask::new(&name, RecordType::AAAA), 0);
        assert_eq!(v6.addresses(), [v4.replace("192.0.2.", "2001:db8::")]);
    }
    let rcode = |name: &str| ask(&view, &Ask::new(name, RecordType::A), 0).message.metadata.response_code;
    // Empty non-terminals, and a cluster that the gateway does not have.
    assert_eq!(rcode("shop.site.gslb.example."), ResponseCode::NoError);
    assert_eq!(rcode("site.gslb.example."), ResponseCode::NoError);
    assert_eq!(rcode("eu-south.shop.site.gslb.example."), ResponseCode::NXDomain);
}

#[test]
fn site_names_can_be_off() {
    let view = view(&world("site_names = false\n"), &[]);
    let reply = ask(&view, &Ask::new("eu-west.shop.site.gslb.example.", RecordType::A), 0);
    assert_eq!(reply.message.metadata.response_code, ResponseCode::NXDomain);
}

//----------- HTTPS ----------------------------------------------------------

#[test]
fn https_records_hint_at_the_addresses_of_the_same_selection() {
    let keys = "[gateways.https]\nalpn = [\"h3\", \"h2\"]\nport = 8443\nech = \"AEX+DQBB\"\n";
    let view = view(&world(keys), &["192.0.2.1", "2001:db8::1"]);
    let https = |client: &str| {
        let ask_https = Ask::new("shop.gslb.example.", RecordType::HTTPS).subnet(client, 24);
        let reply = ask(&view, &ask_https, 0);
        let a = ask(&view, &Ask::new("shop.gslb.example.", RecordType::A).subnet(client, 24), 0);
        assert_eq!(reply.subnet, a.subnet, "the scope is that of the addresses");
        assert_eq!(reply.message.answers.len(), 1);
        (reply.message.answers[0].data.to_string(), a.addresses())
    };
    // Dublin is down: its clients get Virginia.
    for (client, v4, v6) in
        [("134.226.0.0", "192.0.2.2", "2001:db8::2"), ("133.11.0.0", "192.0.2.3", "2001:db8::3")]
    {
        let (text, addresses) = https(client);
        assert_eq!(addresses, [v4]);
        let wanted = [
            "1 .".to_owned(),
            "alpn=\"h3,h2\"".to_owned(),
            "port=8443".to_owned(),
            format!("ipv4hint={v4}"),
            "ech=AEX+DQBB".to_owned(),
            format!("ipv6hint={v6}"),
        ];
        let normal = text.replace('"', "");
        for part in wanted {
            assert!(normal.contains(&part.replace('"', "")), "{part} in {text}");
        }
    }
}

/// Equals are picked at random, but both hints of one record are of the same endpoint where it has both.
#[test]
fn the_hints_of_one_record_are_of_one_endpoint() {
    let only_v4 = "[[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"192.0.2.9\"]\n";
    let config = world("policy = \"weighted\"\n[gateways.https]\n").with(only_v4);
    let view = view(&config, &[]);
    let mut seen = BTreeSet::new();
    for random in 0..400_u64 {
        let random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let reply = ask(&view, &Ask::new("shop.gslb.example.", RecordType::HTTPS), random);
        let text = reply.message.answers[0].data.to_string().replace('"', "");
        let hint = |key: &str| {
            let value = text.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default();
            value.trim_end_matches(',').rsplit(['.', ':']).next().unwrap_or_default().to_owned()
        };
        let (v4, v6) = (hint("ipv4hint="), hint("ipv6hint="));
        assert!(v4 == v6 || v4 == "9", "{text}");
        seen.insert(v4);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn without_the_key_there_is_no_https_record() {
    let reply = ask(&view(&world(""), &[]), &Ask::new("shop.gslb.example.", RecordType::HTTPS), 0);
    assert_eq!((reply.message.answers.len(), reply.message.authorities.len()), (0, 1));
    assert_eq!(reply.message.metadata.response_code, ResponseCode::NoError);
}

//----------- Rollouts -------------------------------------------------------

/// A stable and a canary endpoint in one cluster.
fn rollout(keys: &str) -> Config {
    let track = |address: &str, track: &str| {
        format!(
            "[[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"{address}\"]\ntrack = \"{track}\"\n"
        )
    };
    Config::new()
        .with("[[probes]]\nname = \"web\"\ntype = \"http\"\n")
        .clusters(&WORLD[..1])
        .with("[[gateways]]\nname = \"shop\"\nhostnames = [\"shop.gslb.example\"]\nprobe = \"web\"\n")
        .with(keys)
        .with(&track("192.0.2.1", "stable"))
        .with(&track("192.0.2.9", "canary"))
}

/// The networks among `count` that get the canary, and the scopes that were seen.
fn on_canary(view: &View, count: u32) -> (BTreeSet<IpAddr>, BTreeSet<u8>) {
    let mut scopes = BTreeSet::new();
    let taken = networks(count).filter(|&client| {
        let reply = ask(view, &shop(client), 0);
        scopes.extend(reply.subnet.map(|(_, scope)| scope));
        reply.addresses() == ["192.0.2.9"]
    });
    (taken.collect(), scopes)
}

#[test]
fn a_rollout_takes_a_share_of_networks_and_only_ever_more() {
    const COUNT: u32 = 4000;
    let mut before = BTreeSet::new();
    for percent in [0.0, 5.0, 25.0, 60.0, 100.0] {
        let view =
            view(&rollout(&format!("[gateways.rollout]\ntrack = \"canary\"\npercent = {percent:?}\n")), &[]);
        let (taken, scopes) = on_canary(&view, COUNT);
        let share = 100.0 * f64::from(u32::try_from(taken.len()).unwrap()) / f64::from(COUNT);
        assert!((share - percent).abs() < 2.5, "{share} % for {percent} %");
        assert!(taken.is_superset(&before), "a client left the canary at {percent} %");
        // Both outcomes are possible only between none and all.
        let narrow = percent > 0.0 && percent < 100.0;
        assert_eq!(scopes, BTreeSet::from([if narrow { 24 } else { 0 }]), "{percent} %");
        before = taken;
    }
}

#[test]
fn a_track_that_is_down_gives_its_clients_to_the_other() {
    let config = rollout("[gateways.rollout]\ntrack = \"canary\"\npercent = 50\n");
    let (taken, scopes) = on_canary(&view(&config, &["192.0.2.9"]), 500);
    assert!(taken.is_empty());
    assert_eq!(scopes, BTreeSet::from([0]), "one outcome is the same for all");
    let (taken, scopes) = on_canary(&view(&config, &["192.0.2.1"]), 500);
    assert_eq!(taken.len(), networks(500).collect::<BTreeSet<_>>().len());
    assert_eq!(scopes, BTreeSet::from([0]));
}

#[test]
fn the_live_track_is_what_the_file_says() {
    let (taken, _) = on_canary(&view(&rollout("[gateways.rollout]\nlive = \"canary\"\n"), &[]), 100);
    assert_eq!(taken.len(), networks(100).collect::<BTreeSet<_>>().len());
}

//----------- Sticky ---------------------------------------------------------

#[test]
fn a_sticky_client_keeps_its_endpoint_and_the_scope_says_so() {
    let config = world("policy = \"weighted\"\nsticky = true\n");
    let all = view(&config, &[]);
    let without = view(&config, &["192.0.2.2"]);
    let mut moved = 0;
    for client in networks(3000) {
        let reply = ask(&all, &shop(client), 1);
        assert_eq!(reply.subnet, Some((24, 24)));
        assert_eq!(ask(&all, &shop(client), 2).addresses(), reply.addresses(), "whatever chance says");
        let after = ask(&without, &shop(client), 3).addresses();
        if reply.addresses() == ["192.0.2.2"] {
            moved += 1;
            assert_ne!(after, ["192.0.2.2"]);
        } else {
            assert_eq!(after, reply.addresses(), "only the clients of the lost endpoint move");
        }
    }
    assert!((900..1100).contains(&moved), "{moved} of 3000");
}

//----------- Residency ------------------------------------------------------

/// Clients of Germany stay in the EU, those of the USA in the USA; nobody else is served.
fn resident(keys: &str) -> Config {
    let country = |text: &str| {
        text.replace("name = \"eu-west\"\n", "name = \"eu-west\"\ncountry = \"IE\"\n")
            .replace("name = \"us-east\"\n", "name = \"us-east\"\ncountry = \"US\"\n")
    };
    let clusters = Config::new().clusters(&WORLD);
    let (base, clusters) =
        (Config::new(), country(clusters.text().strip_prefix(Config::new().text()).unwrap()));
    let rules = format!(
        "probe = \"web\"\n{keys}\n[gateways.residency]\nrules = [ {{ clients = [\"EU\"], clusters = [\"EU\"] }}, {{ clients = [\"US\"], clusters = [\"US\"] }} ]\n"
    );
    base.networks([("10.1.0.0/16", "DE"), ("10.2.0.0/16", "US"), ("10.3.0.0/16", "JP")])
        .with("[[probes]]\nname = \"web\"\ntype = \"http\"\n")
        .with(&clusters)
        .gateway(
            "shop",
            &["shop.gslb.example"],
            &rules,
            &[("eu-west", "192.0.2.1"), ("us-east", "192.0.2.2"), ("ap-northeast", "192.0.2.3")],
        )
}

/// The addresses and the Extended DNS Error that a client gets.
fn residency(view: &View, client: &str) -> (Vec<String>, Option<u16>) {
    let reply = ask(view, &Ask::new("shop.gslb.example.", RecordType::A).subnet(client, 24), 0);
    assert_eq!(reply.message.metadata.response_code, ResponseCode::NoError);
    if reply.message.answers.is_empty() {
        assert_eq!(reply.message.authorities.len(), 1, "a SOA");
    }
    (reply.addresses(), reply.error)
}

#[test]
fn residency_is_never_left_for_health() {
    let one = |address: &str| (vec![address.to_owned()], None);
    let none = |error| (Vec::new(), Some(error));
    let healthy = view(&resident(""), &[]);
    assert_eq!(residency(&healthy, "10.1.0.0"), one("192.0.2.1"));
    assert_eq!(residency(&healthy, "10.2.0.0"), one("192.0.2.2"));
    // A rule for nobody, and a place that is not known.
    assert_eq!(residency(&healthy, "10.3.0.0"), none(18));
    assert_eq!(residency(&healthy, "10.9.0.0"), none(18));
    // Down, and still only its own: by default as though it were healthy.
    let down = view(&resident(""), &["192.0.2.1"]);
    assert_eq!(residency(&down, "10.1.0.0"), one("192.0.2.1"));
    // Where nothing is to be answered then, the error says that another cluster could have.
    let down = view(&resident("all_down = \"nodata\""), &["192.0.2.1"]);
    assert_eq!(residency(&down, "10.1.0.0"), none(17));
    assert_eq!(residency(&down, "10.2.0.0"), one("192.0.2.2"));
    // A fallback outside is none.
    let down = view(&resident("all_down = \"fallback\"\nfallback = [\"ap-*\"]"), &["192.0.2.1"]);
    assert_eq!(residency(&down, "10.1.0.0"), one("192.0.2.1"));
    // Nor do the test names lead outside.
    let reply =
        ask(&healthy, &Ask::new("us-east.shop.site.gslb.example.", RecordType::A).subnet("10.1.0.0", 24), 0);
    assert_eq!((reply.addresses(), reply.error), (vec![], Some(18)));
}

#[test]
fn a_client_and_a_resolver_in_different_jurisdictions() {
    let from = |view: &View, resolver: &str, client: &str| {
        let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(client, 24);
        let peer = Peer { address: resolver.parse().unwrap(), transport: Transport::Udp };
        let mut out = Vec::new();
        answer(view, &ask.octets(), peer, Moment::default(), &mut out);
        Asked::decode(out).unwrap().addresses()
    };
    for (conflict, german_behind_us, us_behind_german, behind_unknown) in [
        ("strictest", None, None, Some("192.0.2.1")),
        ("ecs", Some("192.0.2.1"), Some("192.0.2.2"), Some("192.0.2.1")),
        ("resolver", Some("192.0.2.2"), Some("192.0.2.1"), None),
    ] {
        let config = resident("")
            .text()
            .replace("[gateways.residency]\n", &format!("[gateways.residency]\nconflict = \"{conflict}\"\n"));
        let view = view_of(&config, &[]);
        let wanted = |address: Option<&str>| address.map(str::to_owned).into_iter().collect::<Vec<_>>();
        assert_eq!(from(&view, "10.2.0.1", "10.1.0.0"), wanted(german_behind_us), "{conflict}");
        assert_eq!(from(&view, "10.1.0.1", "10.2.0.0"), wanted(us_behind_german), "{conflict}");
        assert_eq!(from(&view, "127.0.0.1", "10.1.0.0"), wanted(behind_unknown), "{conflict}");
    }
}

//----------- Hostname endpoints ---------------------------------------------

/// A name server for `lb.example` with these A records of `front`.
fn name_server(addresses: &[&str], ttl: u32) -> String {
    let data: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    let record = if data.is_empty() {
        String::new()
    } else {
        format!(
            "[[zones.records]]\nname = \"front\"\ntype = \"A\"\nttl = {ttl}\ndata = [{}]\n",
            data.join(", ")
        )
    };
    format!(
        "version = 1\n[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[[zones]]\nname = \"lb.example\"\nnameservers = [\"ns.elsewhere.example\"]\nhostmaster = \"h.example\"\nnegative_ttl = 1\n{record}"
    )
}

fn with_hostname(resolver: &Meridian, keys: &str) -> String {
    Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n")
        .with(&format!(
            "[resolver]\nservers = [\"{}\"]\ntimeout = \"500ms\"\nmin_ttl = \"1s\"\n",
            resolver.address()
        ))
        .clusters(&WORLD)
        .with("[[gateways]]\nname = \"shop\"\nhostnames = [\"shop.gslb.example\"]\n")
        .with(&format!(
            "[[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"front.lb.example.\"]\n{keys}"
        ))
        .with("[[gateways.endpoints]]\ncluster = \"us-east\"\naddresses = [\"192.0.2.2\"]\n")
        .text()
        .to_owned()
}

/// A client near Dublin.
fn dubliner(meridian: &Meridian, record_type: RecordType) -> Asked {
    let ask = Ask::new("shop.gslb.example.", record_type).subnet("134.226.0.0", 24);
    ask_udp(meridian.address(), &ask).unwrap()
}

#[test]
fn a_hostname_is_resolved_followed_and_given_up() {
    let mut resolver = Meridian::serve(&name_server(&["192.0.2.77"], 2));
    let mut meridian = Meridian::serve(&with_hostname(&resolver, "stale_for = \"0s\"\n"));
    let first = dubliner(&meridian, RecordType::A);
    assert_eq!((first.addresses(), first.ttl()), (vec!["192.0.2.77".to_owned()], Some(2)), "their TTL");
    // Its owner moves it.
    std::fs::write(resolver.config(), name_server(&["192.0.2.78"], 2)).unwrap();
    resolver.signal(Signal::SIGHUP);
    resolver.wait_for("its reload", |line| line["message"] == "view published");
    meridian.wait_for("the new address", |line| line["message"] == "view published");
    assert_eq!(dubliner(&meridian, RecordType::A).addresses(), ["192.0.2.78"]);
    // It is gone: without staleness the endpoint is unhealthy at once, and the next nearest answers.
    std::fs::write(resolver.config(), name_server(&[], 2)).unwrap();
    resolver.signal(Signal::SIGHUP);
    resolver.wait_for("its reload", |line| line["message"] == "view published");
    meridian.wait_for("the loss", |line| line["message"] == "view published");
    assert_eq!(dubliner(&meridian, RecordType::A).addresses(), ["192.0.2.2"]);
}

#[test]
fn a_hostname_can_be_handed_out_itself() {
    let resolver = Meridian::serve(&name_server(&["192.0.2.77"], 60));
    let meridian = Meridian::serve(&with_hostname(&resolver, "answer = \"cname\"\n"));
    for record_type in [RecordType::A, RecordType::AAAA, RecordType::TXT] {
        let reply = dubliner(&meridian, record_type);
        let answers: Vec<String> =
            reply.message.answers.iter().map(|record| record.data.to_string()).collect();
        assert_eq!(answers, ["front.lb.example."], "{record_type}");
        assert_eq!(reply.ttl(), Some(30));
    }
    // Elsewhere an address is nearer, and a name with an address has no TXT.
    let far = |record_type| {
        let ask = Ask::new("shop.gslb.example.", record_type).subnet("8.8.8.0", 24);
        ask_udp(meridian.address(), &ask).unwrap()
    };
    assert_eq!(far(RecordType::A).addresses(), ["192.0.2.2"]);
    let none = far(RecordType::TXT);
    assert_eq!((none.message.answers.len(), none.message.authorities.len()), (0, 1));
    assert!(none.subnet.is_some_and(|(_, scope)| scope > 0), "others get a CNAME: {:?}", none.subnet);
}

//----------- Data that changes ----------------------------------------------

/// A networks file, mounted as Kubernetes does it: a link to a link to a folder, swapped by rename.
#[test]
fn a_networks_file_is_followed_through_a_swapped_symlink() {
    let folder = meridian_tests::scratch();
    let mount = |version: &str, country: &str| {
        std::fs::create_dir_all(folder.join(version)).unwrap();
        std::fs::write(
            folder.join(version).join("networks.csv"),
            format!("prefix,country\n10.0.0.0/8,{country}\n"),
        )
        .unwrap();
        std::os::unix::fs::symlink(version, folder.join("..next")).unwrap();
        std::fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
    };
    mount("one", "JP");
    std::os::unix::fs::symlink("..data/networks.csv", folder.join("networks.csv")).unwrap();
    let config = world("").with(&format!(
        "[geoip]\nnetworks_file = {:?}\n[server]\nlisten = [\"127.0.0.1:0\"]\nfirst_round = \"0s\"\n",
        folder.join("networks.csv")
    ));
    let mut meridian = Meridian::serve(config.text());
    let client = |meridian: &Meridian| {
        ask_udp(meridian.address(), &Ask::new("shop.gslb.example.", RecordType::A).subnet("10.1.2.0", 24))
            .unwrap()
            .addresses()
    };
    assert_eq!(client(&meridian), ["192.0.2.3"]);
    mount("two", "US");
    meridian.wait_for("the reload", |line| line["message"] == "databases and tables reloaded");
    meridian.wait_for("its view", |line| line["message"] == "view published");
    assert_eq!(client(&meridian), ["192.0.2.2"]);
    // A mistake in it is reported and changes nothing.
    mount("three", "ZZ");
    let refused = meridian.wait_for("the refusal", |line| {
        line["level"] == "ERROR"
            && line["message"].as_str().is_some_and(|text| text.contains("networks.csv:2"))
    });
    assert!(refused["message"].as_str().unwrap().contains("\"ZZ\""), "{refused}");
    assert_eq!(client(&meridian), ["192.0.2.2"]);
    mount("four", "IE");
    meridian.wait_for("the reload", |line| line["message"] == "databases and tables reloaded");
    meridian.wait_for("its view", |line| line["message"] == "view published");
    assert_eq!(client(&meridian), ["192.0.2.1"]);
    std::fs::remove_dir_all(folder).unwrap();
}

//----------- CNAME endpoints ------------------------------------------------

/// Every type gets the CNAME, so every type gets the reason why there is none. A name that never resolved
/// is handed out when nothing else is left: whoever follows it may know more.
#[test]
fn a_cname_gateway_answers_every_type_alike() {
    let cdn = "[[gateways]]\nname = \"cdn\"\nhostnames = [\"cdn.gslb.example\"]\nprobe = \"web\"\n\
               [gateways.residency]\nrules = [ { clients = [\"US\"], clusters = [\"US\"] } ]\n\
               [[gateways.endpoints]]\ncluster = \"us-east\"\naddresses = [\"lb.us.elb.example.\"]\n\
               answer = \"cname\"\n";
    let config = world("")
        .with(cdn)
        .text()
        .replace("\nname = \"us-east\"\n", "\nname = \"us-east\"\ncountry = \"US\"\n");
    let view = view_of(&config, &[]);
    for question in [RecordType::A, RecordType::AAAA, RecordType::TXT, RecordType::HTTPS, RecordType::CNAME] {
        let from = |client: &str| {
            ask(&view, &Ask::new("cdn.gslb.example.", question).subnet(client, 24).edns(1232), 0)
        };
        let denied = from("193.0.6.0");
        assert_eq!((denied.message.answers.len(), denied.error), (0, Some(18)), "{question}");
        let given = from("8.8.8.0");
        assert_eq!(given.message.answers.len(), 1, "{question}");
        assert_eq!(given.message.answers[0].data.to_string(), "lb.us.elb.example.", "{question}");
    }
}
