//! Marks, and classes by place and mark: as a search through all prefixes has it.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use meridian_geoip::{ClassMap, Locality, client_network};
use proptest::prelude::*;

use crate::ranges::{address, asn, forms, ipv4_of, naive, networks, picks, with_networks};

/// The class of an address by its range, from the list of all ranges; and whether the lists have no
/// gaps but those of the forms.
fn class_in_ranges(classes: &ClassMap, address: IpAddr) -> u32 {
    let holds = |first: u128, last: u128, bits: u128| (first..=last).contains(&bits);
    match (ipv4_of(address), address) {
        (Some(ipv4), _) | (_, IpAddr::V4(ipv4)) => {
            let bits = ipv4.to_bits();
            let mut found = classes.ranges_v4().filter(|range| (range.0..=range.1).contains(&bits));
            found.next().unwrap().2
        }
        (None, IpAddr::V6(ipv6)) => {
            let mut found = classes.ranges_v6().filter(|range| holds(range.0, range.1, ipv6.to_bits()));
            found.next().unwrap().2
        }
    }
}

/// How many addresses ranges have together, in order and apart.
fn count(ranges: impl Iterator<Item = (u128, u128)>) -> f64 {
    let (mut sum, mut before) = (0.0, None);
    for (first, last) in ranges {
        assert!(first <= last && before.is_none_or(|before| before < first));
        sum += (last - first) as f64 + 1.0;
        before = Some(last);
    }
    sum
}

proptest! {
    #[test]
    fn a_mark_is_the_longest_prefix_that_holds_the_address(networks in networks(), picks in picks()) {
        let indexed: Vec<(IpNet, u32)> = networks.iter().zip(0..).map(|(&(net, _), index)| (net, index)).collect();
        let prefixes: Vec<IpNet> = indexed.iter().map(|&(net, _)| net).collect();
        let marks = Locality::marks(&prefixes);
        for (pick, bits, form) in picks {
            let address = address(&networks, pick, bits, form);
            let found = marks.lookup(address).map(|index| u32::try_from(index).unwrap());
            prop_assert_eq!(found, naive(&indexed, address), "{}", address);
        }
    }

    #[test]
    fn classes_by_mark_are_those_of_both_and_asked_for_once(
        networks in networks(), prefixes in networks(), picks in picks(),
    ) {
        let locality = with_networks(&networks);
        let nets: Vec<IpNet> = prefixes.iter().map(|&(net, _)| net).collect();
        let marks = Locality::marks(&nets);
        let mut asked = HashSet::new();
        let classes = locality.classify_marked(&marks, |id, mark| {
            assert!(asked.insert((id, mark)), "{id:?} with {mark:?} asked for twice");
            asn(&locality, id) * 100 + mark.map_or(0, |index| prefixes[index].1)
        });
        // The same by laying two maps over each other.
        let unmarked = locality.classify(|id| asn(&locality, id));
        let marked = with_networks(&prefixes);
        let marked = marked.classify(|id| asn(&marked, id));
        let zipped = unmarked.zip(&marked, |asn, mark| asn * 100 + mark);
        for (pick, bits, form) in picks {
            let address = address(if pick % 2 == 0 { &networks } else { &prefixes }, pick / 2, bits, form);
            let wanted = naive(&networks, address).unwrap_or(0) * 100 + naive(&prefixes, address).unwrap_or(0);
            prop_assert_eq!(classes.lookup(address).0, wanted, "{}", address);
            prop_assert_eq!(class_in_ranges(&classes, address), wanted, "{}", address);
            prop_assert_eq!(zipped.lookup(address), classes.lookup(address), "{}", address);
        }
    }

    #[test]
    fn ranges_have_every_address_once(networks in networks()) {
        let locality = with_networks(&networks);
        let classes = locality.classify(|id| asn(&locality, id));
        let widened = |(first, last): (u32, u32)| (first.into(), last.into());
        prop_assert_eq!(count(classes.ranges_v4().map(|range| widened((range.0, range.1)))), 2_f64.powi(32));
        prop_assert_eq!(count(locality.ranges_v4().map(|range| widened((range.0, range.1)))), 2_f64.powi(32));
        // 6to4 is the largest of the blocks; the others are lost in rounding.
        let wanted = 2_f64.powi(128) - 2_f64.powi(112) - 2_f64.powi(96);
        let found = count(classes.ranges_v6().map(|range| (range.0, range.1)));
        prop_assert!((found / wanted - 1.0).abs() < 1e-12, "{} of {}", found, wanted);
        for (first, last, class) in classes.ranges_v6() {
            for bits in [first, last] {
                let address = Ipv6Addr::from_bits(bits).into();
                prop_assert_eq!(ipv4_of(address), None);
                prop_assert_eq!(classes.lookup(address).0, class);
            }
        }
    }

    #[test]
    fn classes_within_a_network_are_those_of_its_addresses(
        networks in networks(),
        picks in picks(),
        prefix_len in 0..=32_u8,
    ) {
        let locality = with_networks(&networks);
        let classes = locality.classify(|place| u32::try_from(place.index()).unwrap() % 3);
        for (pick, bits, form) in picks {
            let at = address(&networks, pick, bits, form);
            let prefix_len = if at.is_ipv4() { prefix_len } else { prefix_len * 4 };
            let around = IpNet::new(at, prefix_len).unwrap().trunc();
            let Some(within) = classes.classes_within(around) else {
                // Only what holds IPv4 addresses in other forms, or a part of one, cannot be told.
                let IpAddr::V6(at) = at else { panic!("{around}") };
                prop_assert!(prefix_len < 16 || [0, 0x64, 0x2001, 0x2002].contains(&at.segments()[0]), "{around}");
                continue;
            };
            prop_assert!(within.contains(&classes.lookup(at).0), "{around}");
            let (_, same) = classes.lookup(around.network());
            prop_assert_eq!(within.len() == 1, same <= prefix_len, "{} {:?} /{}", around, within, same);
            let distinct: HashSet<u32> = within.iter().copied().collect();
            prop_assert_eq!(distinct.len(), within.len());
        }
    }

    #[test]
    fn a_client_network_is_one_for_all_forms_and_its_scope_holds(bits in any::<u128>(), other in any::<u128>()) {
        let ipv4 = Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap());
        let direct = client_network(ipv4.into());
        prop_assert_eq!(direct.scope, 24);
        for (form, before, _) in forms(ipv4) {
            let network = client_network(form.into());
            prop_assert_eq!((network.key, network.scope), (direct.key, before + 24), "{}", form);
        }
        // Everything in the scope has the same key, also close to the blocks; the next wider has not.
        for address in [bits, bits >> 64, bits >> 80, 0x0064_ff9b << 96 | bits >> 40, 0x2001_0000 << 96 | bits >> 32] {
            let address = Ipv6Addr::from_bits(address);
            let network = client_network(address.into());
            let free = u128::MAX.checked_shr(network.scope.into()).unwrap_or(0);
            for tail in [other, 0, u128::MAX, 0xffff_0000_0000] {
                let near = Ipv6Addr::from_bits(address.to_bits() & !free | tail & free);
                prop_assert_eq!(client_network(near.into()), network, "{} beside {}", near, address);
            }
        }
    }
}

#[test]
fn networks_of_clients_are_24_and_48_bits() {
    let key = |address: &str| client_network(address.parse().unwrap()).key;
    assert_eq!(key("192.0.2.1"), key("192.0.2.255"));
    assert_ne!(key("192.0.2.1"), key("192.0.3.1"));
    assert_eq!(key("2001:db8:1::1"), key("2001:db8:1:ffff::"));
    assert_ne!(key("2001:db8:1::1"), key("2001:db8:2::1"));
    assert_eq!(client_network("2001:db8:1::1".parse().unwrap()).scope, 48);
    // A /48 that holds blocks of the forms is left to them.
    assert!(client_network("::5:0:0:0".parse().unwrap()).scope > 48);
}

#[test]
fn marks_of_whole_blocks() {
    let prefixes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
    let mark =
        |texts: &[&str], address: &str| Locality::marks(&prefixes(texts)).lookup(address.parse().unwrap());
    assert_eq!(mark(&[], "192.0.2.1"), None);
    assert_eq!(mark(&["::/0"], "192.0.2.1"), None, "IPv6 is not IPv4");
    assert_eq!(mark(&["::/0"], "2002:c000:201::"), None, "nor are its forms");
    assert_eq!(mark(&["::ffff:0:0/96"], "192.0.2.1"), Some(0), "all of IPv4, said in another way");
    assert_eq!(mark(&["::/0", "0.0.0.0/0"], "64:ff9b::192.0.2.1"), Some(1));
    for whole in ["2002::/16", "2001::/32", "64:ff9b::/96", "2001:0:1::/96", "2002:c000:201:1::/64"] {
        assert_eq!(mark(&[whole], "192.0.2.1"), None, "{whole}");
        assert_eq!(mark(&[whole], "2002:c000:201:1::1"), None, "{whole}");
    }
    assert_eq!(mark(&["2002:c000:200::/40"], "192.0.2.1"), Some(0));
    assert_eq!(mark(&["2001::3fff:fd00/120"], "192.0.2.1"), Some(0), "Teredo inverts the client");
}
