//! Ranges of addresses and their values: IPv4's for speed, IPv6's in little memory.

use std::ops::Range;

use crate::table::Table;

/// Ranges in ascending order: the first address of each, and its value.
pub(crate) trait Ranges<K>: Clone + std::fmt::Debug + Default + PartialEq + Eq {
    /// How many there are.
    fn count(&self) -> usize;
    /// The one at a position.
    fn at(&self, position: usize) -> Option<(K, u32)>;
    /// Makes room for as many more, and no more than that.
    fn reserve(&mut self, count: usize);
    /// Adds one at the end.
    fn add(&mut self, start: K, value: u32);
    /// Drops the last.
    fn drop_last(&mut self);
    /// How many of those at these positions do not begin above an address.
    fn count_to(&self, positions: Range<usize>, address: K) -> usize;
    /// Gives back what memory is not needed: nothing more is added.
    fn finish(&mut self);
    /// The bytes of memory they take.
    fn size_bytes(&self) -> usize;
    /// Those with other values, where they differ from the one before; of at least one, one is left.
    fn mapped(&self, value_of: impl FnMut(u32) -> u32) -> Self;
    /// All, in order.
    fn all(&self) -> impl Iterator<Item = (K, u32)>;

    /// The last.
    fn last_one(&self) -> Option<(K, u32)> {
        self.at(self.count().checked_sub(1)?)
    }
}

//----------- IPv4 -----------------------------------------------------------

/// IPv4: start and value side by side, for a look-up is as dear as the lines of memory that it touches.
pub(crate) type Ipv4Ranges = Table<[u32; 2]>;

impl Ranges<u32> for Ipv4Ranges {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, position: usize) -> Option<(u32, u32)> {
        Table::at(self, position).map(|[start, value]| (start, value))
    }

    fn reserve(&mut self, count: usize) {
        Table::reserve(self, self.len() + count);
    }

    fn add(&mut self, start: u32, value: u32) {
        self.push([start, value]);
    }

    fn drop_last(&mut self) {
        self.truncate(self.len().saturating_sub(1));
    }

    fn count_to(&self, positions: Range<usize>, address: u32) -> usize {
        self.count_while(positions, |[start, _]| start <= address)
    }

    fn finish(&mut self) {
        Table::finish(self);
    }

    fn size_bytes(&self) -> usize {
        size_of_val(&**self)
    }

    fn mapped(&self, mut value_of: impl FnMut(u32) -> u32) -> Self {
        // What is not used of it is never touched.
        let mut mapped = Self::zeroed(self.len());
        let all = mapped.as_mut();
        let mut kept = Kept::default();
        for &[start, value] in &**self {
            let value = value_of(value);
            if let Some(place) = all.get_mut(kept.count) {
                *place = [start, value];
            }
            kept.take(value);
        }
        mapped.truncate(kept.count);
        mapped
    }

    fn all(&self) -> impl Iterator<Item = (u32, u32)> {
        self.iter().map(|&[start, value]| (start, value))
    }
}

/// Which ranges are kept: without a jump that a processor could guess wrong, for it would half of the time, millions
/// of times. Each is written where the next one kept belongs, and stays there if it is.
#[derive(Default)]
struct Kept {
    count: usize,
    last: u32,
}

impl Kept {
    /// Takes the value of the range that was written.
    fn take(&mut self, value: u32) {
        self.count += usize::from(value != self.last || self.count == 0);
        self.last = value;
    }
}

//----------- IPv6 -----------------------------------------------------------

/// IPv6: of ten times as many addresses only a few are asked for, so that memory counts for more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ipv6Ranges {
    starts: Ipv6Starts,
    /// As many.
    values: Table<u32>,
}

impl Ranges<u128> for Ipv6Ranges {
    fn count(&self) -> usize {
        self.values.len()
    }

    fn at(&self, position: usize) -> Option<(u128, u32)> {
        Some((self.starts.at(position)?, self.values.at(position)?))
    }

    fn reserve(&mut self, count: usize) {
        self.starts.reserve(count);
        self.values.reserve(self.values.len() + count);
    }

    fn add(&mut self, start: u128, value: u32) {
        self.starts.add(start);
        self.values.push(value);
    }

    fn drop_last(&mut self) {
        self.starts.drop_last();
        self.values.truncate(self.values.len().saturating_sub(1));
    }

    fn count_to(&self, positions: Range<usize>, address: u128) -> usize {
        self.starts.count_to(positions, address)
    }

    fn finish(&mut self) {
        self.starts.finish();
        self.values.finish();
    }

    fn size_bytes(&self) -> usize {
        self.starts.size_bytes() + size_of_val(&*self.values)
    }

    fn mapped(&self, mut value_of: impl FnMut(u32) -> u32) -> Self {
        let Ipv6Starts { halves, inside, seconds, .. } = &self.starts;
        let mut starts = Ipv6Starts::default();
        let (mut firsts, mut values) = (Table::zeroed(halves.len()), Table::zeroed(self.values.len()));
        let (all_firsts, all_values) = (firsts.as_mut(), values.as_mut());
        let mut inside = inside.iter().zip(seconds).peekable();
        let mut kept = Kept::default();
        for (position, (&first, &value)) in (0..).zip(halves.iter().zip(&*self.values)) {
            let (value, at) = (value_of(value), kept.count);
            if let (Some(half), Some(place)) = (all_firsts.get_mut(at), all_values.get_mut(at)) {
                (*half, *place) = (first, value);
            }
            kept.take(value);
            if let Some((_, &second)) = inside.next_if(|(other, _)| **other == position)
                && kept.count > at
            {
                starts.inside.push(u32::try_from(at).unwrap_or(u32::MAX));
                starts.seconds.push(second);
                starts.mark(at, true);
            }
        }
        firsts.truncate(kept.count);
        values.truncate(kept.count);
        starts.halves = firsts;
        Self { starts, values }
    }

    fn all(&self) -> impl Iterator<Item = (u128, u32)> {
        self.starts.all().zip(self.values.iter().copied())
    }
}

//----------- Ipv6Starts -----------------------------------------------------

/// IPv6 addresses. Most databases know nothing smaller than a /64, so that the first half of an address
/// says it all; what begins inside a /64 has its second half in a list of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ipv6Starts {
    /// The first halves of all.
    halves: Table<u64>,
    /// The positions whose second half is not zero, ascending.
    inside: Vec<u32>,
    /// Those second halves, as many as `inside`.
    seconds: Vec<u64>,
    /// A bit for each position, up to the last of `inside`: whether it is there. Saves searching.
    is_inside: Vec<u64>,
}

impl Ipv6Starts {
    /// The second half of the address at a position.
    fn second(&self, position: usize) -> u64 {
        let bits = self.is_inside.get(position / 64).copied().unwrap_or(0);
        if bits >> (position % 64) & 1 == 0 {
            return 0;
        }
        let Ok(position) = u32::try_from(position) else { return 0 };
        let found = self.inside.binary_search(&position).ok();
        found.and_then(|index| self.seconds.get(index)).copied().unwrap_or(0)
    }

    /// Says of a position whether its address begins inside a /64.
    fn mark(&mut self, position: usize, is_inside: bool) {
        let word = position / 64;
        if self.is_inside.len() <= word {
            self.is_inside.resize(word + 1, 0);
        }
        if let Some(bits) = self.is_inside.get_mut(word) {
            *bits = *bits & !(1 << (position % 64)) | u64::from(is_inside) << (position % 64);
        }
    }
}

impl Ipv6Starts {
    fn at(&self, position: usize) -> Option<u128> {
        let first = self.halves.at(position)?;
        Some(u128::from(first) << 64 | u128::from(self.second(position)))
    }

    fn reserve(&mut self, count: usize) {
        self.halves.reserve(self.halves.len() + count);
    }

    fn add(&mut self, start: u128) {
        let (first, second) = split(start);
        if second != 0 {
            // A file of 2³⁰ bytes has no room for 2³² ranges.
            self.inside.push(u32::try_from(self.halves.len()).unwrap_or(u32::MAX));
            self.seconds.push(second);
            self.mark(self.halves.len(), true);
        }
        self.halves.push(first);
    }

    fn drop_last(&mut self) {
        self.halves.truncate(self.halves.len().saturating_sub(1));
        let is_gone = |&mut position: &mut u32| position as usize >= self.halves.len();
        if self.inside.pop_if(is_gone).is_some() {
            self.seconds.pop();
            self.mark(self.halves.len(), false);
        }
    }

    fn count_to(&self, positions: Range<usize>, address: u128) -> usize {
        let (first, second) = split(address);
        let up_to = self.halves.count_while(positions.clone(), |half| half <= first);
        let last = up_to.checked_sub(1).and_then(|last| self.halves.at(positions.start + last));
        if self.inside.is_empty() || last != Some(first) {
            return up_to;
        }
        // Several may begin in the address's /64.
        let mut low = self.halves.count_while(positions.clone(), |half| half < first);
        let mut high = up_to;
        while low < high {
            let middle = low.midpoint(high);
            if self.second(positions.start + middle) <= second {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn finish(&mut self) {
        self.halves.finish();
        self.inside.shrink_to_fit();
        self.seconds.shrink_to_fit();
        while self.is_inside.pop_if(|bits| *bits == 0).is_some() {}
        self.is_inside.shrink_to_fit();
    }

    fn size_bytes(&self) -> usize {
        size_of_val(&*self.halves)
            + size_of_val(&*self.inside)
            + size_of_val(&*self.seconds)
            + size_of_val(&*self.is_inside)
    }

    fn all(&self) -> impl Iterator<Item = u128> {
        let mut inside = self.inside.iter().zip(&self.seconds).peekable();
        (0..).zip(&*self.halves).map(move |(position, &first)| {
            let second = inside.next_if(|(at, _)| **at == position).map_or(0, |(_, &second)| second);
            u128::from(first) << 64 | u128::from(second)
        })
    }
}

/// The two halves of an address.
#[expect(clippy::cast_possible_truncation, reason = "one half after the other")]
fn split(address: u128) -> (u64, u64) {
    ((address >> 64) as u64, address as u64)
}
