//! Which of some prefixes holds an address: for rules that name prefixes beside places.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::address_map::AddressMap;
use crate::networks::flatten_prefixes;

/// For every address the longest of some prefixes that holds it.
#[derive(Clone, Debug)]
pub struct Marks {
    /// 0 for none, else one more than the prefix's position.
    pub(crate) map: AddressMap,
}

impl Marks {
    pub(crate) fn new(prefixes: &[IpNet]) -> Self {
        let numbered = prefixes.iter().copied().zip(1..);
        Self { map: flatten_prefixes(numbered) }
    }

    /// The position of the longest prefix that holds an address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Option<usize> {
        position(self.map.lookup(address).0)
    }
}

/// The position that a value of the map stands for.
pub(crate) fn position(value: u32) -> Option<usize> {
    value.checked_sub(1).map(|position| position as usize)
}
