//! The table of names: from a name in wire form to a number.

use std::hash::BuildHasher;
use std::hint::black_box;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Names in wire form and lower case, numbered from 0 in the order they came.
///
/// The octets of all names lie in one arena and the table keeps numbers alone, so that a look-up among
/// a million names touches hardly more memory than one among ten. The hash is keyed: a stranger who
/// chooses the names that are asked cannot choose how they collide.
#[derive(Default)]
pub(crate) struct Names {
    octets: Vec<u8>,
    /// Where each name ends in `octets`; it begins where the one before ends.
    ends: Vec<u32>,
    table: HashTable<Entry>,
    hasher: RandomState,
}

/// A name of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    number: u32,
    /// Where it begins in the arena: so that what is compared can be read without a look at `ends`. A name ends with its
    /// root, so none begins another.
    start: u32,
}

/// What a look at the table has shown of a name. In one word, which is handed about in a register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looked(Entry);

impl Looked {
    /// Nobody has looked.
    pub(crate) const NOT: Self = Self(Entry { number: u32::MAX, start: 0 });
    /// It is not there.
    const ABSENT: Self = Self(Entry { number: u32::MAX, start: 1 });

    /// Which one it is, if it is there: most likely it is.
    pub(crate) fn guess(self) -> Option<Guess> {
        if self.0.number == u32::MAX { None } else { Some(Guess(self.0)) }
    }

    /// Whether it is not there.
    pub(crate) fn is_absent(self) -> bool {
        self == Self::ABSENT
    }
}

/// What a name may be.
#[derive(Clone, Copy)]
pub(crate) struct Guess(Entry);

impl Guess {
    /// The number that the name has then.
    pub(crate) fn number(self) -> u32 {
        self.0.number
    }
}

impl Names {
    /// The number of a name, if it is there.
    pub(crate) fn get(&self, wire: &[u8]) -> Option<u32> {
        self.table.find(self.hash(wire), |&entry| self.is(Guess(entry), wire)).map(|entry| entry.number)
    }

    /// The hash of a name.
    pub(crate) fn hash(&self, wire: &[u8]) -> u64 {
        self.hasher.hash_one(wire)
    }

    /// What the name of a hash is, as far as a look at the table alone shows.
    pub(crate) fn look(&self, hash: u64) -> Looked {
        let entry = self.table.find(hash, |_| true);
        entry.map_or(Looked::ABSENT, |&entry| Looked(entry))
    }

    /// Whether a guess was right.
    pub(crate) fn is(&self, guess: Guess, wire: &[u8]) -> bool {
        let start = guess.0.start as usize;
        // Nothing would begin everything, and is no name.
        !wire.is_empty() && self.octets.get(start..start + wire.len()) == Some(wire)
    }

    /// Reads what [`Names::is`] will.
    pub(crate) fn touch(&self, guess: Guess) {
        black_box(self.octets.get(guess.0.start as usize));
    }

    /// The number of a name; the next one, if it was not there. `None` when the arena is full (4 GiB), or the numbers
    /// are.
    pub(crate) fn insert(&mut self, wire: &[u8]) -> Option<u32> {
        if let Some(number) = self.get(wire) {
            return Some(number);
        }
        let number = u32::try_from(self.ends.len()).ok().filter(|&number| number != u32::MAX)?;
        let start = u32::try_from(self.octets.len()).ok()?;
        let end = u32::try_from(self.octets.len() + wire.len()).ok()?;
        self.octets.extend_from_slice(wire);
        self.ends.push(end);
        let hash = self.hash(wire);
        let Self { octets, ends, table, hasher } = self;
        let hash_of = |other: &Entry| hasher.hash_one(slice(octets, ends, other.number));
        table.insert_unique(hash, Entry { number, start }, hash_of);
        Some(number)
    }

    /// The octets of a number's name; none for a number that was not given.
    pub(crate) fn wire(&self, number: u32) -> &[u8] {
        slice(&self.octets, &self.ends, number)
    }

    /// All numbers.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }
}

fn slice<'o>(octets: &'o [u8], ends: &[u32], number: u32) -> &'o [u8] {
    let at = number as usize;
    let start = at.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |&end| end as usize);
    let end = ends.get(at).map_or(start, |&end| end as usize);
    octets.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers() {
        let mut names = Names::default();
        let wire = |number: u32| [&[4][..], &number.to_be_bytes(), &[0]].concat();
        for number in 0..1000 {
            assert_eq!(names.insert(&wire(number)), Some(number));
        }
        for number in 0..1000 {
            assert_eq!(names.get(&wire(number)), Some(number));
            assert_eq!(names.insert(&wire(number)), Some(number));
            assert_eq!(names.wire(number), wire(number));
            let guess = names.look(names.hash(&wire(number))).guess().unwrap();
            assert!(!names.is(guess, &wire(1000)));
        }
        assert_eq!(names.get(&wire(1000)), None);
        assert!(Names::default().look(0).is_absent());
        assert!(!Looked::NOT.is_absent() && Looked::NOT.guess().is_none());
        assert_eq!(names.get(&[]), None);
        assert_eq!(names.numbers().count(), 1000);
    }
}
