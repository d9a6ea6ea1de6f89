//! One value for every address of a family, as sorted ranges.

use std::hint::black_box;

use crate::index::{Found, Index};
use crate::ranges::{Ipv4Ranges, Ipv6Ranges, Ranges};

//----------- RangeMap -------------------------------------------------------

/// A value for every address; ranges cover the whole space, and neighbours differ.
///
/// Each range is its first address; it ends before the next one's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeMap<K: Key> {
    /// Ascending; the first begins at zero.
    ranges: K::Ranges,
    /// Where most look-ups end.
    index: Index,
}

impl<K: Key> RangeMap<K> {
    /// Of all ranges, the first of which begins at zero.
    fn of(mut ranges: K::Ranges) -> Self {
        ranges.finish();
        let index = Index::new::<K>(&ranges);
        Self { ranges, index }
    }

    /// The value of an address, and the length of the widest prefix around it that has this value
    /// throughout: 0 when the whole space has it.
    pub(crate) fn lookup(&self, address: K) -> (u32, u8) {
        match self.index.find(address) {
            Found::Whole { value, scope } => (value, scope),
            // A map always has the range that starts at zero.
            Found::Within { first } => Bounds::of(&self.ranges, self.position_from(first, address))
                .map_or((0, K::BITS), |bounds| (bounds.value, bounds.scope(address))),
        }
    }

    /// Reads what a look-up reads first, and goes by nothing of it: the waits of many such reads are one.
    #[inline]
    pub(crate) fn touch(&self, address: K) {
        self.index.touch(address);
    }

    /// The same of what it reads last.
    #[inline]
    pub(crate) fn touch_last(&self, address: K) {
        if let Found::Within { first } = self.index.find(address) {
            black_box(self.ranges.at(first));
        }
    }

    /// The values of the ranges from the one that holds `first` to the one that holds `last`, in order; `None` if
    /// they are more than `most`.
    pub(crate) fn values_between(&self, first: K, last: K, most: usize) -> Option<Vec<u32>> {
        let (from, to) = (self.position(first), self.position(last));
        let count = (to + 1).saturating_sub(from);
        (count <= most)
            .then(|| (from..=to).filter_map(|at| self.ranges.at(at)).map(|(_, value)| value).collect())
    }

    /// The index of the range that holds an address.
    fn position(&self, address: K) -> usize {
        match self.index.find(address) {
            Found::Within { first } => self.position_from(first, address),
            Found::Whole { .. } => self.position_from(0, address),
        }
    }

    /// The same, of one that no range from `first` on holds but those that begin there, or the one before.
    fn position_from(&self, first: usize, address: K) -> usize {
        let begins_above =
            |position: usize| self.ranges.at(position).is_none_or(|(start, _)| start > address);
        // As a rule it is one of the next few.
        let (mut low, mut step) = (first, 1);
        while !begins_above(low + step - 1) {
            low += step;
            step *= 2;
        }
        let within = low..(low + step - 1).min(self.len());
        (low + self.ranges.count_to(within, address)).saturating_sub(1)
    }

    /// How many ranges there are; at least one.
    pub(crate) fn len(&self) -> usize {
        self.ranges.count()
    }

    /// The bytes of memory it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.ranges.size_bytes() + self.index.size_bytes()
    }

    /// The value, when all addresses have the same.
    pub(crate) fn single_value(&self) -> Option<u32> {
        if self.len() == 1 { self.ranges.last_one().map(|(_, value)| value) } else { None }
    }

    /// The ranges with other values; those that become equal are merged.
    pub(crate) fn map(&self, value_of: impl FnMut(u32) -> u32) -> Self {
        RangeMap::of(self.ranges.mapped(value_of))
    }

    /// Both maps laid over each other, in one pass.
    pub(crate) fn zip(&self, other: &Self, mut value_of: impl FnMut(u32, u32) -> u32) -> Self {
        // At most so many; what is not used is never touched.
        let mut builder = Builder::with_room(self.len() + other.len());
        let mut ours = self.ranges.all().peekable();
        let mut theirs = other.ranges.all().peekable();
        let (mut our_value, mut their_value) = (0, 0);
        loop {
            let start = match (ours.peek(), theirs.peek()) {
                (None, None) => return builder.finish(),
                (Some(&(start, _)), None) | (None, Some(&(start, _))) => start,
                (Some(&(our_start, _)), Some(&(their_start, _))) => our_start.min(their_start),
            };
            if let Some((_, value)) = ours.next_if(|range| range.0 == start) {
                our_value = value;
            }
            if let Some((_, value)) = theirs.next_if(|range| range.0 == start) {
                their_value = value;
            }
            builder.push(start, value_of(our_value, their_value));
        }
    }

    /// The map with one value in all of these blocks: first and last address, ascending.
    pub(crate) fn overlay(self, blocks: &[(K, K)], value: u32) -> Self {
        let has_value = |&(first, last): &(K, K)| {
            let position = self.position(first);
            let same = |(_, other)| other == value;
            position == self.position(last) && self.ranges.at(position).is_some_and(same)
        };
        if blocks.iter().all(has_value) {
            return self;
        }
        let mut builder = Builder::default();
        builder.push(K::ZERO, 0);
        for &(first, last) in blocks {
            builder.push(first, 1);
            if let Some(next) = last.after() {
                builder.push(next, 0);
            }
        }
        self.zip(&builder.finish(), |outside, inside| if inside == 1 { value } else { outside })
    }

    /// First and last address and value of each range, in order.
    pub(crate) fn bounded_ranges(&self) -> impl Iterator<Item = (K, K, u32)> {
        let nexts = self.ranges.all().skip(1).map(|(next, _)| next.before());
        let lasts = nexts.map(|last| last.unwrap_or(K::ZERO)).chain([K::ZERO.last_of(0)]);
        self.ranges.all().zip(lasts).map(|((first, value), last)| (first, last, value))
    }
}

/// One range: its value, and the addresses right before and after it.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<K> {
    pub(crate) value: u32,
    before: Option<K>,
    after: Option<K>,
}

impl<K: Key> Bounds<K> {
    /// Of the range at a position.
    pub(crate) fn of(ranges: &K::Ranges, position: usize) -> Option<Self> {
        let (start, value) = ranges.at(position)?;
        let after = ranges.at(position + 1).map(|(next, _)| next);
        Some(Self { value, before: start.before(), after })
    }

    /// How long the widest prefix is that lies in the range around one of its addresses: it leaves the range as soon as
    /// it holds the address before or the one after, so it is one bit longer than what the address has in common with
    /// either.
    pub(crate) fn scope(&self, address: K) -> u8 {
        let beyond = |other: Option<K>| other.map_or(0, |other| address.common_bits(other) + 1);
        beyond(self.before).max(beyond(self.after))
    }
}

//----------- Builder --------------------------------------------------------

/// Ranges in the making, from the lowest address up.
#[derive(Debug)]
pub(crate) struct Builder<K: Key> {
    ranges: K::Ranges,
    /// The last of them.
    last: Option<(K, u32)>,
}

impl<K: Key> Default for Builder<K> {
    fn default() -> Self {
        Self { ranges: K::Ranges::default(), last: None }
    }
}

impl<K: Key> Builder<K> {
    /// With room for as many ranges.
    fn with_room(count: usize) -> Self {
        let mut builder = Self::default();
        builder.ranges.reserve(count);
        builder
    }

    /// From `start` on, the value is this. Starts come in ascending order, the first is zero; the
    /// last word for the same start counts.
    pub(crate) fn push(&mut self, start: K, value: u32) {
        if self.last.is_some_and(|(last, _)| last == start) {
            self.ranges.drop_last();
            self.last = self.ranges.last_one();
        }
        if self.last.is_none_or(|(_, last)| last != value) {
            self.ranges.add(start, value);
            self.last = Some((start, value));
        }
    }

    /// The map; value 0 everywhere if nothing was pushed.
    pub(crate) fn finish(mut self) -> RangeMap<K> {
        if self.ranges.count() == 0 {
            self.push(K::ZERO, 0);
        }
        RangeMap::of(self.ranges)
    }
}

//----------- Key ------------------------------------------------------------

/// An address as a number: `u32` for IPv4, `u128` for IPv6.
pub(crate) trait Key: Copy + Ord + std::fmt::Debug {
    /// The lowest address.
    const ZERO: Self;
    /// How many bits an address has.
    const BITS: u8;
    /// How ranges are kept.
    type Ranges: Ranges<Self>;

    /// How many leading bits two addresses share.
    fn common_bits(self, other: Self) -> u8;
    /// The first bits as a number; `bits` from 1 to 20.
    fn leading(self, bits: u32) -> usize;
    /// The lowest address with these first bits.
    fn of_leading(leading: usize, bits: u32) -> Self;
    /// The address before; none before the lowest.
    fn before(self) -> Option<Self>;
    /// The address after; none after the highest.
    fn after(self) -> Option<Self>;
    /// The address with the bit at `depth` set, counted from the left from 0.
    fn with_bit(self, depth: u8) -> Self;
    /// The last address of the prefix of this length that begins here.
    fn last_of(self, prefix_len: u8) -> Self;
}

macro_rules! key {
    ($type:ty, $ranges:ty) => {
        impl Key for $type {
            type Ranges = $ranges;

            const ZERO: Self = 0;
            #[expect(clippy::cast_possible_truncation, reason = "32 and 128")]
            const BITS: u8 = Self::BITS as u8;

            fn common_bits(self, other: Self) -> u8 {
                #[expect(clippy::cast_possible_truncation, reason = "at most 128")]
                let bits = (self ^ other).leading_zeros() as u8;
                bits
            }

            fn leading(self, bits: u32) -> usize {
                (self >> (Self::BITS - bits)) as usize
            }

            fn of_leading(leading: usize, bits: u32) -> Self {
                // As many bits as were taken of one.
                let leading = Self::try_from(leading).unwrap_or(0);
                leading << (Self::BITS - bits)
            }

            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }

            fn after(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn with_bit(self, depth: u8) -> Self {
                self | (1 as Self).rotate_right(1).checked_shr(depth.into()).unwrap_or(0)
            }

            fn last_of(self, prefix_len: u8) -> Self {
                self | Self::MAX.checked_shr(prefix_len.into()).unwrap_or(0)
            }
        }
    };
}

key!(u32, Ipv4Ranges);
key!(u128, Ipv6Ranges);
