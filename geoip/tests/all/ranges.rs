//! What must hold for every address, against an implementation that tries everything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::OnceLock;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use meridian_geoip::{ClassMap, Locality, PlaceId};
use meridian_model::{Network, Place};
use proptest::prelude::*;

use crate::mmdb::{Mmdb, Value};

//----------- The naive implementation ---------------------------------------

/// The IPv4 address that an IPv6 address holds, by the text of its prefix.
fn held(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let joined = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(joined(g, h)),
        [0x2001, 0, ..] => Some(!joined(g, h)),
        [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
    .map(Ipv4Addr::from_bits)
}

/// An IPv4 address in every form; what a form has beside it is taken from `rest`.
fn forms(ipv4: Ipv4Addr, rest: u128) -> [Ipv6Addr; 4] {
    let bits = u128::from(ipv4.to_bits());
    let inverted = u128::from(!ipv4.to_bits());
    [
        0xffff << 32 | bits,
        0x0064_ff9b << 96 | bits,
        0x2001_0000 << 96 | rest & (u128::from(u64::MAX) << 32) | inverted,
        0x2002 << 112 | bits << 80 | rest & (u128::MAX >> 48),
    ]
    .map(Ipv6Addr::from_bits)
}

/// The ASN of the longest prefix that holds the address; of equal ones, the last.
fn naive(networks: &[(IpNet, u32)], address: IpAddr) -> Option<u32> {
    let address = match address {
        IpAddr::V6(ipv6) => held(ipv6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let holding = networks.iter().filter(|(net, _)| net.contains(&address));
    holding.max_by_key(|(net, _)| net.prefix_len()).map(|&(_, asn)| asn)
}

fn block(address: IpAddr, prefix_len: u8) -> IpNet {
    IpNet::new(address, prefix_len).unwrap().trunc()
}

/// Enough addresses of a block to find every value in it: values change only where a network, or a
/// block of addresses that hold IPv4 addresses, begins or ends.
fn probes(block: IpNet, networks: &[(IpNet, u32)]) -> Vec<IpAddr> {
    let after = |address: IpAddr| match address {
        IpAddr::V4(ipv4) => ipv4.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(ipv6) => ipv6.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    };
    let holders = ["::ffff:0:0/96", "64:ff9b::/96", "2001::/32", "2002::/16"];
    let holders = holders.map(|net| net.parse::<IpNet>().unwrap());
    let nets = networks.iter().map(|(net, _)| *net).chain(holders);
    let edges = nets.flat_map(|net| [Some(net.network()), after(net.broadcast())]).flatten();
    let everywhere = edges.flat_map(|edge| match (block, edge) {
        (IpNet::V6(net), IpAddr::V4(ipv4)) => {
            // Inverted, the last address of a prefix comes first.
            let before = Ipv4Addr::from_bits(ipv4.to_bits().wrapping_sub(1));
            let rest = net.network().to_bits();
            [ipv4, before].into_iter().flat_map(|ipv4| forms(ipv4, rest)).map(IpAddr::V6).collect()
        }
        _ => vec![edge],
    });
    [block.network(), block.broadcast()]
        .into_iter()
        .chain(everywhere)
        .filter(|address| block.contains(address))
        .collect()
}

//----------- Strategies -----------------------------------------------------

/// Prefixes close together, so that they nest and touch.
fn networks() -> impl Strategy<Value = Vec<(IpNet, u32)>> {
    let ipv4 = (any::<u32>(), 0..=32_u8, any::<bool>()).prop_map(|(bits, prefix_len, narrow)| {
        let bits = if narrow { 0x0a00_0000 | bits & 0x0000_ff0f } else { bits };
        IpNet::V4(Ipv4Net::new(Ipv4Addr::from_bits(bits), prefix_len).unwrap().trunc())
    });
    let ipv6 = (any::<u128>(), 0..=128_u8, 0..3_u8).prop_map(|(bits, prefix_len, near)| {
        let bits = match near {
            0 => bits,
            1 => 0x2001_0db8 << 96 | bits & (0xff0f << 80),
            _ => bits & 0x1_ffff_0000_0000,
        };
        // Around the blocks that hold IPv4 addresses, not in them.
        let prefix_len = match (bits >> 112, bits >> 96, bits >> 32) {
            (0x2002, ..) => prefix_len.min(15),
            (_, 0x2001_0000, _) => prefix_len.min(31),
            (_, 0x0064_ff9b, 0x0064_ff9b_0000_0000_0000_0000) | (.., 0xffff) => prefix_len.min(95),
            _ => prefix_len,
        };
        IpNet::V6(Ipv6Net::new(Ipv6Addr::from_bits(bits), prefix_len).unwrap().trunc())
    });
    proptest::collection::vec((prop_oneof![ipv4, ipv6], 1..5_u32), 0..24)
}

/// An address near one of the networks, or anywhere.
fn address(networks: &[(IpNet, u32)], pick: usize, bits: u128, held: bool) -> IpAddr {
    let anywhere: IpAddr = if bits.is_multiple_of(2) {
        Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap()).into()
    } else {
        Ipv6Addr::from_bits(bits).into()
    };
    let near = networks.get(pick % (networks.len() + 1)).map(|(net, _)| match bits % 3 {
        0 => net.network(),
        1 => net.broadcast(),
        _ => net.hosts().nth(usize::try_from(bits % 1000).unwrap()).unwrap_or(net.network()),
    });
    match near.unwrap_or(anywhere) {
        IpAddr::V4(ipv4) if held => forms(ipv4, bits)[pick % 4].into(),
        address => address,
    }
}

//----------- Compiled localities --------------------------------------------

fn with_networks(networks: &[(IpNet, u32)]) -> Locality {
    let empty = Value::Map(vec![("country_code", Value::Text("ZZ"))]);
    // One record that no test address is in: databases must say where something is.
    static DATABASE: OnceLock<PathBuf> = OnceLock::new();
    let database = DATABASE
        .get_or_init(|| Mmdb::new("country", vec![("255.255.255.255/32", empty)]).write("one-record.mmdb"));
    let networks: Vec<Network> = networks
        .iter()
        .map(|&(prefix, asn)| Network { prefix, place: Place { asn: Some(asn), ..Place::default() } })
        .collect();
    Locality::load(std::slice::from_ref(database), &networks).unwrap()
}

fn asn(locality: &Locality, id: PlaceId) -> u32 {
    locality.places()[id.index()].asn.unwrap_or(0)
}

fn asns(locality: &Locality) -> ClassMap {
    locality.classify(|id| asn(locality, id))
}

proptest! {
    #[test]
    fn classes_are_those_of_the_longest_prefix(
        networks in networks(), picks in proptest::collection::vec((any::<usize>(), any::<u128>(), any::<bool>()), 40),
    ) {
        let locality = with_networks(&networks);
        let classes = asns(&locality);
        for (pick, bits, mapped) in picks {
            let address = address(&networks, pick, bits, mapped);
            let wanted = naive(&networks, address).unwrap_or(0);
            prop_assert_eq!(classes.lookup(address).0, wanted, "{}", address);
            prop_assert_eq!(asn(&locality, locality.lookup(address).0), wanted, "{}", address);
        }
    }

    #[test]
    fn a_prefix_has_one_class_and_the_next_wider_has_not(
        networks in networks(), picks in proptest::collection::vec((any::<usize>(), any::<u128>(), any::<bool>()), 40),
    ) {
        let classes = asns(&with_networks(&networks));
        for (pick, bits, mapped) in picks {
            let address = address(&networks, pick, bits, mapped);
            let (class, prefix_len) = classes.lookup(address);
            let block_of = |prefix_len| block(address, prefix_len);
            for other in probes(block_of(prefix_len), &networks) {
                let found = naive(&networks, other).unwrap_or(0);
                prop_assert_eq!(found, class, "{} in {}", other, block_of(prefix_len));
                prop_assert_eq!(classes.lookup(other), (class, prefix_len), "{} in {}", other, block_of(prefix_len));
            }
            if let Some(shorter) = prefix_len.checked_sub(1) {
                let others = probes(block_of(shorter), &networks);
                let differs = others.iter().any(|&other| naive(&networks, other).unwrap_or(0) != class);
                prop_assert!(differs, "{} is all {}", block_of(shorter), class);
            }
        }
    }

    #[test]
    fn a_database_says_what_the_same_networks_say(
        mut networks in networks(), record_bits in prop_oneof![Just(24), Just(28), Just(32)],
        picks in proptest::collection::vec((any::<usize>(), any::<u128>(), any::<bool>()), 40),
    ) {
        // A database has the IPv4 tree below ::/96, so that shorter IPv6 prefixes are about it as well.
        let public: IpNet = "2000::/3".parse().unwrap();
        networks.retain(|(net, _)| matches!(net, IpNet::V4(_)) || public.contains(net));
        networks.push(("3fff::/128".parse().unwrap(), 1));
        networks.sort_by_key(|(net, _)| net.prefix_len());
        let countries = ["", "XA", "XB", "XC", "XD"];
        let record = |class: u32| {
            let country = countries[usize::try_from(class).unwrap()];
            Value::Map(vec![("country_code", Value::Text(country))])
        };
        let mut database = Mmdb::new("country", vec![]);
        database.record_bits = record_bits;
        database.share_records = true;
        database.networks.extend(networks.iter().map(|&(net, class)| (net, record(class))));
        let locality = Locality::load(&[database.write("same-networks.mmdb")], &[]).unwrap();
        let by_networks = asns(&with_networks(&networks));
        let by_database = locality.classify(|id| {
            let country = locality.places()[id.index()].country.map_or(String::new(), |code| code.to_string());
            (0..).zip(countries).find_map(|(class, name)| (name == country).then_some(class)).unwrap()
        });
        for (pick, bits, mapped) in picks {
            let address = address(&networks, pick, bits, mapped);
            prop_assert_eq!(by_database.lookup(address).0, by_networks.lookup(address).0, "{}", address);
        }
    }

    #[test]
    fn merging_is_classifying_by_the_composed_function(
        networks in networks(), coarse in proptest::array::uniform5(0..3_u32),
    ) {
        let locality = with_networks(&networks);
        let coarse_of = |class: u32| coarse[usize::try_from(class).unwrap()];
        let merged = asns(&locality).merge(coarse_of);
        let direct = locality.classify(|id| coarse_of(asn(&locality, id)));
        prop_assert_eq!(merged.range_count(), direct.range_count());
        prop_assert_eq!(merged, direct);
    }
}

#[test]
fn networks_may_begin_and_end_together() {
    let networks: Vec<(IpNet, u32)> = [
        ("10.0.0.0/8", 1),
        ("10.0.0.0/24", 2),
        ("10.0.0.0/32", 3),
        ("10.0.0.255/32", 4),
        ("10.255.255.255/32", 3),
        ("255.255.255.255/32", 4),
        ("::/128", 1),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 2),
    ]
    .map(|(net, asn)| (net.parse().unwrap(), asn))
    .into();
    let classes = asns(&with_networks(&networks));
    for address in [
        "9.255.255.255",
        "10.0.0.0",
        "10.0.0.1",
        "10.0.0.254",
        "10.0.0.255",
        "10.0.1.0",
        "10.255.255.254",
        "10.255.255.255",
        "11.0.0.0",
        "255.255.255.254",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.255",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        let address = address.parse().unwrap();
        assert_eq!(classes.lookup(address).0, naive(&networks, address).unwrap_or(0), "{address}");
    }
}

#[test]
fn thousands_of_networks_are_flattened() {
    let networks: Vec<(IpNet, u32)> = (0..8192_u32)
        .map(|number| {
            let net = Ipv4Net::new(Ipv4Addr::from_bits(0x0a00_0000 | number << 8), 24 + (number % 9) as u8)
                .unwrap();
            (net.trunc().into(), 1 + number % 4)
        })
        .chain([("10.0.0.0/8".parse().unwrap(), 9)])
        .collect();
    let classes = asns(&with_networks(&networks));
    for (net, asn) in &networks[..8192] {
        assert_eq!(classes.lookup(net.network()).0, *asn, "{net}");
    }
    assert_eq!(classes.lookup("10.255.0.1".parse().unwrap()).0, 9);
    assert_eq!(classes.lookup("11.0.0.1".parse().unwrap()), (0, 8));
}
