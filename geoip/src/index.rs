//! The index in front of ranges: what is known of all addresses that begin with the same bits.
//!
//! In two steps, each of few octets: what is not known by the first bits, since too many ranges begin there, is by the
//! next four. Most look-ups touch one line of memory, most others two.

use std::hint::black_box;
use std::ops::Range;

use crate::limits::{INDEX_BITS_BELOW, MOST_INDEX_BITS, MOST_RANGES_UNSPLIT};
use crate::range_map::{Bounds, Key};
use crate::ranges::Ranges;
use crate::table::Table;

/// How many buckets a block has: as many as fill a line of memory.
const BLOCK: usize = 1 << INDEX_BITS_BELOW;

//----------- Index ----------------------------------------------------------

/// By the leading bits of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// How many leading bits make a bucket; at least 1.
    bits: u32,
    top: Vec<Bucket>,
    /// By the bits after those, a block after the other.
    blocks: Table<u32>,
}

/// What an index knows of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Its value, and the length of the widest prefix around it that has it.
    Whole { value: u32, scope: u8 },
    /// The first range that may begin at it or below it; else it is in the one before.
    Within { first: usize },
}

impl Index {
    /// Of ranges in ascending order, the first of which begins at zero.
    pub(crate) fn new<K: Key>(ranges: &K::Ranges) -> Self {
        let bits = ranges.count().max(2).ilog2().min(MOST_INDEX_BITS);
        let mut index = Self { bits, top: Vec::with_capacity(1 << bits), blocks: Table::default() };
        let mut maker = Maker::<K> { ranges, known: None };
        let mut next = 0;
        for leading in 0..1 << bits {
            let first = next;
            next = maker.end(first, |start| start.leading(bits) == leading);
            let bucket = maker.bucket(K::of_leading(leading, bits), first..next);
            let bucket = match bucket.kind() {
                Bucket::WITHIN if next - first > MOST_RANGES_UNSPLIT => {
                    index.block(&mut maker, leading, first)
                }
                _ => None,
            }
            .unwrap_or(bucket);
            index.top.push(bucket);
        }
        index.blocks.finish();
        index
    }

    /// A block for a bucket that many ranges begin in.
    fn block<K: Key>(&mut self, maker: &mut Maker<'_, K>, leading: usize, first: usize) -> Option<Bucket> {
        let bits = self.bits + INDEX_BITS_BELOW;
        let mut next = first;
        let block: [Bucket; BLOCK] = std::array::from_fn(|at| {
            let leading = leading << INDEX_BITS_BELOW | at;
            let first = next;
            next = maker.end(first, |start| start.leading(bits) == leading);
            maker.bucket(K::of_leading(leading, bits), first..next)
        });
        let bucket = Bucket::new(Bucket::BELOW, self.blocks.len() / BLOCK)?;
        block.into_iter().for_each(|bucket| self.blocks.push(bucket.0));
        Some(bucket)
    }

    /// What is known of an address.
    pub(crate) fn find<K: Key>(&self, address: K) -> Found {
        let bucket = self.at_top(address);
        let bucket = if bucket.kind() == Bucket::BELOW { self.below(bucket, address) } else { bucket };
        bucket.found()
    }

    /// Reads what [`Index::find`] reads first.
    #[inline]
    pub(crate) fn touch<K: Key>(&self, address: K) {
        black_box(self.at_top(address));
    }

    fn below<K: Key>(&self, bucket: Bucket, address: K) -> Bucket {
        let at = address.leading(self.bits + INDEX_BITS_BELOW) % BLOCK;
        self.blocks.at(bucket.number() * BLOCK + at).map_or(Bucket::default(), Bucket)
    }

    fn at_top<K: Key>(&self, address: K) -> Bucket {
        self.top.get(address.leading(self.bits)).copied().unwrap_or_default()
    }

    /// The bytes of memory it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of_val(&*self.top) + size_of_val(&*self.blocks)
    }
}

//----------- Bucket ---------------------------------------------------------

/// What is known of the addresses that begin with the same bits: a kind, and a number or a value with its scope. In four
/// octets, so that there is room for many in a near cache. By default: anything may be anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket(u32);

impl Bucket {
    /// Two bits of kind.
    const KIND: u32 = 30;
    /// Then, with a value, eight of its scope.
    const SCOPE: u32 = 22;

    /// Found by a search among the ranges from this one on.
    const WITHIN: u32 = 0;
    /// All have one value, and the same prefix around them, which reaches beyond this bucket or fills it.
    const WHOLE: u32 = 1;
    /// By the block of this number.
    const BELOW: u32 = 2;

    /// `None` for a number that there is no room for.
    fn new(kind: u32, number: usize) -> Option<Self> {
        let number = u32::try_from(number).ok().filter(|number| number >> Self::KIND == 0)?;
        Some(Self(kind << Self::KIND | number))
    }

    /// `None` for a value that there is no room for.
    fn whole(value: u32, scope: u8) -> Option<Self> {
        let has_room = value >> Self::SCOPE == 0;
        has_room.then_some(Self(Self::WHOLE << Self::KIND | u32::from(scope) << Self::SCOPE | value))
    }

    fn kind(self) -> u32 {
        self.0 >> Self::KIND
    }

    fn number(self) -> usize {
        (self.0 & ((1 << Self::KIND) - 1)) as usize
    }

    fn found(self) -> Found {
        if self.kind() == Self::WHOLE {
            let [.., scope] = (self.0 >> Self::SCOPE).to_be_bytes();
            return Found::Whole { value: self.0 & ((1 << Self::SCOPE) - 1), scope };
        }
        Found::Within { first: self.number() }
    }
}

//----------- Maker ----------------------------------------------------------

struct Maker<'r, K: Key> {
    ranges: &'r K::Ranges,
    /// The last range that was asked for: many buckets in a row lie in one.
    known: Option<(usize, Bounds<K>)>,
}

impl<K: Key> Maker<'_, K> {
    /// The first position from `at` on whose range does not begin within.
    fn end(&self, mut at: usize, is_within: impl Fn(K) -> bool) -> usize {
        while self.ranges.at(at).is_some_and(|(start, _)| is_within(start)) {
            at += 1;
        }
        at
    }

    /// What is known of the addresses from `lowest` on of which these ranges begin at one.
    fn bucket(&mut self, lowest: K, starting: Range<usize>) -> Bucket {
        let starts_with_it = || self.ranges.at(starting.start).is_some_and(|(start, _)| start == lowest);
        let whole = match starting.len() {
            0 => starting.start.checked_sub(1),
            1 if starts_with_it() => Some(starting.start),
            _ => None,
        };
        let whole = whole.and_then(|position| self.bounds(position));
        let whole = whole.and_then(|bounds| Bucket::whole(bounds.value, bounds.scope(lowest)));
        whole.or_else(|| Bucket::new(Bucket::WITHIN, starting.start)).unwrap_or_default()
    }

    fn bounds(&mut self, position: usize) -> Option<Bounds<K>> {
        match self.known {
            Some((known, bounds)) if known == position => Some(bounds),
            _ => {
                let bounds = Bounds::of(self.ranges, position)?;
                self.known = Some((position, bounds));
                Some(bounds)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranges::Ipv4Ranges;

    #[test]
    fn what_has_no_room_in_a_bucket_is_searched_for() {
        assert_eq!(size_of::<Bucket>(), 4);
        assert_eq!(size_of::<[Bucket; BLOCK]>(), 64);
        assert_eq!(Bucket::default().found(), Found::Within { first: 0 });
        assert_eq!(Bucket::whole(5, 128).map(Bucket::found), Some(Found::Whole { value: 5, scope: 128 }));
        assert_eq!(Bucket::whole(1 << 22, 0), None);
        let first = (1 << 30) - 1;
        assert_eq!(Bucket::new(Bucket::WITHIN, first).map(Bucket::found), Some(Found::Within { first }));
        assert_eq!(Bucket::new(Bucket::WITHIN, first + 1), None);
        // Of two values there is no room for one.
        let ranges = Ipv4Ranges::from(vec![[0, 7], [1 << 31, 1 << 22], [3 << 30, 8]]);
        let index = Index::new::<u32>(&ranges);
        assert_eq!(index.find(1_u32), Found::Whole { value: 7, scope: 1 });
        assert_eq!(index.find((1_u32 << 31) + 1), Found::Within { first: 1 });
    }
}
