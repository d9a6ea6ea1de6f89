//! `nearest` against references: gdnsd on the same database and clusters for choice and scope, and a
//! distance calculation of its own for the choice. `./tests/run` installs gdnsd, fetches the City
//! database and runs this suite.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use hickory_proto::rr::RecordType;
use ipnet::IpNet;
use meridian_dns::{Ground, Moment, Peer, Reply, Transport, View, answer};
use meridian_model::{TargetHealth, Verdict, Verdicts};
use meridian_tests::city::{Spot, within};
use meridian_tests::{Ask, Asked, City, Config, Gdnsd, nested_networks};

type Cluster = (&'static str, f64, f64);

/// Of the cities that clouds are in.
const FIVE: [Cluster; 5] = [
    ("dublin", 53.35, -6.26),
    ("frankfurt", 50.11, 8.68),
    ("ashburn", 39.04, -77.49),
    ("sao-paulo", -23.55, -46.63),
    ("tokyo", 35.68, 139.77),
];

/// Many, some near to each other, on both sides of the date line, and near the poles.
const MANY: [Cluster; 16] = [
    ("dublin", 53.35, -6.26),
    ("london", 51.51, -0.13),
    ("slough", 51.51, -0.59),
    ("frankfurt", 50.11, 8.68),
    ("amsterdam", 52.37, 4.9),
    ("ashburn", 39.04, -77.49),
    ("new-york", 40.71, -74.01),
    ("portland", 45.52, -122.68),
    ("sao-paulo", -23.55, -46.63),
    ("cape-town", -33.92, 18.42),
    ("mumbai", 19.08, 72.88),
    ("tokyo", 35.68, 139.77),
    ("suva", -18.14, 178.44),
    ("honolulu", 21.31, -157.86),
    ("longyearbyen", 78.22, 15.65),
    ("mcmurdo", -77.85, 166.67),
];

const SEED: u64 = 0x6d65_7269_6469_616e;

//----------- Meridian -------------------------------------------------------

fn config(clusters: &[Cluster], networks: &[(IpNet, usize)], databases: &[&Path]) -> String {
    let addresses: Vec<String> = (0..clusters.len()).map(|index| format!("192.0.2.{index}")).collect();
    let endpoints: Vec<(&str, &str)> =
        clusters.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
    let network = |(network, index): &(IpNet, usize)| {
        let (_, latitude, longitude) = clusters[*index];
        format!(
            "[[geoip.networks]]\nprefix = \"{network}\"\nlatitude = {latitude:?}\nlongitude = {longitude:?}\n"
        )
    };
    Config::new()
        .with(&format!("[geoip]\ndatabases = {databases:?}\n"))
        .with(&networks.iter().map(network).collect::<String>())
        .with("[[probes]]\nname = \"web\"\ntype = \"http\"\n")
        .clusters(clusters)
        .gateway("shop", &["shop.gslb.example"], "probe = \"web\"\npolicy = \"nearest\"\n", &endpoints)
        .text()
        .to_owned()
}

fn ground(clusters: &[Cluster], networks: &[(IpNet, usize)], databases: &[&Path]) -> Arc<Ground> {
    match meridian::load_text(&config(clusters, networks, databases), Path::new("reference.toml")) {
        Ok(loaded) => loaded.ground,
        Err(issues) => panic!("{issues}"),
    }
}

/// A view in which the clusters of the set bits are down.
fn view(ground: &Arc<Ground>, down: u32) -> View {
    let health = ground.catalog().targets().iter().map(|target| {
        let IpAddr::V4(address) = target.address else { panic!("IPv4 addresses only") };
        let is_down = down >> address.octets()[3] & 1 == 1;
        let verdict = if is_down { Verdict::Unhealthy } else { Verdict::Healthy };
        TargetHealth { verdict, in_doubt: false, lost: 1 }
    });
    View::new(ground.clone(), Verdicts::new(health.collect()), None)
}

/// The cluster that a client gets, and its scope.
fn choice(view: &View, client: IpAddr) -> (usize, u8) {
    let source = if client.is_ipv4() { 32 } else { 128 };
    let ask = Ask { subnet: Some((client, source)), ..Ask::new("shop.gslb.example.", RecordType::A) };
    let peer = Peer { address: IpAddr::from([127, 0, 0, 1]), transport: Transport::Udp };
    let mut out = Vec::new();
    assert_ne!(
        answer(view, &ask.octets(), peer, Moment { random: 7, ..Moment::default() }, &mut out),
        Reply::None
    );
    let asked = Asked::decode(out).unwrap();
    let [record] = &asked.message.answers[..] else { panic!("{client}: not one record: {asked:?}") };
    let Some(IpAddr::V4(address)) = record.data.ip_addr() else { panic!("{client}: {record}") };
    let (_, scope) = asked.subnet.unwrap();
    (address.octets()[3].into(), scope)
}

//----------- A distance of its own ------------------------------------------

/// Kilometres along the mean sphere, by the chord between unit vectors: no haversine in it.
fn kilometres(from: Spot, to: Spot) -> f64 {
    let unit = |(latitude, longitude): Spot| {
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
    };
    let (from, to) = (unit(from), unit(to));
    let square: f64 = from.iter().zip(to).map(|(from, to)| (from - to).powi(2)).sum();
    2.0 * 6371.0088 * (square.sqrt() / 2.0).min(1.0).asin()
}

fn to_cluster(from: Spot, clusters: &[Cluster], index: usize) -> f64 {
    let (_, latitude, longitude) = clusters[index];
    kilometres(from, (latitude, longitude))
}

/// By how much the chosen cluster is further away than the nearest.
fn excess(from: Spot, clusters: &[Cluster], chosen: usize) -> f64 {
    let nearest = (0..clusters.len()).map(|index| to_cluster(from, clusters, index)).fold(f64::MAX, f64::min);
    to_cluster(from, clusters, chosen) - nearest
}

//----------- Against gdnsd --------------------------------------------------

/// Two clusters that are nearer to equal than this may be chosen one or the other way.
const TIE_KM: f64 = 0.1;

/// A client, what both say of it, and where it is.
struct Compared {
    client: IpAddr,
    spot: Spot,
    /// The cluster and the scope.
    ours: (usize, u8),
    theirs: (usize, u8),
}

/// Asks both for clients of one family, and asserts what must hold for each: the same choice, but at
/// ties; no scope of ours is narrower. Prints the figures. Ours are wider around networks that are
/// nowhere: those get the first cluster here, and gdnsd's list of all, which it merges with no other.
fn compare(what: &str, reference: &Gdnsd<'_>, view: &View, clients: &[(IpAddr, Spot)]) {
    let addresses: Vec<IpAddr> = clients.iter().map(|(client, _)| *client).collect();
    let theirs = reference.ask(1, &addresses);
    let all: Vec<Compared> = clients
        .iter()
        .zip(theirs)
        .map(|((client, spot), theirs)| Compared {
            client: *client,
            spot: *spot,
            ours: choice(view, *client),
            theirs: (theirs.order[0], theirs.scope),
        })
        .collect();
    let mut ties = 0;
    for Compared { client, spot, ours, theirs } in &all {
        ties += u32::from(!is_same(*client, *spot, reference.clusters, ours.0, theirs.0));
        assert!(ours.1 <= theirs.1, "{client}: scope /{}, gdnsd /{}", ours.1, theirs.1);
    }
    let mean = |scope: fn(&Compared) -> u8| {
        all.iter().map(|one| f64::from(scope(one))).sum::<f64>() / all.len() as f64
    };
    println!(
        "{what}: {} clients as gdnsd: {ties} ties chosen otherwise, no other difference; mean scope /{:.3}, \
         gdnsd /{:.3}; 0 narrower, {} wider",
        all.len(),
        mean(|one| one.ours.1),
        mean(|one| one.theirs.1),
        all.iter().filter(|one| one.ours.1 < one.theirs.1).count()
    );
}

/// Whether two chosen clusters are one; asserts that they are equally near if not.
fn is_same(client: IpAddr, spot: Spot, clusters: &[Cluster], ours: usize, theirs: usize) -> bool {
    let apart = to_cluster(spot, clusters, ours) - to_cluster(spot, clusters, theirs);
    assert!(apart.abs() < TIE_KM, "{client}: {ours}, gdnsd {theirs}, {apart} km apart");
    ours == theirs
}

#[test]
fn choices_and_scopes_as_gdnsd() {
    let city = City::open();
    let file = city.in_maxminds_schema();
    let ground = ground(&FIVE, &[], &[&file]);
    let view = view(&ground, 0);
    let reference = Gdnsd { database: &file, clusters: &FIVE, networks: &[] };
    println!("seed {SEED:#x}");
    let mut random = Rng::with_seed(SEED);
    compare("IPv4", &reference, &view, &city.ipv4_clients(100_000, &mut random));
    compare("IPv6", &reference, &view, &city.ipv6_clients(20_000, &mut random));
}

/// The order of failover is gdnsd's, down to the last: the clusters that it puts first go down one
/// after the other.
#[test]
fn failover_as_gdnsd() {
    let city = City::open();
    let file = city.in_maxminds_schema();
    let ground = ground(&FIVE, &[], &[&file]);
    let views: Vec<View> = (0..1 << FIVE.len()).map(|down| view(&ground, down)).collect();
    let mut random = Rng::with_seed(SEED);
    let mut clients = city.ipv4_clients(40_000, &mut random);
    clients.extend(city.ipv6_clients(10_000, &mut random));
    let addresses: Vec<IpAddr> = clients.iter().map(|(client, _)| *client).collect();
    let reference = Gdnsd { database: &file, clusters: &FIVE, networks: &[] };
    let (mut steps, mut ties) = (0, 0);
    for ((client, spot), theirs) in clients.iter().zip(reference.ask(FIVE.len(), &addresses)) {
        assert_eq!(theirs.order.len(), FIVE.len());
        let mut down = 0;
        for theirs in theirs.order {
            let (ours, _) = choice(&views[down], *client);
            ties += u32::from(!is_same(*client, *spot, &FIVE, ours, theirs));
            down |= 1 << theirs;
            steps += 1;
        }
    }
    println!("{} clients: {steps} steps of failover as gdnsd, {ties} ties otherwise", clients.len());
}

/// With nested networks of the operator before the database, and many clusters. gdnsd says of a network
/// which cluster it has; here the network is where that cluster is.
#[test]
fn networks_of_the_operator_as_gdnsd() {
    let city = City::open();
    let file = city.in_maxminds_schema();
    let random = &mut Rng::with_seed(SEED);
    let networks: Vec<(IpNet, usize)> = nested_networks(400, random)
        .into_iter()
        .filter(|network| !carriers().any(|carrier| carrier.contains(network) || network.contains(&carrier)))
        .map(|network| (network, random.usize(..MANY.len())))
        .collect();
    let view = view(&ground(&MANY, &networks, &[&file]), 0);
    let reference = Gdnsd { database: &file, clusters: &MANY, networks: &networks };
    // Where the longest network of an address says, else where the database says.
    let place = |address: IpAddr| {
        let holding = networks.iter().filter(|(network, _)| network.contains(&address));
        match holding.max_by_key(|(network, _)| network.prefix_len()) {
            Some((_, index)) => Some((MANY[*index].1, MANY[*index].2)),
            None => city.spot(address),
        }
    };
    let mut clients: Vec<IpAddr> = Vec::new();
    for (network, _) in &networks {
        clients.extend([network.network(), network.broadcast()]);
        clients.extend((0..20).map(|_| within(*network, random)));
    }
    clients.extend(city.ipv4_clients(20_000, random).into_iter().map(|(client, _)| client));
    clients.extend(city.ipv6_clients(5_000, random).into_iter().map(|(client, _)| client));
    let (ipv4, ipv6): (Vec<_>, Vec<_>) = clients
        .into_iter()
        .filter_map(|client| Some((client, place(client)?)))
        .partition(|(client, _)| client.is_ipv4());
    println!("{} networks of the operator, {} clusters", networks.len(), MANY.len());
    compare("IPv4, with networks", &reference, &view, &ipv4);
    compare("IPv6, with networks", &reference, &view, &ipv6);
}

/// Where IPv6 carries IPv4 addresses: gdnsd takes no network there.
fn carriers() -> impl Iterator<Item = IpNet> {
    ["::/64", "64:ff9b::/96", "2001::/32", "2002::/16"].into_iter().map(|text| text.parse().unwrap())
}

//----------- Alone ----------------------------------------------------------

/// Scopes tell the truth: every hundredth client's scope is searched for a place that another
/// cluster is nearer to, and its ends and addresses within get the same cluster and the same scope.
#[test]
fn no_scope_is_wrong() {
    let city = City::open();
    let [ipv4, ipv6] = City::files();
    let view = view(&ground(&FIVE, &[], &[&ipv4, &ipv6]), 0);
    let mut random = Rng::with_seed(SEED);
    let mut clients = city.ipv4_clients(1000, &mut random);
    clients.extend(city.ipv6_clients(200, &mut random));
    let (mut places, mut addresses) = (0, 0);
    for (client, _) in &clients {
        let (chosen, scope) = choice(&view, *client);
        let network = IpNet::new(*client, scope).unwrap().trunc();
        let ends = [network.network(), network.broadcast()];
        for other in ends.into_iter().chain((0..8).map(|_| within(network, &mut random))) {
            assert_eq!(choice(&view, other), (chosen, scope), "{other}, in the scope {network} of {client}");
            addresses += 1;
        }
        for spot in city.spots_within(network) {
            let excess = excess(spot, &FIVE, chosen);
            assert!(excess < TIE_KM, "{spot:?}, in the scope {network} of {client}, is nearer elsewhere");
            places += 1;
        }
    }
    println!(
        "{} scopes: {addresses} addresses and {places} places within them, none otherwise",
        clients.len()
    );
}

/// The choice among many clusters is the nearest by a calculation that shares nothing with ours; and
/// it is the same on the flat files as on the one in MaxMind's schema.
#[test]
fn nearest_as_an_independent_calculation() {
    let city = City::open();
    let [ipv4, ipv6] = City::files();
    let flat = view(&ground(&MANY, &[], &[&ipv4, &ipv6]), 0);
    let nested = view(&ground(&MANY, &[], &[&city.in_maxminds_schema()]), 0);
    let mut random = Rng::with_seed(SEED ^ 1);
    let mut clients = city.ipv4_clients(80_000, &mut random);
    clients.extend(city.ipv6_clients(20_000, &mut random));
    let mut ties = 0;
    for (client, spot) in &clients {
        let (chosen, scope) = choice(&flat, *client);
        let excess = excess(*spot, &MANY, chosen);
        assert!(excess < TIE_KM, "{client} at {spot:?}: {} is {excess} km too far", MANY[chosen].0);
        ties += u32::from(excess > 0.0);
        assert_eq!((chosen, scope), choice(&nested, *client), "{client}: flat and nested");
    }
    println!("{} clients: {ties} not the nearest, all of them by less than {TIE_KM} km", clients.len());
}
