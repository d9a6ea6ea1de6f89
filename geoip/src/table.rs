//! Large tables, each in memory of its own.
//!
//! A map of some millions of ranges comes and goes with every reload. In memory of its own it goes back to the system at
//! once, where a heap keeps the holes for the sake of what lies between; and it is held in huge pages, so that a look-up
//! anywhere in it does not wait for the address of a page as well.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::ops::{Deref, Range};

use memmap2::{Advice, MmapMut};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::LEAST_TABLE_BYTES;

/// Of x86-64 and of most others.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Of what grows.
const LEAST_ROOM: usize = 64;

/// What is known by its octets alone.
pub(crate) trait Plain: FromBytes + IntoBytes + Immutable + KnownLayout + Copy + Debug + Eq {}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy + Debug + Eq> Plain for T {}

//----------- Table ----------------------------------------------------------

/// A vector that is finished once it is made.
pub(crate) struct Table<T> {
    /// What is small, and for what the system had no pages.
    values: Vec<T>,
    /// All else, in place of those.
    pages: Option<Pages<T>>,
}

impl<T: Plain> Table<T> {
    /// Of as many zeros.
    pub(crate) fn zeroed(count: usize) -> Self {
        match Pages::new(count) {
            Some(pages) => Self { values: Vec::new(), pages: Some(Pages { len: count, ..pages }) },
            None => vec![T::new_zeroed(); count].into(),
        }
    }

    /// Makes room for as many in all.
    pub(crate) fn reserve(&mut self, count: usize) {
        let room = self.pages.as_ref().map_or(self.values.capacity(), |pages| pages.room);
        if count <= room {
            return;
        }
        match Pages::new(count) {
            Some(mut pages) => {
                pages.write(self);
                *self = Self { values: Vec::new(), pages: Some(pages) };
            }
            None => {
                let mut values = Vec::with_capacity(count);
                values.extend_from_slice(self);
                *self = values.into();
            }
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        let wrote = match &mut self.pages {
            Some(pages) => pages.write(&[value]),
            None if self.values.len() < self.values.capacity() => {
                self.values.push(value);
                true
            }
            None => false,
        };
        if !wrote {
            self.reserve((2 * self.len()).max(LEAST_ROOM));
            match &mut self.pages {
                Some(pages) => _ = pages.write(&[value]),
                None => self.values.push(value),
            }
        }
    }

    pub(crate) fn truncate(&mut self, count: usize) {
        match &mut self.pages {
            Some(pages) => pages.len = pages.len.min(count),
            None => self.values.truncate(count),
        }
    }

    /// One of them. By this, and not as a slice, which costs more to make than to read one.
    #[inline]
    pub(crate) fn at(&self, position: usize) -> Option<T> {
        match &self.pages {
            Some(pages) => pages.at(position),
            None => self.values.get(position).copied(),
        }
    }

    /// How many of those at these positions come first that are `before` the others.
    #[inline]
    pub(crate) fn count_while(&self, positions: Range<usize>, before: impl Fn(T) -> bool) -> usize {
        let (mut low, mut high) = (positions.start, positions.end.min(self.len()));
        while low < high {
            let middle = low.midpoint(high);
            if self.at(middle).is_some_and(&before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.saturating_sub(positions.start)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.pages.as_ref().map_or(self.values.len(), |pages| pages.len)
    }

    /// All, to be written over.
    pub(crate) fn as_mut(&mut self) -> &mut [T] {
        match &mut self.pages {
            Some(pages) => pages.get_mut(),
            None => &mut self.values,
        }
    }

    /// Gives back what is not needed: nothing more is added.
    pub(crate) fn finish(&mut self) {
        match Pages::of(self) {
            Some(pages) => *self = Self { values: Vec::new(), pages: Some(pages) },
            None if self.pages.is_some() => *self = self.to_vec().into(),
            None => self.values.shrink_to_fit(),
        }
    }
}

impl<T: Plain> Deref for Table<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.pages {
            Some(pages) => pages.get(),
            None => &self.values,
        }
    }
}

impl<T: Plain> Default for Table<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Plain> Clone for Table<T> {
    fn clone(&self) -> Self {
        let mut table = Self::from(self.to_vec());
        table.finish();
        table
    }
}

impl<T: Plain> From<Vec<T>> for Table<T> {
    fn from(values: Vec<T>) -> Self {
        Self { values, pages: None }
    }
}

impl<T: Plain> PartialEq for Table<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Plain> Eq for Table<T> {}

impl<T: Plain> Debug for Table<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

//----------- Pages ----------------------------------------------------------

/// Memory of the system's, which is zeros at first, and is there where it is written to.
struct Pages<T> {
    memory: MmapMut,
    /// Where values begin: with a huge page.
    skipped_bytes: usize,
    /// How many values there is room for, and how many there are.
    room: usize,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Plain> Pages<T> {
    /// For as many, all in huge pages; `None` if they are few, or there is no memory to be had.
    fn new(room: usize) -> Option<Self> {
        let pages = Self::small(room)?;
        pages.ask_for_huge(room * size_of::<T>());
        Some(pages)
    }

    /// Of values, in huge pages as far as they fill some.
    fn of(values: &[T]) -> Option<Self> {
        let mut pages = Self::small(values.len())?;
        pages.ask_for_huge(size_of_val(values) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES);
        pages.write(values).then_some(pages)
    }

    fn small(room: usize) -> Option<Self> {
        let bytes = room.checked_mul(size_of::<T>()).filter(|&bytes| bytes >= LEAST_TABLE_BYTES)?;
        let memory = MmapMut::map_anon(bytes.checked_add(2 * HUGE_PAGE_BYTES)?).ok()?;
        let skipped_bytes = memory.as_ptr().align_offset(HUGE_PAGE_BYTES);
        let is_aligned = skipped_bytes < HUGE_PAGE_BYTES;
        is_aligned.then_some(Self { memory, skipped_bytes, room, len: 0, values: PhantomData })
    }

    /// Before it is written to.
    fn ask_for_huge(&self, bytes: usize) {
        if bytes > 0 {
            // A kernel without them has small ones.
            let _ = self.memory.advise_range(Advice::HugePage, self.skipped_bytes, bytes);
        }
    }

    #[inline]
    fn at(&self, position: usize) -> Option<T> {
        if position >= self.len {
            return None;
        }
        let start = self.skipped_bytes + position * size_of::<T>();
        let octets = self.memory.get(start..start + size_of::<T>())?;
        T::read_from_bytes(octets).ok()
    }

    fn get(&self) -> &[T] {
        let bytes = self.memory.get(self.skipped_bytes..).unwrap_or_default();
        <[T]>::ref_from_prefix_with_elems(bytes, self.len).map_or(&[], |(values, _)| values)
    }

    fn get_mut(&mut self) -> &mut [T] {
        let bytes = self.memory.get_mut(self.skipped_bytes..).unwrap_or_default();
        <[T]>::mut_from_prefix_with_elems(bytes, self.len).map_or(&mut [], |(values, _)| values)
    }

    /// Adds values; says whether there was room.
    fn write(&mut self, values: &[T]) -> bool {
        let len = self.len + values.len();
        let start = self.skipped_bytes + self.len * size_of::<T>();
        let Some(place) = self.memory.get_mut(start..start + size_of_val(values)) else { return false };
        if len > self.room {
            return false;
        }
        place.copy_from_slice(values.as_bytes());
        self.len = len;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_the_vector_held() {
        let least = LEAST_TABLE_BYTES / size_of::<u64>();
        let page = HUGE_PAGE_BYTES / size_of::<u64>();
        for (count, has_its_own) in [
            (0, false),
            (1, false),
            (least - 1, false),
            (least, true),
            (page - 1, true),
            (3 * page + 1, true),
        ] {
            let mut values: Vec<u64> = (0..count as u64).map(|at| at * at).collect();
            for reserved in [0, count, 2 * count] {
                let mut table = Table::default();
                table.reserve(reserved);
                values.iter().for_each(|&value| table.push(value));
                assert_eq!(*table, *values);
                table.finish();
                assert_eq!(table.pages.is_some(), has_its_own, "{count}");
                assert!(!has_its_own || table.as_ptr().align_offset(HUGE_PAGE_BYTES) == 0, "{count}");
                assert_eq!(*table, *values);
                assert_eq!(table.clone(), table);
                for position in [0, count / 2, count.saturating_sub(1), count, usize::MAX / 16] {
                    assert_eq!(table.at(position), values.get(position).copied());
                    let found = table.count_while(position..count + 7, |value| value < values[count / 3]);
                    assert_eq!(found, (count / 3).saturating_sub(position));
                }
            }
            let mut table = Table::zeroed(count + 3);
            assert!(table.len() == count + 3 && table.iter().all(|&value| value == 0));
            table.truncate(count);
            table.as_mut().copy_from_slice(&values);
            table.push(7);
            values.push(7);
            assert_eq!(*table, *values);
            table.truncate(0);
            table.finish();
            assert_eq!(*table, []);
        }
    }
}
