//! Addresses that a name must not lead to unless the operator says so.
//!
//! Whoever owns a name can point it at any address (DNS rebinding), and Meridian connects there from
//! inside the operator's network. What only this machine or its link can reach is no endpoint of
//! anybody's clients, and what a cloud hands secrets out on is none of the owner's business.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use meridian_model::embedded_ipv4;

/// Where clouds tell machines their secrets, beside 169.254.169.254, which is link-local: Alibaba Cloud,
/// Azure's WireServer, Oracle's first one; Amazon's and Google's over IPv6.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
];

/// Whether no client can be sent there and nothing be asked, whatever the operator says.
pub(crate) fn is_nobody(address: IpAddr) -> bool {
    forms(address).any(|address| {
        address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
    })
}

/// Whether a name may lead there only with the operator's word: one of `allow` holds the address, or the
/// IPv4 address that it stands for.
pub(crate) fn is_refused(address: IpAddr, allow: &[IpNet]) -> bool {
    let is_allowed = |address: &IpAddr| allow.iter().any(|prefix| prefix.contains(address));
    forms(address).any(is_guarded) && !forms(address).any(|address| is_allowed(&address))
}

fn is_guarded(address: IpAddr) -> bool {
    let is_local = match address {
        // Linux takes 0.0.0.0 for this machine; the rest of 0.0.0.0/8 is "this network" (RFC 1122 §3.2.1.3).
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    is_local || METADATA.contains(&address)
}

/// An address and the IPv4 address that it stands for: a translator or a tunnel leads to that one.
fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let hidden = match address {
        IpAddr::V4(_) => None,
        // ::1 is no form of 0.0.0.1.
        IpAddr::V6(v6) if v6.is_loopback() => None,
        IpAddr::V6(v6) => embedded_ipv4(v6.to_bits())
            .map(|(v4, _)| v4)
            .or_else(|| local_nat64(v6))
            .map(|v4| IpAddr::V4(v4.into())),
    };
    std::iter::once(address).chain(hidden)
}

/// The last 32 bits in 64:ff9b:1::/48, for translators of an operator's own (RFC 8215), as a /96 of it has them.
fn local_nat64(address: Ipv6Addr) -> Option<u32> {
    const LOCAL_NAT64: u128 = 0x0064_ff9b_0001;
    let bits = address.to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "the last 32 bits")]
    let last = bits as u32;
    (bits >> 80 == LOCAL_NAT64).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<'a>(addresses: &[&'a str], allow: &[&str]) -> Vec<&'a str> {
        let allow: Vec<IpNet> = allow.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let is = |address: &&&str| is_refused(address.parse().unwrap(), &allow);
        addresses.iter().filter(is).copied().collect()
    }

    #[test]
    fn what_only_this_machine_or_its_link_reaches_and_metadata() {
        let guarded = [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.1",
            "169.254.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
        ];
        assert_eq!(refused(&guarded, &[]), guarded);
        let others =
            ["10.0.0.1", "192.0.2.1", "128.0.0.1", "169.255.0.1", "fd00::1", "fec0::1", "2001:db8::1"];
        assert_eq!(refused(&others, &[]), [""; 0]);
    }

    #[test]
    fn hidden_in_other_forms_too() {
        let hidden = [
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            // Teredo has it with its bits reversed.
            "2001:0:102:304::80ff:fffe",
        ];
        assert_eq!(refused(&hidden, &[]), hidden);
        assert_eq!(refused(&["::ffff:192.0.2.1", "64:ff9b::c000:201", "2002:c000:201::1"], &[]), [""; 0]);
    }

    #[test]
    fn the_operator_can_allow_prefixes() {
        let all = ["127.0.0.1", "127.1.0.1", "::1", "::ffff:127.0.0.1", "169.254.1.1"];
        assert_eq!(refused(&all, &["127.0.0.0/16", "::1/128"]), ["127.1.0.1", "169.254.1.1"]);
        assert_eq!(refused(&all, &["0.0.0.0/0", "::/0"]), [""; 0]);
    }

    #[test]
    fn nobody_is_there_in_any_form() {
        for nobody in
            ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::ffff:0.0.0.0", "64:ff9b::e000:1"]
        {
            assert!(is_nobody(nobody.parse().unwrap()), "{nobody}");
        }
        for somebody in ["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1"] {
            assert!(!is_nobody(somebody.parse().unwrap()), "{somebody}");
        }
    }
}
