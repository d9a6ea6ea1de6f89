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

/// The IPv4 address that an address is or stands for, by its groups.
pub(crate) fn ipv4_of(address: IpAddr) -> Option<Ipv4Addr> {
    let groups = match address {
        IpAddr::V4(ipv4) => return Some(ipv4),
        IpAddr::V6(ipv6) => ipv6.segments(),
    };
    let of = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match groups {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => of(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        [0x2001, 0, .., high, low] => of(!high, !low),
        _ => None,
    }
}

/// The forms of an IPv4 address in IPv6, the bits before it there, and the block of the form.
pub(crate) fn forms(ipv4: Ipv4Addr) -> [(Ipv6Addr, u8, IpNet); 6] {
    let bits = u128::from(ipv4.to_bits());
    [
        (bits, 96, "::/96"),
        (0xffff_0000_0000 | bits, 96, "::ffff:0:0/96"),
        (0xffff_0000_0000_0000 | bits, 96, "::ffff:0:0:0/96"),
        (0x0064_ff9b << 96 | bits, 96, "64:ff9b::/96"),
        // A server, flags and a port; in 6to4 a subnet and a host.
        (0x2001_0000_4136_e378_8000_63bf << 32 | (bits ^ 0xffff_ffff), 96, "2001::/32"),
        (0x2002 << 112 | bits << 80 | 0x0001_0203_0405_0607_0809, 16, "2002::/16"),
    ]
    .map(|(bits, before, block)| (Ipv6Addr::from_bits(bits), before, block.parse().unwrap()))
}

/// The prefix length that is left when a prefix of IPv6 means one of IPv4.
fn ipv4_prefix_of(net: IpNet) -> IpNet {
    let IpNet::V6(ipv6) = net else { return net };
    let Some(address) = ipv4_of(net.network()) else { return net };
    let (_, before, block) =
        *forms(address).iter().find(|(.., block)| block.contains(&net.network())).unwrap();
    match ipv6.prefix_len().checked_sub(before) {
        Some(prefix_len) if block.contains(&net) => Ipv4Net::new(address, prefix_len).unwrap().trunc().into(),
        _ => net,
    }
}

/// The value of the longest prefix that holds the address; of equal ones, the last.
pub(crate) fn naive(networks: &[(IpNet, u32)], address: IpAddr) -> Option<u32> {
    let address = ipv4_of(address).map_or(address, IpAddr::V4);
    let meant = networks.iter().map(|&(net, value)| (ipv4_prefix_of(net), value));
    let holding = meant.filter(|(net, _)| net.contains(&address));
    holding.max_by_key(|(net, _)| net.prefix_len()).map(|(_, value)| value)
}

fn block(address: IpAddr, prefix_len: u8) -> IpNet {
    IpNet::new(address, prefix_len).unwrap().trunc()
}

/// Enough addresses of a block to find every value in it: values change only where a network or the
/// block of a form begins or ends, and there as well inside each form.
fn probes(block: IpNet, networks: &[(IpNet, u32)]) -> Vec<IpAddr> {
    let near = |address: IpAddr, add: fn(u128) -> Option<u128>| match address {
        IpAddr::V4(ipv4) => {
            let bits = u32::try_from(add(ipv4.to_bits().into())?).ok()?;
            Some(IpAddr::V4(Ipv4Addr::from_bits(bits)))
        }
        IpAddr::V6(ipv6) => Some(Ipv6Addr::from_bits(add(ipv6.to_bits())?).into()),
    };
    let blocks = forms(Ipv4Addr::UNSPECIFIED).map(|(.., block)| block);
    let nets = networks.iter().map(|&(net, _)| ipv4_prefix_of(net)).chain(blocks);
    // Both sides of each edge: Teredo has them the other way round.
    let edges = nets.flat_map(|net| {
        let (first, last) = (net.network(), net.broadcast());
        let outside = [near(first, |bits| bits.checked_sub(1)), near(last, |bits| bits.checked_add(1))];
        [first, last].into_iter().chain(outside.into_iter().flatten())
    });
    let written = edges.flat_map(|address| match address {
        IpAddr::V4(ipv4) => {
            let mut all: Vec<IpAddr> = forms(ipv4).map(|(form, ..)| form.into()).into();
            all.extend(within(block, ipv4));
            all.push(address);
            all
        }
        IpAddr::V6(_) => vec![address],
    });
    [block.network()].into_iter().chain(written).filter(|address| block.contains(address)).collect()
}

/// The Teredo address of an IPv4 client, with the server of the block.
fn within(block: IpNet, ipv4: Ipv4Addr) -> Option<IpAddr> {
    let IpNet::V6(block) = block else { return None };
    let bits = block.network().to_bits() >> 32 << 32 | u128::from(!ipv4.to_bits());
    Some(Ipv6Addr::from_bits(bits).into())
}

//----------- Strategies -----------------------------------------------------

/// Prefixes close together, so that they nest and touch.
pub(crate) fn networks() -> impl Strategy<Value = Vec<(IpNet, u32)>> {
    let narrow = |bits: u32| 0x0a00_0000 | bits & 0x0000_ff0f;
    let ipv4 = (any::<u32>(), 0..=32_u8, any::<bool>()).prop_map(move |(bits, prefix_len, is_narrow)| {
        let bits = if is_narrow { narrow(bits) } else { bits };
        IpNet::V4(Ipv4Net::new(Ipv4Addr::from_bits(bits), prefix_len).unwrap().trunc())
    });
    let ipv6 = (any::<u128>(), 0..=128_u8, 0..4_u8).prop_map(|(bits, prefix_len, near)| {
        let bits = match near {
            0 => bits,
            1 => 0x2001_0db8 << 96 | bits & (0xff0f << 80),
            // Around the blocks of the forms; what is in one is made below.
            2 => bits & 0x1_ffff_ffff_0000_0000,
            _ => 0x2000_0000 << 96 | bits & (0x0003_0001 << 96),
        };
        let prefix =
            |prefix_len| IpNet::V6(Ipv6Net::new(Ipv6Addr::from_bits(bits), prefix_len).unwrap().trunc());
        let in_block =
            |net: IpNet| forms(Ipv4Addr::UNSPECIFIED).iter().any(|(.., block)| block.contains(&net));
        (0..=prefix_len).rev().map(prefix).find(|&net| !in_block(net)).unwrap()
    });
    // An IPv4 network, written in one of the forms.
    let form = (any::<u32>(), 1..=32_u8, 0..6_usize).prop_map(move |(bits, prefix_len, form)| {
        let (address, before, _) = forms(Ipv4Addr::from_bits(narrow(bits)))[form];
        block(address.into(), before + prefix_len)
    });
    proptest::collection::vec((prop_oneof![2 => ipv4, 2 => ipv6, 1 => form], 1..5_u32), 0..24)
}

/// An address near one of the networks, or anywhere; of IPv4 ones perhaps a form.
pub(crate) fn address(networks: &[(IpNet, u32)], pick: usize, bits: u128, form: usize) -> IpAddr {
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
    let address = near.unwrap_or(anywhere);
    match ipv4_of(address).zip(forms(Ipv4Addr::UNSPECIFIED).get(form)) {
        Some((ipv4, _)) => forms(ipv4)[form].0.into(),
        None => address,
    }
}

/// What [`address`] takes, many times; half of the IPv4 addresses stay as they are.
pub(crate) fn picks() -> impl Strategy<Value = Vec<(usize, u128, usize)>> {
    proptest::collection::vec((any::<usize>(), any::<u128>(), 0..12_usize), 40)
}

//----------- Compiled localities --------------------------------------------

pub(crate) fn with_networks(networks: &[(IpNet, u32)]) -> Locality {
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

pub(crate) fn asn(locality: &Locality, id: PlaceId) -> u32 {
    locality.places()[id.index()].asn.unwrap_or(0)
}

fn asns(locality: &Locality) -> ClassMap {
    locality.classify(|id| asn(locality, id))
}

proptest! {
    #[test]
    fn classes_are_those_of_the_longest_prefix(
        networks in networks(), picks in picks(),
    ) {
        let locality = with_networks(&networks);
        let classes = asns(&locality);
        for (pick, bits, form) in picks {
            let address = address(&networks, pick, bits, form);
            let wanted = naive(&networks, address).unwrap_or(0);
            prop_assert_eq!(classes.lookup(address).0, wanted, "{}", address);
            prop_assert_eq!(asn(&locality, locality.lookup(address).0), wanted, "{}", address);
        }
    }

    #[test]
    fn a_prefix_has_one_class_and_the_next_wider_has_not(
        networks in networks(), picks in picks(),
    ) {
        let classes = asns(&with_networks(&networks));
        for (pick, bits, form) in picks {
            let address = address(&networks, pick, bits, form);
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
        picks in picks(),
    ) {
        // A database has the IPv4 tree below ::/96, so that shorter IPv6 prefixes are about it as well.
        let public: IpNet = "2000::/3".parse().unwrap();
        networks.retain(|(net, _)| matches!(net, IpNet::V4(_)) || public.contains(net) && ipv4_of(net.network()).is_none());
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
        for (pick, bits, form) in picks {
            let address = address(&networks, pick, bits, form);
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
