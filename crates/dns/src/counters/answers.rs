//! Answers by series: counted in tables of each worker, and read together by name.
//!
//! A worker counts in a table for the ground that it answers from. A new ground has new series; what the tables of
//! the one before have is kept by name when nobody counts in them any more, so that no count goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use crate::series::{AnswersOf, Series};

/// All tables of a server.
#[derive(Debug, Default)]
pub(crate) struct AnswerCounts(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    counting: Vec<Arc<Table>>,
    /// What was counted in tables that are no more.
    past: BTreeMap<AnswersOf, u64>,
}

/// The answers of one ground, as one worker or all connections count them.
#[derive(Debug)]
pub(crate) struct Table {
    series: Arc<Series>,
    is_shared: bool,
    cells: Box<[AtomicU64]>,
}

/// What answers were counted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Each series and its count, in order.
    pub series: Vec<(AnswersOf, u64)>,
    /// How many gateways with a cluster have no series of their own.
    pub beyond: usize,
}

impl AnswerCounts {
    /// A table that nobody else counts in. Takes a lock: to be had between two batches.
    pub(crate) fn alone(&self, series: &Arc<Series>) -> Arc<Table> {
        self.tables().begin(series, false)
    }

    /// The one that all connections count in.
    fn shared(&self, series: &Arc<Series>) -> Arc<Table> {
        let mut tables = self.tables();
        let known = tables.counting.iter().find(|table| table.is_shared && table.is_of(series));
        known.cloned().unwrap_or_else(|| tables.begin(series, true))
    }

    /// All that was counted.
    pub(crate) fn read(&self) -> Answers {
        let mut tables = self.tables();
        tables.settle();
        let mut all = tables.past.clone();
        for table in &tables.counting {
            table.add_to(&mut all, table.series.shows_zeros());
        }
        let beyond = tables.counting.iter().map(|table| table.series.beyond()).max();
        Answers { series: all.into_iter().collect(), beyond: beyond.unwrap_or(0) }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn begin(&mut self, series: &Arc<Series>, is_shared: bool) -> Arc<Table> {
        self.settle();
        let cells = (0..series.len()).map(|_| AtomicU64::new(0)).collect();
        let table = Arc::new(Table { series: Arc::clone(series), is_shared, cells });
        self.counting.push(Arc::clone(&table));
        table
    }

    /// Keeps what is in tables that nobody counts in any more, as far as it has a name yet.
    fn settle(&mut self) {
        let mut ended = Vec::new();
        for table in std::mem::take(&mut self.counting) {
            match Arc::try_unwrap(table) {
                Ok(table) => ended.push(table),
                Err(table) => self.counting.push(table),
            }
        }
        if ended.is_empty() {
            return;
        }
        for table in &ended {
            table.add_to(&mut self.past, false);
        }
        // Of what is gone from the catalog nobody asks any more, and there is no end to it.
        let mut distinct: Vec<&Arc<Series>> = self.counting.iter().map(|table| &table.series).collect();
        distinct.dedup_by(|one, two| Arc::ptr_eq(one, two));
        let named: BTreeSet<AnswersOf> = distinct.into_iter().flat_map(|series| series.all()).collect();
        // Where nobody counts yet, what comes next is not known.
        if !self.counting.is_empty() {
            self.past.retain(|of, _| named.contains(of));
        }
    }
}

impl Table {
    /// Whether it counts in these series.
    #[inline]
    pub(crate) fn is_of(&self, series: &Arc<Series>) -> bool {
        Arc::ptr_eq(&self.series, series)
    }

    /// Where a series is counted.
    #[inline]
    pub(crate) fn cell(&self, series: u32) -> Option<&AtomicU64> {
        self.cells.get(series as usize)
    }

    fn add_to(&self, all: &mut BTreeMap<AnswersOf, u64>, zeros: bool) {
        for (of, cell) in self.series.all().zip(&self.cells) {
            let count = cell.load(Ordering::Relaxed);
            if zeros || count > 0 {
                *all.entry(of).or_default() += count;
            }
        }
    }
}

/// The table that connections count in, for the ground that was answered from last.
#[derive(Debug, Default)]
pub(crate) struct Latest(ArcSwapOption<Table>);

impl Latest {
    /// Counts an answer in a series.
    pub(crate) fn count(&self, all: &AnswerCounts, series: &Arc<Series>, number: u32) {
        let latest = self.0.load();
        let known = latest.as_ref().filter(|table| table.is_of(series));
        let add = |table: &Table| {
            if let Some(cell) = table.cell(number) {
                cell.fetch_add(1, Ordering::Relaxed);
            }
        };
        match known {
            Some(table) => add(table),
            None => {
                let table = all.shared(series);
                add(&table);
                self.0.store(Some(table));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(names: &[&str]) -> Arc<Series> {
        Series::named(names)
    }

    fn count(table: &Table, number: u32) {
        table.cell(number).unwrap().fetch_add(1, Ordering::Relaxed);
    }

    fn read(all: &AnswerCounts) -> Vec<(String, u64)> {
        let name = |of: AnswersOf| of.gateway.unwrap().to_string();
        all.read().series.into_iter().map(|(of, count)| (name(of), count)).collect()
    }

    /// What was counted in the tables of a ground that is no more counts on, while its name is there.
    #[test]
    fn tables_that_end_leave_their_counts() {
        let all = AnswerCounts::default();
        let (before, after) = (series(&["a", "b"]), series(&["b", "c"]));
        let (one, two) = (all.alone(&before), all.alone(&before));
        count(&one, 0);
        count(&one, 1);
        count(&two, 1);
        assert_eq!(read(&all), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let next = all.alone(&after);
        count(&next, 0);
        drop(one);
        // As long as somebody answers by the ground before, all of its names are there.
        assert_eq!(read(&all), [("a".to_owned(), 1), ("b".to_owned(), 3), ("c".to_owned(), 0)]);
        drop(two);
        assert_eq!(read(&all), [("b".to_owned(), 3), ("c".to_owned(), 0)]);
    }

    #[test]
    fn connections_share_one_table_of_a_ground() {
        let all = AnswerCounts::default();
        let (before, after) = (series(&["a"]), series(&["a"]));
        let latest = Latest::default();
        for of in [&before, &after, &before, &after] {
            latest.count(&all, of, 0);
        }
        assert_eq!(read(&all), [("a".to_owned(), 4)]);
        assert!(all.tables().counting.len() <= 2);
    }
}
