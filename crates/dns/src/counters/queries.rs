//! Queries by what they asked for, how, and what came of them: a fixed number of counters, whatever strangers ask.

use std::sync::atomic::{AtomicU64, Ordering};

use meridian_steering::Basis;

use crate::facts::{Chosen, Cookie, Facts, QueryType, Subnet};
use crate::message::Rcode;
use crate::peer::Transport;

/// The counters of replies.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    /// By transport, type and rcode.
    replies: [[[AtomicU64; Rcode::ALL.len()]; QueryType::ALL.len()]; Transport::ALL.len()],
    nodata: AtomicU64,
    subnets: [AtomicU64; Subnet::ALL.len()],
    cookies: [AtomicU64; Cookie::ALL.len()],
    bases: [AtomicU64; Basis::ALL.len()],
}

/// Something counted, and how often.
pub type Count<T> = (T, u64);

/// The counters of replies at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryCounts {
    /// Replies by transport, type asked for and rcode: all that there were, and for type A also those that there were
    /// not, so that each rcode has a beginning.
    pub replies: Vec<Count<(Transport, QueryType, Rcode)>>,
    /// Replies that say that a name has nothing of the type.
    pub nodata: u64,
    /// Queries by what became of their client subnet; without those that had none.
    pub subnets: Vec<Count<Subnet>>,
    /// Queries by what their cookie was worth; without those that had none.
    pub cookies: Vec<Count<Cookie>>,
    /// Answers for steered names, by the grounds on which endpoints were selected, or none.
    pub selections: Vec<Count<Basis>>,
}

impl Matrix {
    /// Counts a reply; `add` adds one.
    #[inline]
    pub(crate) fn count(&self, transport: Transport, rcode: Rcode, facts: &Facts, add: impl Fn(&AtomicU64)) {
        let Facts { asked, subnet, cookie, is_nodata, chosen } = *facts;
        add(&self.replies[transport as usize][asked as usize][rcode.index()]);
        if is_nodata {
            add(&self.nodata);
        }
        if subnet != Subnet::None {
            add(&self.subnets[subnet as usize]);
        }
        if cookie != Cookie::None {
            add(&self.cookies[cookie as usize]);
        }
        if let Some(Chosen { basis, .. }) = chosen {
            add(&self.bases[basis as usize]);
        }
    }

    /// How many replies had an rcode.
    pub(crate) fn of_rcode(&self, rcode: Rcode) -> u64 {
        let all = self.replies.iter().flatten();
        all.map(|by_rcode| by_rcode[rcode.index()].load(Ordering::Relaxed)).sum()
    }
}

/// Those of all workers together.
pub(crate) fn read(all: &[&Matrix]) -> QueryCounts {
    let sum = |of: &dyn Fn(&Matrix) -> &AtomicU64| -> u64 {
        all.iter().map(|matrix| of(matrix).load(Ordering::Relaxed)).sum()
    };
    let mut counts = QueryCounts { nodata: sum(&|matrix| &matrix.nodata), ..QueryCounts::default() };
    for &transport in Transport::ALL {
        for &asked in QueryType::ALL {
            for &rcode in Rcode::ALL {
                let count = sum(&|matrix| &matrix.replies[transport as usize][asked as usize][rcode.index()]);
                if count > 0 || asked == QueryType::A {
                    counts.replies.push(((transport, asked, rcode), count));
                }
            }
        }
    }
    let subnets = Subnet::ALL.iter().filter(|of| **of != Subnet::None);
    counts.subnets = subnets.map(|&of| (of, sum(&|matrix| &matrix.subnets[of as usize]))).collect();
    let cookies = Cookie::ALL.iter().filter(|of| **of != Cookie::None);
    counts.cookies = cookies.map(|&of| (of, sum(&|matrix| &matrix.cookies[of as usize]))).collect();
    counts.selections =
        Basis::ALL.iter().map(|&of| (of, sum(&|matrix| &matrix.bases[of as usize]))).collect();
    counts
}
