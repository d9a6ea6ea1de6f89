//! One value for every address of both families.

use std::net::IpAddr;

use crate::embedded_v4::{FORMS, Form, form_of};
use crate::range_map::{Key, RangeMap};

/// A map of each family; IPv6 addresses that hold an IPv4 address have the value of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressMap {
    ipv4: RangeMap<u32>,
    /// What it says of addresses that hold an IPv4 address counts only when all of IPv4 has one value.
    ipv6: RangeMap<u128>,
}

impl AddressMap {
    /// Whatever `ipv6` says of addresses that hold an IPv4 address is replaced by what `ipv4` says.
    pub(crate) fn new(ipv4: RangeMap<u32>, ipv6: RangeMap<u128>) -> Self {
        // One value takes a range a form; many are looked up in the IPv4 map instead of being copied.
        match ipv4.single_value() {
            Some(value) => {
                let overlay =
                    |ipv6: RangeMap<u128>, form: &Form| ipv6.overlay(form.first, form.last(), value);
                Self { ipv6: FORMS.iter().fold(ipv6, overlay), ipv4 }
            }
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
        if let Some(form) = form_of(address) {
            let (value, prefix_len) = self.ipv4.lookup(form.v4(address));
            return (value, form.before + prefix_len);
        }
        // The blocks that hold IPv4 addresses have several values, so no prefix may reach them.
        let (value, prefix_len) = self.ipv6.lookup(address);
        let outside = |form: &Form| address.common_bits(form.first) + 1;
        (value, FORMS.iter().map(outside).fold(prefix_len, u8::max))
    }

    /// The map with other values.
    pub(crate) fn map(&self, mut value_of: impl FnMut(u32) -> u32) -> Self {
        Self::new(self.ipv4.map(&mut value_of), self.ipv6.map(&mut value_of))
    }

    /// Both maps laid over each other.
    pub(crate) fn zip(&self, other: &Self, mut value_of: impl FnMut(u32, u32) -> u32) -> Self {
        Self::new(self.ipv4.zip(&other.ipv4, &mut value_of), self.ipv6.zip(&other.ipv6, &mut value_of))
    }

    /// The ranges of IPv4, in order: first and last address, and the value.
    pub(crate) fn ipv4_ranges(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        self.ipv4.spans()
    }

    /// The ranges of IPv6, in order; those of addresses that hold an IPv4 address say nothing unless
    /// all of IPv4 has one value.
    pub(crate) fn ipv6_ranges(&self) -> impl Iterator<Item = (u128, u128, u32)> {
        self.ipv6.spans()
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
