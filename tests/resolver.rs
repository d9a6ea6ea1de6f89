//! What a resolver's cache of client subnets must not change: for random clients of random maps, the
//! answer through Unbound is the answer asked directly (RFC 7871 §7.2.1, §7.3.1). `./tests/run`
//! installs Unbound and runs this suite.
//!
//! A failure names the seed of its world; `MERIDIAN_TEST_SEED` with that number repeats that world alone.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::ops::Range;

use fastrand::Rng;
use hickory_proto::rr::RecordType;
use meridian_tests::{
    Ask, Asked, City, Config, Meridian, Pool, RandomMap, RandomWorld, Signal, Site, Unbound, ask_udp,
};

/// A world each: one file, one server, one resolver. The remainder by 3 says which databases.
const SEEDS: Range<u64> = 0x6d00..0x6d0a;
const MAPS: usize = 10;
const CLIENTS: usize = 100;

#[test]
fn s88_rfc7871_7_3_2_the_cache_changes_no_answer() {
    let repeated = std::env::var("MERIDIAN_TEST_SEED").ok();
    let seeds = match &repeated {
        Some(seed) => vec![u64::from_str_radix(seed.trim_start_matches("0x"), 16).unwrap()],
        None => SEEDS.collect(),
    };
    let mut figures = Vec::new();
    // Two at a time: a server and a resolver each.
    for pair in seeds.chunks(2) {
        std::thread::scope(|scope| {
            let running: Vec<_> =
                pair.iter().map(|seed| scope.spawn(|| Running::start(*seed).compare())).collect();
            figures.extend(running.into_iter().map(|thread| thread.join().unwrap()));
        });
    }
    let all = figures.into_iter().reduce(Figures::plus).unwrap();
    println!("in all: {all}");
    // What would prove little: maps with one answer for all, a cache that is not used. The second
    // round does not count, in it each client finds itself.
    assert!(all.kinds > 2 * all.maps && all.cached > all.clients / 4, "too simple: {all}");
    assert!(repeated.is_some() || all.by_network > all.clients / 20, "too few draws: {all}");
}

/// What the maps must have among them, each in several: as the file writes it.
const FEATURES: [&str; 27] = [
    "prefixes = ",
    "asns = ",
    "subdivisions = ",
    " countries = ",
    "continents = ",
    " jurisdictions = ",
    "\"latency\"",
    "within_km",
    "max_km",
    "bias = ",
    "\"failover\"",
    "\"weighted\"",
    "\"all\"",
    ", min_healthy",
    ", panic_below",
    "\npanic_below",
    "[gateways.rollout]",
    "sticky = true",
    "site_names = false",
    "[gateways.residency]",
    "\"ecs\"",
    "\"strictest\"",
    "\"resolver\"",
    "\"deny\"",
    "\"nodata\"",
    "\"last_healthy\"",
    "\"fallback\"",
];

#[test]
fn every_feature_is_in_several_maps() {
    let addresses = |hosts: Range<u8>| hosts.map(|host| Ipv4Addr::new(127, 0, 0, host)).collect();
    let pool = Pool { alive: addresses(1..91), dead: addresses(101..151) };
    let of = |seed| {
        let world = RandomWorld::new(seed);
        let maps = maps(&world, &pool, &mut Rng::with_seed(seed));
        maps.into_iter().map(move |map| (world.places_host(), map.toml().to_owned()))
    };
    let texts: Vec<(bool, String)> = SEEDS.flat_map(of).collect();
    let in_several = |feature: &str, with_host: bool| {
        let has =
            |(places_host, text): &&(bool, String)| (*places_host || !with_host) && text.contains(feature);
        let count = texts.iter().filter(has).count();
        println!("{feature:?}: {count} maps");
        assert!(count >= 3, "{feature:?} is in {count} maps of {}", texts.len());
    };
    for feature in FEATURES {
        in_several(feature, false);
    }
    // Where the resolver is placed, it can contradict its clients.
    for conflict in ["\"ecs\"", "\"strictest\"", "\"resolver\""] {
        in_several(conflict, true);
    }
}

/// The maps of a world.
fn maps(world: &RandomWorld, pool: &Pool, random: &mut Rng) -> Vec<RandomMap> {
    (0..MAPS).map(|_| RandomMap::new(random.u64(..), world, pool, "port")).collect()
}

/// What was compared.
#[derive(Clone, Copy)]
struct Figures {
    maps: u64,
    /// Different answers, of each map.
    kinds: u64,
    clients: u64,
    /// Clients whose answer has the scope of a client's network, by which rollouts and `sticky` decide.
    by_network: u64,
    /// Clients who got no address.
    empty: u64,
    differ: u64,
    /// Queries of the resolver, for two rounds of clients.
    upstream: u64,
    /// Clients of the first round who were answered from the resolver's cache.
    cached: u64,
}

impl Figures {
    fn plus(self, other: Self) -> Self {
        Self {
            maps: self.maps + other.maps,
            kinds: self.kinds + other.kinds,
            clients: self.clients + other.clients,
            by_network: self.by_network + other.by_network,
            empty: self.empty + other.empty,
            differ: self.differ + other.differ,
            upstream: self.upstream + other.upstream,
            cached: self.cached + other.cached,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maps, kinds, clients, by_network, empty, differ, upstream, cached } = self;
        write!(
            to,
            "{maps} maps with {kinds} different answers, {clients} clients ({by_network} with the scope of a network, \
             {empty} without an address) asked directly and twice through Unbound: {differ} differ; Unbound asked {upstream} times for {}, and had {cached} of the first \
             round in its cache",
            2 * clients
        )
    }
}

//----------- A world --------------------------------------------------------

/// A server with the maps of one seed, and Unbound in front of it.
struct Running {
    seed: u64,
    /// Its folder holds a file that the server may read again.
    _world: RandomWorld,
    maps: Vec<RandomMap>,
    clients: Vec<Client>,
    meridian: Meridian,
    unbound: Unbound,
    /// What makes addresses healthy; the kernel accepts for them.
    _alive: Vec<TcpListener>,
}

/// What a client asks.
struct Client {
    map: usize,
    ask: Ask,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    rcode: u16,
    addresses: Vec<String>,
    /// Whether there is an SOA for want of them.
    is_negative: bool,
}

impl Running {
    fn start(seed: u64) -> Self {
        let site = Site::new();
        let alive: Vec<Ipv4Addr> = (1..=90).map(|host| site.address(host)).collect();
        let dead = (101..=150).map(|host| site.address(host)).collect();
        let listeners = alive.iter().map(|ip| TcpListener::bind((*ip, site.port)).unwrap()).collect();
        let (pool, world) = (Pool { alive, dead }, RandomWorld::new(seed));
        let random = &mut Rng::with_seed(seed);
        let maps = maps(&world, &pool, random);
        let clients = maps.iter().enumerate().flat_map(|(index, map)| clients(index, map, &world, random));
        let clients: Vec<Client> = clients.collect();
        let gateways: String = maps.iter().map(RandomMap::toml).collect();
        // Ready is when all were probed once, one outcome is a verdict, and no second comes in time.
        let config = Config::new()
            .with("[server]\nlisten = [\"127.0.0.1:0\"]\nfirst_round = \"60s\"\n")
            .with(&databases(seed))
            .with(&world.toml())
            .with("[[probes]]\nname = \"port\"\ntype = \"tcp\"\ninterval = \"1h\"\ntimeout = \"10s\"\n")
            .with(&format!("fall = 1\nrise = 1\nport = {}\n", site.port))
            .with(&gateways);
        let meridian = Meridian::serve(config.text());
        let unbound = Unbound::start(site.address(200), "gslb.example", meridian.address());
        Self { seed, _world: world, maps, clients, meridian, unbound, _alive: listeners }
    }

    /// Asks for all clients directly, then twice through the resolver, there and back, so that each
    /// finds entries of the others.
    fn compare(mut self) -> Figures {
        let direct = self.clients.iter().map(|client| ask_udp(self.meridian.address(), &client.ask).unwrap());
        let direct: Vec<Asked> = direct.collect();
        let of_networks = self.clients.iter().zip(&direct).filter(|(client, asked)| {
            let of_network =
                if client.ask.subnet.is_some_and(|(client, _)| client.is_ipv4()) { 24 } else { 48 };
            asked.subnet.is_some_and(|(_, scope)| scope == of_network)
        });
        let by_network = of_networks.count() as u64;
        let direct: Vec<Told> = direct.iter().map(told).collect();
        let count = self.clients.len();
        let mut differ = self.through_the_cache(0..count, &direct);
        let cached = self.unbound.from_subnet_cache();
        differ.extend(self.through_the_cache((0..count).rev(), &direct));

        let kinds: BTreeSet<(usize, &Told)> =
            self.clients.iter().map(|client| client.map).zip(&direct).collect();
        let figures = Figures {
            maps: self.maps.len() as u64,
            kinds: kinds.len() as u64,
            clients: count as u64,
            by_network,
            empty: direct.iter().filter(|told| told.addresses.is_empty()).count() as u64,
            differ: differ.len() as u64,
            upstream: self.received() - count as u64,
            cached,
        };
        println!("seed {:#x}: {figures}", self.seed);
        let examples: Vec<String> =
            differ.iter().take(3).map(|(at, through)| self.example(*at, &direct[*at], through)).collect();
        assert!(
            differ.is_empty(),
            "{}repeat with MERIDIAN_TEST_SEED={:#x} cargo test -p meridian-tests --test resolver",
            examples.concat(),
            self.seed
        );
        figures
    }

    /// The clients, by their index, whom the resolver tells something else, and what.
    fn through_the_cache(&self, clients: impl Iterator<Item = usize>, direct: &[Told]) -> Vec<(usize, Told)> {
        clients
            .map(|at| (at, told(&ask_udp(self.unbound.address, &self.clients[at].ask).unwrap())))
            .filter(|(at, through)| *through != direct[*at])
            .collect()
    }

    fn example(&self, at: usize, direct: &Told, through: &Told) -> String {
        let Client { map, ask } = &self.clients[at];
        let subnet = ask.subnet.map(|(address, source)| format!("{address}/{source}")).unwrap_or_default();
        format!(
            "client {at} of {subnet} asks {} {}: directly {direct:?}, through Unbound {through:?}\n{}\n",
            ask.name,
            RecordType::from(ask.question_type),
            self.maps[*map].toml()
        )
    }

    /// Ends the server; how many messages it received in all.
    fn received(&mut self) -> u64 {
        self.meridian.signal(Signal::SIGTERM);
        let stopped = self.meridian.wait_for("stopped", |line| line["message"] == "stopped");
        let totals = stopped["totals"].as_str().unwrap();
        let (_, count) = totals.split_once("udp_received: ").unwrap();
        count.split(',').next().unwrap().parse().unwrap()
    }
}

/// The clients of a map, with what they disclose: prefixes that resolvers send, shorter ones than the
/// answer needs, and whole addresses.
fn clients(index: usize, map: &RandomMap, world: &RandomWorld, random: &mut Rng) -> Vec<Client> {
    let asks = |client: IpAddr| {
        let sources: &[u8] =
            if client.is_ipv4() { &[12, 20, 24, 24, 32] } else { &[20, 32, 48, 56, 56, 64, 128] };
        let source = sources[random.usize(..sources.len())];
        let question_type = if map.has_ipv6 && random.bool() { RecordType::AAAA } else { RecordType::A };
        let ask = Ask::new(map.any_hostname(random), question_type);
        Client { map: index, ask: Ask { subnet: Some((client, source)), recursion_desired: true, ..ask } }
    };
    let clients = world.clients(CLIENTS, &mut Rng::with_seed(map.seed));
    clients.into_iter().map(asks).collect()
}

fn databases(seed: u64) -> String {
    match seed % 3 {
        // The embedded one.
        0 => String::new(),
        1 => format!("[geoip]\ndatabases = {:?}\n", City::files()),
        _ => format!("[geoip]\ndatabases = [{:?}]\n", City::open().in_maxminds_schema()),
    }
}

fn told(asked: &Asked) -> Told {
    let message = &asked.message;
    Told {
        rcode: message.response_code.into(),
        addresses: asked.addresses(),
        is_negative: message.authorities.iter().any(|record| record.record_type() == RecordType::SOA),
    }
}
