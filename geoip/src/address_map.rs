//! One value for every address of both families.

use std::net::IpAddr;

use ipnet::IpNet;
use meridian_model::{embedded_ipv4, meant_network};

use crate::forms;
use crate::range_map::RangeMap;

/// A map of each family; IPv6 addresses that stand for IPv4 ones have the value of those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressMap {
    ipv4: RangeMap<u32>,
    /// What it says in the blocks of [`forms`] holds only when all of IPv4 has one value.
    ipv6: RangeMap<u128>,
}

impl AddressMap {
    /// Whatever `ipv6` says in the blocks of [`forms`] is replaced by what `ipv4` says: one value takes
    /// one range; many are looked up in the IPv4 map instead of being copied.
    pub(crate) fn new(ipv4: RangeMap<u32>, ipv6: RangeMap<u128>) -> Self {
        let value = ipv4.single_value().unwrap_or(0);
        Self { ipv6: ipv6.overlay(forms::blocks(), value), ipv4 }
    }

    /// Likewise of maps made from such ones, where the blocks have one value already.
    fn renewed(ipv4: RangeMap<u32>, ipv6: RangeMap<u128>) -> Self {
        match ipv4.single_value() {
            Some(_) => Self::new(ipv4, ipv6),
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
        // Every block has several values, so no prefix may hold one as a whole.
        if let Some((ipv4, bits_before)) = embedded_ipv4(address) {
            let (value, prefix_len) = self.ipv4.lookup(ipv4);
            return (value, bits_before + prefix_len);
        }
        let (value, prefix_len) = self.ipv6.lookup(address);
        (value, prefix_len.max(forms::clear_prefix_len(address)))
    }

    /// Reads what a look-up reads first, for most addresses.
    #[inline]
    pub(crate) fn touch(&self, address: IpAddr) {
        match address {
            IpAddr::V4(ipv4) => self.ipv4.touch(ipv4.to_bits()),
            IpAddr::V6(ipv6) => self.ipv6.touch(ipv6.to_bits()),
        }
    }

    /// Reads what a look-up reads next.
    #[inline]
    pub(crate) fn touch_last(&self, address: IpAddr) {
        match address {
            IpAddr::V4(ipv4) => self.ipv4.touch_last(ipv4.to_bits()),
            IpAddr::V6(ipv6) => self.ipv6.touch_last(ipv6.to_bits()),
        }
    }

    /// The values of all addresses in a network, in order, equal neighbours as one. `None` for one of
    /// IPv6 that holds all of IPv4 or only a part of what one of its addresses stands for, and for more than `most`.
    pub(crate) fn values_within(&self, network: IpNet, most: usize) -> Option<Vec<u32>> {
        match meant_network(network)? {
            IpNet::V4(network) => {
                let (first, last) = (network.network(), network.broadcast());
                self.ipv4.values_between(first.to_bits(), last.to_bits(), most)
            }
            IpNet::V6(network) => {
                let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
                let holds_ipv4 = forms::blocks().iter().any(|(block, _)| (first..=last).contains(block));
                let is_known = !holds_ipv4 || self.ipv4.len() == 1;
                if is_known { self.ipv6.values_between(first, last, most) } else { None }
            }
        }
    }

    /// The map with other values.
    pub(crate) fn map(&self, mut value_of: impl FnMut(u32) -> u32) -> Self {
        Self::renewed(self.ipv4.map(&mut value_of), self.ipv6.map(&mut value_of))
    }

    /// Both maps laid over each other.
    pub(crate) fn zip(&self, other: &Self, mut value_of: impl FnMut(u32, u32) -> u32) -> Self {
        Self::renewed(self.ipv4.zip(&other.ipv4, &mut value_of), self.ipv6.zip(&other.ipv6, &mut value_of))
    }

    /// First and last address and value of each range of IPv4, in order.
    pub(crate) fn ranges_v4(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        self.ipv4.bounded_ranges()
    }

    /// Likewise of IPv6, without the blocks of [`forms`].
    pub(crate) fn ranges_v6(&self) -> impl Iterator<Item = (u128, u128, u32)> {
        self.ipv6.bounded_ranges().flat_map(|(first, last, value)| {
            forms::outside_blocks(first, last).map(move |(first, last)| (first, last, value))
        })
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
