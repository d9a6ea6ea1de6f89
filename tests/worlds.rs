//! What must hold in every random world, from its file to the octets of answers: one answer within
//! each scope, nothing that residency forbids, and no trace of what was before.
//!
//! A failure names the seed of its world; `MERIDIAN_TEST_SEED` with that number repeats that world alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::LazyLock;

use fastrand::Rng;
use hickory_proto::rr::RecordType;
use ipnet::IpNet;
use meridian_dns::{Family, Moment, Peer, Reply, Transport, View, weigh};
use meridian_geoip::Locality;
use meridian_model::{Catalog, GatewayId, Order, Orders, Share, TargetHealth, TargetId, Verdict, Verdicts};
use meridian_tests::city::within;
use meridian_tests::fuzzing::same_both_ways;
use meridian_tests::{Ask, Asked, Config, Pool, RandomMap, RandomResidency, RandomWorld};

/// A world each.
const SEEDS: std::ops::Range<u64> = 0x7700..0x770c;
const MAPS: usize = 10;

/// RFC 8914 §4.19: what says that no cluster may serve a client.
const PROHIBITED: u16 = 18;

/// Statement 31, with all that decides by the client's network: two clients inside one returned scope
/// get the same answer, whatever is drawn, and the same scope.
#[test]
fn s31_rfc7871_7_2_1_one_scope_one_answer_by_network() {
    let (mut pairs, mut by_network) = (0, 0);
    for seed in seeds() {
        let world = Served::new(seed);
        let random = &mut Rng::with_seed(seed);
        for map in &world.maps {
            for client in world.world.clients(60, random) {
                let ask = Ask::new(map.any_hostname(random), any_type(random));
                let resolver = any_resolver(&world.world, random);
                let full = if client.is_ipv4() { 32 } else { 128 };
                let mut from = |client| {
                    let ask = Ask { subnet: Some((client, full)), ..ask.clone() };
                    world.ask(&ask, resolver, random.u64(..))
                };
                let first = from(client);
                let Some((_, scope)) = first.subnet else { panic!("{seed:#x}: no scope for {client}") };
                let around = IpNet::new(client, scope).unwrap().trunc();
                let other = within(around, &mut Rng::with_seed(map.seed ^ pairs));
                let second = from(other);
                assert_eq!(
                    (told(&first), first.subnet),
                    (told(&second), second.subnet),
                    "seed {seed:#x}, {}: {client} and {other} of {around}, behind {resolver}\n{}",
                    ask.name,
                    map.toml()
                );
                pairs += 1;
                by_network += u64::from(scope == if client.is_ipv4() { 24 } else { 48 });
            }
        }
    }
    println!("{pairs} pairs of clients, {by_network} with the scope of a client's network");
    assert!(seeds().len() == 1 || by_network * 20 > pairs, "too few draws: {by_network} of {pairs}");
}

/// No residency leak through the whole way: every address that is answered is of a cluster that the
/// rules, read here a second time, allow.
#[test]
fn no_answer_leaves_its_jurisdiction() {
    let (mut answers, mut empty, mut removed, mut narrowed) = (0, 0, 0, 0_u64);
    for seed in seeds() {
        let world = Served::new(seed);
        let random = &mut Rng::with_seed(seed);
        for map in &world.maps {
            let Some(residency) = &map.residency else { continue };
            let all: BTreeSet<&str> = map.addresses.values().map(String::as_str).collect();
            for client in world.world.clients(200, random) {
                let full = if client.is_ipv4() { 32 } else { 128 };
                let source = random.choice([full, full, full / 2, full / 4 * 3]).unwrap_or(full);
                let disclosed = (random.u8(..8) > 0).then_some((client, source));
                let ask = Ask::new(map.any_hostname(random), any_type(random)).edns(1232);
                let resolver = any_resolver(&world.world, random);
                let reply = world.ask(&Ask { subnet: disclosed, ..ask.clone() }, resolver, random.u64(..));
                let mut allowed = allowed(&world.world, residency, client_of(disclosed, resolver), resolver);
                // One answer for all of a subnet: what each of those in it may have.
                if let Some((client, source)) = disclosed {
                    let subnet = IpNet::new(client, source).unwrap().trunc();
                    for other in world.world.in_each_network_within(subnet, random) {
                        let theirs = self::allowed(&world.world, residency, other, resolver);
                        narrowed += u64::from(!allowed.is_subset(&theirs));
                        allowed.retain(|cluster| theirs.contains(cluster));
                    }
                }
                for address in reply.addresses() {
                    let cluster = &map.addresses[&address.parse::<IpAddr>().unwrap()];
                    assert!(
                        allowed.contains(&cluster[..]),
                        "seed {seed:#x}, {} {disclosed:?} behind {resolver}: {address} of {cluster}, allowed: {allowed:?}\n{}",
                        ask.name,
                        map.toml()
                    );
                }
                // Nor does it forbid more than they do; of a wide subnet only some clients were looked at.
                if ask.name == map.hostnames[0] && disclosed.is_none_or(|(_, source)| source == full) {
                    let prohibited = reply.error == Some(PROHIBITED);
                    assert_eq!(
                        prohibited,
                        all.is_disjoint(&allowed),
                        "seed {seed:#x}, {} {disclosed:?} behind {resolver}, allowed: {allowed:?}\n{}",
                        ask.name,
                        map.toml()
                    );
                }
                answers += 1;
                empty += u64::from(reply.message.answers.is_empty());
                removed += u64::from(!all.is_subset(&allowed));
            }
        }
    }
    println!("{answers} answers with residency, {empty} empty, {removed} where a cluster is forbidden");
    println!("{narrowed} times a client elsewhere in the disclosed subnet forbade more");
    assert!(seeds().len() == 1 || narrowed > 50, "too few wide subnets: {narrowed}");
    let enough = empty * 4 < answers * 3 && removed * 4 > answers;
    assert!(seeds().len() == 1 || enough, "proves little: {empty} empty, {removed} of {answers}");
}

/// A view that follows others has what is in force, whatever was before: to the octet, also of the scope, it answers
/// as one that is made anew. Verdicts come and go one by one and many at once, operators give and lift orders, and
/// now and then two views follow the same one.
#[test]
fn a_view_that_follows_others_answers_as_a_new_one() {
    let (mut answers, mut moved) = (0, 0);
    for seed in seeds() {
        let world = Served::new(seed);
        let random = &mut Rng::with_seed(seed);
        let ground = world.view.ground();
        let targets = ground.catalog().targets().len();
        let first = View::new(ground.clone(), world.view.verdicts().clone(), None);
        let mut views = vec![(first, orders(ground.catalog(), random))];
        for step in 0..12 {
            let (before, held) = &views[random.usize(..views.len())];
            let (mut verdicts, mut held) = (before.verdicts().clone(), held.clone());
            if random.u8(..4) == 0 {
                held = if random.bool() { Orders::default() } else { orders(ground.catalog(), random) };
                verdicts = verdicts.with_orders(held.clone().into());
            }
            for _ in 0..random.choice([1, 2, targets / 4, targets]).unwrap_or(1) {
                verdicts.set(TargetId::from_index(random.usize(..targets)), any_health(random));
            }
            let after = View::new(ground.clone(), verdicts.clone(), Some(before));
            let anew = View::new(ground.clone(), verdicts, None);
            for client in world.world.clients(30, random) {
                let map = random.choice(&world.maps).unwrap();
                let ask = Ask::new(map.any_hostname(random), any_type(random)).edns(1232);
                let full = if client.is_ipv4() { 32 } else { 128 };
                let ask = Ask { subnet: random.bool().then_some((client, full)), ..ask };
                let (resolver, draw) = (any_resolver(&world.world, random), random.u64(..));
                let [was, is, wanted] =
                    [before, &after, &anew].map(|view| answered(view, &ask, resolver, draw));
                assert_eq!(
                    is,
                    wanted,
                    "seed {seed:#x}, step {step}: {ask:?} behind {resolver}\n{}",
                    map.toml()
                );
                answers += 1;
                moved += u64::from(was != is);
            }
            views.push((after, held));
            if views.len() > 4 {
                views.remove(random.usize(..views.len()));
            }
        }
    }
    println!("{answers} answers, {moved} of them others than in the view before");
    assert!(seeds().len() == 1 || moved * 20 > answers, "proves little: {moved} of {answers}");
}

/// The map of who is answered by whom, which is put together from the plans, is what a walk over the address space
/// finds by asking the view at every block.
#[test]
fn the_spread_of_clients_is_what_a_walk_over_all_of_them_finds() {
    let mut shared = 0;
    for seed in seeds().into_iter().take(2) {
        let view = Served::new(seed).view;
        for gateway in (0..view.ground().catalog().gateways().len()).map(GatewayId::from_index) {
            for family in Family::ALL {
                let spread = view.spread(gateway, family).unwrap();
                let shares = view.shares(gateway, family).unwrap();
                let mixes = shares.mixes();
                let mut walked = BTreeMap::new();
                let all = weigh(view.ground().locality(), |client| shares.at(client).unwrap());
                for ((number, country), clients) in all.into_iter().collect::<BTreeMap<_, _>>() {
                    for (cluster, share) in &mixes[number] {
                        let of: &mut [f64; 2] = walked.entry((country, *cluster)).or_default();
                        of.iter_mut().zip(clients).for_each(|(of, clients)| *of += clients * share);
                    }
                }
                let told = spread.countries.iter().flat_map(|(country, crew)| {
                    crew.answered.iter().map(|(cluster, clients)| ((*country, *cluster), *clients))
                });
                let told: BTreeMap<_, _> = told.collect();
                assert!(told.keys().eq(walked.keys()), "{seed:#x}, {gateway:?} {family:?}");
                for (told, walked) in told.values().flatten().zip(walked.values().flatten()) {
                    assert!((told - walked).abs() <= walked * 1e-9, "{seed:#x}, {gateway:?} {family:?}");
                }
                let together: f64 = spread.all.shares().iter().map(|(_, share)| share).sum();
                assert!((together - 1.0).abs() < 1e-9, "{seed:#x}, {gateway:?} {family:?}: {together}");
                shared += spread.countries.values().filter(|crew| crew.answered.len() > 1).count();
            }
        }
    }
    println!("{shared} countries that several clusters answer");
    assert!(shared > 0);
}

fn answered(view: &View, ask: &Ask, resolver: IpAddr, draw: u64) -> Vec<u8> {
    let peer = Peer { address: resolver, transport: Transport::Tcp };
    let (mut out, moment) = (Vec::new(), Moment { random: draw, ..Moment::default() });
    assert_ne!(same_both_ways(view, &ask.octets(), peer, moment, &mut out).unwrap(), Reply::None);
    out
}

//----------- A world --------------------------------------------------------

fn seeds() -> Vec<u64> {
    match std::env::var("MERIDIAN_TEST_SEED") {
        Ok(seed) => vec![u64::from_str_radix(seed.trim_start_matches("0x"), 16).unwrap()],
        Err(_) => SEEDS.collect(),
    }
}

/// A world with its maps, under random health.
struct Served {
    world: RandomWorld,
    maps: Vec<RandomMap>,
    view: View,
}

impl Served {
    fn new(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        let world = RandomWorld::new(seed);
        let addresses =
            |hosts: std::ops::Range<u8>| hosts.map(|host| Ipv4Addr::new(192, 0, 2, host)).collect();
        let pool = Pool { alive: addresses(1..91), dead: addresses(101..151) };
        let maps: Vec<RandomMap> =
            (0..MAPS).map(|_| RandomMap::new(random.u64(..), &world, &pool, "port")).collect();
        let gateways: String = maps.iter().map(RandomMap::toml).collect();
        let config = Config::new()
            .with(&world.toml())
            .with("[[probes]]\nname = \"port\"\ntype = \"tcp\"\nport = 443\n")
            .with(&gateways);
        let ground = match meridian::load_text(config.text(), Path::new("world.toml")) {
            Ok(loaded) => loaded.ground,
            Err(issues) => panic!("seed {seed:#x}: {issues}"),
        };
        let health = ground.catalog().targets().iter().map(|_| any_health(random)).collect();
        let orders = orders(ground.catalog(), random);
        let view = View::new(ground, Verdicts::new(health).with_orders(orders.into()), None);
        Self { world, maps, view }
    }

    fn ask(&self, ask: &Ask, resolver: IpAddr, random: u64) -> Asked {
        let peer = Peer { address: resolver, transport: Transport::Tcp };
        let mut out = Vec::new();
        let moment = Moment { random, ..Moment::default() };
        assert_ne!(same_both_ways(&self.view, &ask.octets(), peer, moment, &mut out).unwrap(), Reply::None);
        Asked::decode(out).unwrap()
    }
}

fn any_health(random: &mut Rng) -> TargetHealth {
    let verdict = random.choice([Verdict::Healthy, Verdict::Healthy, Verdict::Unhealthy]);
    let verdict = verdict.unwrap_or(Verdict::Unknown);
    TargetHealth { verdict, in_doubt: random.bool(), lost: random.u64(..4) }
}

/// What operators say of one address in ten.
fn orders(catalog: &Catalog, random: &mut Rng) -> Orders {
    let mut orders = Orders::default();
    for (at, gateway) in catalog.gateways().iter().enumerate() {
        for (index, endpoint) in gateway.endpoints.iter().enumerate() {
            for address in &endpoint.addresses {
                let left = Share::from_fraction(f64::from(random.u8(..4)) / 4.0).unwrap();
                let order = random.choice([Order::Up, Order::Down, Order::Drain(left)]).unwrap();
                if random.u8(..10) == 0 {
                    orders.give(GatewayId::from_index(at), index, Some(address.ip), order);
                }
            }
        }
    }
    orders
}

fn any_type(random: &mut Rng) -> RecordType {
    if random.bool() { RecordType::A } else { RecordType::AAAA }
}

/// This host, or like a client.
fn any_resolver(world: &RandomWorld, random: &mut Rng) -> IpAddr {
    if random.bool() { Ipv4Addr::LOCALHOST.into() } else { world.clients(1, random)[0] }
}

/// Whose place counts: the first address of the subnet, or the resolver.
fn client_of(disclosed: Option<(IpAddr, u8)>, resolver: IpAddr) -> IpAddr {
    disclosed.map_or(resolver, |(client, source)| IpNet::new(client, source).unwrap().trunc().addr())
}

/// RCODE, addresses, TTL, and whether there is an authority for want of them.
fn told(reply: &Asked) -> (u16, Vec<String>, Option<u32>, bool) {
    let message = &reply.message;
    (message.response_code.into(), reply.addresses(), reply.ttl(), message.authorities.is_empty())
}

//----------- Residency, read again ------------------------------------------

/// The clusters that may serve a client behind a resolver, by their names.
fn allowed<'w>(
    world: &'w RandomWorld,
    residency: &RandomResidency,
    client: IpAddr,
    resolver: IpAddr,
) -> BTreeSet<&'w str> {
    let of = |rule: Option<usize>| -> BTreeSet<&'w str> {
        let Some(rule) = rule else { return BTreeSet::new() };
        let homes = &residency.rules[rule].1;
        let is_home = |cluster: &&str| homes.iter().any(|home| *home == "*" || world.is_under(cluster, home));
        world.cluster_names().filter(is_home).collect()
    };
    let own = |address| match rule_of(world, residency, address) {
        Some(rule) => of(rule),
        None => of(rule_for_unknown(world, residency)),
    };
    match residency.conflict {
        "ecs" => own(client),
        "resolver" => own(resolver),
        // A resolver that cannot be placed says nothing.
        _ => match rule_of(world, residency, resolver) {
            Some(rule) => own(client).intersection(&of(rule)).copied().collect(),
            None => own(client),
        },
    }
}

/// The first rule that holds, if any does; `None` where that cannot be told.
fn rule_of(world: &RandomWorld, residency: &RandomResidency, address: IpAddr) -> Option<Option<usize>> {
    let (country, part) = place_of(world, address)?;
    for (index, (names, _)) in residency.rules.iter().enumerate() {
        let regions: Vec<&str> = names.iter().flat_map(|name| world.regions(name)).collect();
        let is_in = |region: &str| region == country || part.as_deref() == Some(region);
        if names.contains(&"*") || regions.iter().any(|region| is_in(region)) {
            return Some(Some(index));
        }
        if part.is_none() && regions.iter().any(|region| region.starts_with(&format!("{country}-"))) {
            return None;
        }
    }
    Some(None)
}

/// The first rule that takes all of the jurisdiction that clients count as being in.
fn rule_for_unknown(world: &RandomWorld, residency: &RandomResidency) -> Option<usize> {
    let unknown = Some(residency.unknown).filter(|name| *name != "deny")?;
    residency.rules.iter().position(|(names, _)| {
        let regions: Vec<&str> = names.iter().flat_map(|name| world.regions(name)).collect();
        let has = |region: &str| regions.contains(&region) || regions.contains(&&region[..2]);
        names.contains(&"*") || names.contains(&unknown) || world.regions(unknown).iter().all(|one| has(one))
    })
}

/// The country of an address, and the part of it as `US-CA`: of the world's longest network that holds
/// it, else of the database.
fn place_of(world: &RandomWorld, address: IpAddr) -> Option<(String, Option<String>)> {
    static DATABASE: LazyLock<Locality> = LazyLock::new(|| Locality::load(&[], &[]).unwrap());
    let address = held_ipv4(address).map_or(address, IpAddr::V4);
    let holding = world.networks().filter(|(network, _)| meant(*network).contains(&address));
    let location =
        holding.max_by_key(|(network, _)| meant(*network).prefix_len()).map(|(_, location)| location);
    let key = |name: &str| {
        let line = location?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        Some(line?.trim_matches('"').to_owned())
    };
    if let Some(country) = key("country") {
        let part = key("subdivision").map(|part| format!("{country}-{part}"));
        return Some((country, part));
    }
    if key("latitude").is_some() {
        return None;
    }
    let place = &DATABASE.places()[DATABASE.lookup(address).0.index()];
    place.country.map(|country| (country.to_string(), None))
}

/// The IPv4 address that an IPv6 one is placed by.
fn held_ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let bits = address.to_bits();
    let last = u32::try_from(bits & 0xffff_ffff).unwrap();
    match address.segments() {
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        [0x2001, 0, ..] => Some(Ipv4Addr::from_bits(!last)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            Some(Ipv4Addr::from_bits(last))
        }
        _ => None,
    }
}

/// The network whose clients one means: one of IPv4, where it is written as 6to4.
fn meant(network: IpNet) -> IpNet {
    match (network, held_ipv4(network.addr())) {
        (IpNet::V6(_), Some(held))
            if network.addr().to_string().starts_with("2002:") && network.prefix_len() > 16 =>
        {
            IpNet::new(held.into(), network.prefix_len() - 16).map_or(network, |network| network.trunc())
        }
        _ => network,
    }
}
