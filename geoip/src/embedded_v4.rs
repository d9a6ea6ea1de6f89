//! IPv4 addresses in IPv6 forms.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A block of IPv6 addresses that each hold an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// The first address of the block.
    pub(crate) first: u128,
    /// The bits that all addresses of the block share.
    pub(crate) prefix_len: u8,
    /// The bits before the IPv4 address.
    pub(crate) before: u8,
    /// Whether the bits of the IPv4 address are inverted.
    pub(crate) inverted: bool,
}

/// By first address.
pub(crate) const FORMS: [Form; 4] = [
    // IPv4-mapped, RFC 4291 §2.5.5.2.
    Form { first: 0xffff_0000_0000, prefix_len: 96, before: 96, inverted: false },
    // NAT64's well-known prefix, RFC 6052 §2.1.
    Form { first: 0x0064_ff9b << 96, prefix_len: 96, before: 96, inverted: false },
    // Teredo, RFC 4380 §4: the client's address behind its NAT comes last.
    Form { first: 0x2001_0000 << 96, prefix_len: 32, before: 96, inverted: true },
    // 6to4, RFC 3056 §2.
    Form { first: 0x2002 << 112, prefix_len: 16, before: 16, inverted: false },
];

impl Form {
    /// The last address of the block.
    pub(crate) fn last(self) -> u128 {
        self.first | (u128::MAX >> self.prefix_len)
    }

    /// The IPv4 address in an address of the block.
    pub(crate) fn v4(self, address: u128) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the last 32 of the bits that are left")]
        let bits = (address >> (96 - self.before)) as u32;
        if self.inverted { !bits } else { bits }
    }
}

/// The block that holds an address.
pub(crate) fn form_of(address: u128) -> Option<&'static Form> {
    FORMS.iter().find(|form| (form.first..=form.last()).contains(&address))
}

/// The IPv4 address in an IPv6 address, and the bits before it.
pub(crate) fn embedded_v4(address: Ipv6Addr) -> Option<(Ipv4Addr, u8)> {
    let bits = address.to_bits();
    let form = form_of(bits)?;
    Some((Ipv4Addr::from_bits(form.v4(bits)), form.before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_one_address() {
        for (form, before) in [
            ("::ffff:192.0.2.33", 96),
            ("64:ff9b::192.0.2.33", 96),
            ("2002:c000:221:5::1", 16),
            // The example of RFC 4380 §5.1 has the same shape: server, flags, port and address, inverted.
            ("2001:0:4136:e378:8000:63bf:3fff:fdde", 96),
        ] {
            let address: Ipv6Addr = form.parse().unwrap();
            assert_eq!(embedded_v4(address), Some((Ipv4Addr::new(192, 0, 2, 33), before)), "{form}");
        }
        for other in ["2001:db8::1", "2003::1", "64:ff9b:1::1", "::1:0:0"] {
            assert_eq!(embedded_v4(other.parse().unwrap()), None, "{other}");
        }
    }
}
