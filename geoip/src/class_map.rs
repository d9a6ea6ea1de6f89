//! What remains of places when only some differences matter.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::address_map::AddressMap;
use crate::limits::CLASSES_WITHIN_RANGES;
use crate::locality::{Locality, PlaceId};
use crate::networks::longest_prefixes;

//----------- ClassMap -------------------------------------------------------

/// A class for every address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    map: AddressMap,
}

impl ClassMap {
    /// The class of an address, and the length of the widest prefix around it that has this class
    /// throughout: 0 where a whole address family has one class. For an IPv6 address that stands for
    /// an IPv4 one the length counts from the start of the IPv6 address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> (u32, u8) {
        self.map.lookup(address)
    }

    /// Reads what a look-up of this address will read first, and decides nothing by it. Before many look-ups, this for
    /// each of them lets their waits for memory overlap.
    #[inline]
    pub fn touch(&self, address: IpAddr) {
        self.map.touch(address);
    }

    /// The same of what it will read last.
    #[inline]
    pub fn touch_last(&self, address: IpAddr) {
        self.map.touch_last(address);
    }

    /// The classes of all addresses in a network, each once. `None` where they cannot be told: the network
    /// has more than 4,096 ranges, or it is one of IPv6 that holds all
    /// of IPv4, or only a part of what one of its addresses stands for.
    #[must_use]
    pub fn classes_within(&self, network: IpNet) -> Option<Vec<u32>> {
        let mut classes: Vec<u32> = Vec::new();
        for value in self.map.values_within(network, CLASSES_WITHIN_RANGES)? {
            if !classes.contains(&value) {
                classes.push(value);
            }
        }
        Some(classes)
    }

    /// The map of coarser classes: those that `class_of` gives the same number become one. It may
    /// be asked for the same class several times, and must answer the same.
    #[must_use]
    pub fn merge(&self, class_of: impl FnMut(u32) -> u32) -> Self {
        Self { map: self.map.map(class_of) }
    }

    /// The map of the classes that `class_of` gives an address's class in this map and in the other.
    /// It may be asked for the same pair several times, and must answer the same.
    #[must_use]
    pub fn zip(&self, other: &Self, class_of: impl FnMut(u32, u32) -> u32) -> Self {
        Self { map: self.map.zip(&other.map, class_of) }
    }

    /// All IPv4 addresses in order: first and last of a range, and its class. Neighbours differ.
    pub fn ranges_v4(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        self.map.ranges_v4()
    }

    /// All IPv6 addresses in order but those that stand for IPv4 ones, which have the class of those:
    /// first and last of a range, and its class.
    pub fn ranges_v6(&self) -> impl Iterator<Item = (u128, u128, u32)> {
        self.map.ranges_v6()
    }

    /// How many ranges of addresses there are, in both families together; neighbours differ.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.map.range_count()
    }

    /// The bytes of memory that the map takes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.map.size_bytes()
    }
}

//----------- Marks ----------------------------------------------------------

/// For every address the longest of some prefixes that holds it: what rules on networks go by, beside
/// the places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Positions plus 1; 0 where no prefix holds the address.
    map: AddressMap,
}

impl Marks {
    /// The position, in the slice that the marks were made from, of the longest prefix that holds an
    /// address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Option<usize> {
        mark(self.map.lookup(address).0)
    }
}

fn mark(value: u32) -> Option<usize> {
    value.checked_sub(1).map(|index| index as usize)
}

impl Locality {
    /// Marks every address with the longest of these prefixes that holds it; of equal ones, the last.
    ///
    /// A prefix of IPv6 addresses that stand for IPv4 ones (mapped, 6to4, NAT64 and the like) means
    /// the IPv4 prefix. One that no IPv4 prefix is equal to marks nothing: a whole block of these
    /// other than `::ffff:0:0/96`, or a part of one host's.
    #[must_use]
    pub fn marks(prefixes: &[IpNet]) -> Marks {
        Marks { map: longest_prefixes(prefixes.iter().copied().zip(1..)) }
    }

    /// Puts every address into a class by its place. Asks once for every place, in order.
    pub fn classify(&self, class_of_place: impl FnMut(PlaceId) -> u32) -> ClassMap {
        let classes: Vec<u32> = self.place_ids().map(class_of_place).collect();
        ClassMap { map: self.map.map(|id| classes.get(id as usize).copied().unwrap_or_default()) }
    }

    /// Puts every address into a class by its place and its mark. Asks once for every pair that
    /// occurs, and perhaps for one that does not.
    pub fn classify_marked(
        &self,
        marks: &Marks,
        mut class_of: impl FnMut(PlaceId, Option<usize>) -> u32,
    ) -> ClassMap {
        // Most of the address space has no mark, and a table is faster than a map.
        let mut unmarked = vec![None; self.places().len()];
        let mut marked = HashMap::new();
        let map = self.map.zip(&marks.map, |id, value| match (value, unmarked.get_mut(id as usize)) {
            (0, Some(class)) => *class.get_or_insert_with(|| class_of(PlaceId::new(id), None)),
            _ => *marked.entry((id, value)).or_insert_with(|| class_of(PlaceId::new(id), mark(value))),
        });
        ClassMap { map }
    }
}
