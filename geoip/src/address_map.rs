//! One value for every address of both families.

use std::net::IpAddr;

use crate::range_map::{Key, RangeMap};

/// Where IPv6 holds IPv4-mapped addresses: `::ffff:0:0/96` (RFC 4291 §2.5.5.2).
const MAPPED_FIRST: u128 = 0xffff_0000_0000;
const MAPPED_LAST: u128 = 0xffff_ffff_ffff;
pub(crate) const MAPPED_PREFIX_LEN: u8 = 96;

/// A map of each family; IPv4-mapped addresses have the value of their IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressMap {
    ipv4: RangeMap<u32>,
    /// What it says of mapped addresses holds only when all of IPv4 has one value.
    ipv6: RangeMap<u128>,
}

impl AddressMap {
    /// Whatever `ipv6` says of mapped addresses is replaced by what `ipv4` says.
    pub(crate) fn new(ipv4: RangeMap<u32>, ipv6: RangeMap<u128>) -> Self {
        // One value takes one range; many are looked up in the IPv4 map instead of being copied.
        match ipv4.single_value() {
            Some(value) => Self { ipv6: ipv6.overlay(MAPPED_FIRST, MAPPED_LAST, value), ipv4 },
            None => Self { ipv4, ipv6 },
        }
    }

    /// The value of an address, and the length of the widest prefix around it that has this value
    /// throughout; the length counts in the family that the address is written in.
    pub(crate) fn lookup(&self, address: IpAddr) -> (u32, u8) {
        let address = match address {
            IpAddr::V4(ipv4) => return self.ipv4.lookup(ipv4.to_bits()),
            IpAddr::V6(ipv6) => ipv6.to_bits(),
        };
        if self.ipv4.len() == 1 {
            return self.ipv6.lookup(address);
        }
        if (MAPPED_FIRST..=MAPPED_LAST).contains(&address) {
            #[expect(clippy::cast_possible_truncation, reason = "the IPv4 address is the last 32 bits")]
            let (value, prefix_len) = self.ipv4.lookup(address as u32);
            return (value, MAPPED_PREFIX_LEN + prefix_len);
        }
        // The mapped addresses have several values, so no prefix may reach them.
        let (value, prefix_len) = self.ipv6.lookup(address);
        (value, prefix_len.max(address.common_bits(MAPPED_FIRST) + 1))
    }

    /// The map with other values.
    pub(crate) fn map(&self, mut value_of: impl FnMut(u32) -> u32) -> Self {
        Self::new(self.ipv4.map(&mut value_of), self.ipv6.map(&mut value_of))
    }

    /// Both maps laid over each other.
    pub(crate) fn zip(&self, other: &Self, mut value_of: impl FnMut(u32, u32) -> u32) -> Self {
        Self::new(self.ipv4.zip(&other.ipv4, &mut value_of), self.ipv6.zip(&other.ipv6, &mut value_of))
    }

    /// How many ranges the two families have together.
    pub(crate) fn range_count(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }

    /// The bytes of memory it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.ipv4.size_bytes() + self.ipv6.size_bytes()
    }
}
