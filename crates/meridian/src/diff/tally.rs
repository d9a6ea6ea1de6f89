//! How much moves, and from where to where.

use std::collections::BTreeMap;

use meridian_model::CountryCode;

/// Shares that differ by less than this are equal but for rounding.
const SAME: f64 = 1e-9;

//----------- Change ---------------------------------------------------------

/// The shares of clusters by name; `None`: answers that name no cluster.
pub(super) type Mix<'n> = Vec<(Option<&'n str>, f64)>;

/// From one cluster to another.
pub(super) type Flow<'n> = (Option<&'n str>, Option<&'n str>);

/// What moves between two mixes.
#[derive(Clone, Debug, Default)]
pub(super) struct Change<'n> {
    /// The total variation distance: the least share of answers that must name another cluster.
    pub(super) share: f64,
    /// What each cluster loses goes to those that gain, in proportion to their gains.
    pub(super) flows: Vec<(Flow<'n>, f64)>,
    /// Whether clients lose the last that serves them, in one family or both.
    pub(super) loses: bool,
}

impl<'n> Change<'n> {
    pub(super) fn between(old: &Mix<'n>, new: &Mix<'n>) -> Self {
        let mut gains: BTreeMap<Option<&str>, f64> = BTreeMap::new();
        for (cluster, share) in new {
            *gains.entry(*cluster).or_default() += share;
        }
        for (cluster, share) in old {
            *gains.entry(*cluster).or_default() -= share;
        }
        gains.retain(|_, gain| gain.abs() > SAME);
        // Not sum(), which of nothing is -0.
        let share = gains.values().fold(0.0, |share, gain| share + gain.max(0.0));
        let losers = gains.iter().filter(|(_, gain)| **gain < 0.0);
        let flows = losers.flat_map(|(from, loss)| {
            let winners = gains.iter().filter(|(_, gain)| **gain > 0.0);
            winners.map(move |(to, gain)| ((*from, *to), -loss * gain / share))
        });
        Self { share, flows: flows.collect(), loses: false }
    }

    /// The larger change of the two families' mixes. Where one family has no answer, clients use the
    /// other's.
    pub(super) fn of_families(old: [&Mix<'n>; 2], new: [&Mix<'n>; 2]) -> Self {
        let used = |mixes: [&Mix<'n>; 2], family: usize| {
            let is_nothing = mixes[family].iter().all(|(cluster, _)| cluster.is_none());
            mixes[if is_nothing { 1 - family } else { family }].clone()
        };
        let [v4, v6] = [0, 1].map(|family| Self::between(&used(old, family), &used(new, family)));
        if v6.share > v4.share + SAME { v6 } else { v4 }
    }
}

//----------- Tally ----------------------------------------------------------

/// Clients counted, in two measures that are not added to each other: addresses of IPv4 and networks of
/// IPv6. Queries have the first alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally<'n> {
    pub(super) all: [f64; 2],
    pub(super) moved: [f64; 2],
    pub(super) countries: BTreeMap<Option<CountryCode>, Country<'n>>,
}

/// The clients of one country.
#[derive(Clone, Debug, Default)]
pub(super) struct Country<'n> {
    pub(super) all: [f64; 2],
    pub(super) moved: [f64; 2],
    /// Those that lose the last that serves them.
    pub(super) lost: [f64; 2],
    pub(super) flows: BTreeMap<Flow<'n>, [f64; 2]>,
}

impl<'n> Tally<'n> {
    pub(super) fn add(
        &mut self,
        country: Option<CountryCode>,
        measure: usize,
        clients: f64,
        change: &Change<'n>,
    ) {
        self.all[measure] += clients;
        self.moved[measure] += clients * change.share;
        let country = self.countries.entry(country).or_default();
        country.all[measure] += clients;
        country.moved[measure] += clients * change.share;
        country.lost[measure] += if change.loses { clients } else { 0.0 };
        for (flow, share) in &change.flows {
            country.flows.entry(*flow).or_default()[measure] += clients * share;
        }
    }

    pub(super) fn percent(&self) -> [Option<f64>; 2] {
        percent(self.moved, self.all)
    }

    pub(super) fn moves(&self) -> bool {
        self.percent().into_iter().flatten().any(|percent| percent > SAME)
    }

    /// The countries of which some clients lose the last that serves them, most clients first.
    pub(super) fn losers(&self) -> Vec<CountryCode> {
        let lost = self.countries.iter().filter(|(_, one)| one.lost.iter().any(|clients| *clients > 0.0));
        let mut lost: Vec<_> = lost.filter_map(|(country, one)| Some(((*country)?, one.lost))).collect();
        lost.sort_by(|(_, a), (_, b)| self.size(*b).total_cmp(&self.size(*a)));
        lost.into_iter().map(|(country, _)| country).collect()
    }

    /// How many clients do, in percent.
    pub(super) fn lost_percent(&self) -> [Option<f64>; 2] {
        let lost = self.countries.values().fold([0.0; 2], |sum, one| [0, 1].map(|at| sum[at] + one.lost[at]));
        percent(lost, self.all)
    }

    /// The countries of which some clients move, most clients first.
    pub(super) fn most_moved(&self) -> Vec<(Option<CountryCode>, &Country<'n>)> {
        let mut all: Vec<_> = self.countries.iter().filter(|(_, one)| self.size(one.moved) > 0.0).collect();
        all.sort_by(|(_, a), (_, b)| self.size(b.moved).total_cmp(&self.size(a.moved)));
        all.into_iter().map(|(country, one)| (*country, one)).collect()
    }

    /// The flows of a country, largest first.
    pub(super) fn flows(&self, country: &Country<'n>) -> Vec<(Flow<'n>, [f64; 2])> {
        let mut flows: Vec<_> = country.flows.iter().map(|(flow, clients)| (*flow, *clients)).collect();
        flows.sort_by(|(_, a), (_, b)| self.size(*b).total_cmp(&self.size(*a)));
        flows
    }

    /// Clients of both measures as one number to compare by: each measure weighs the same.
    fn size(&self, clients: [f64; 2]) -> f64 {
        let part = |measure: usize| clients[measure] / self.all[measure].max(f64::MIN_POSITIVE);
        part(0) + part(1)
    }
}

/// Percent of each measure, to a millionth; `None` where there is nothing to count.
pub(super) fn percent(part: [f64; 2], all: [f64; 2]) -> [Option<f64>; 2] {
    [0, 1].map(|measure| (all[measure] > 0.0).then(|| rounded(100.0 * part[measure] / all[measure])))
}

/// Without what floating point adds.
pub(super) fn rounded(percent: f64) -> f64 {
    (percent * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_the_least_that_must_move() {
        let old = vec![(Some("a"), 0.5), (Some("b"), 0.3), (Some("c"), 0.2)];
        let new = vec![(Some("b"), 0.5), (Some("c"), 0.2), (None, 0.3)];
        let Change { share, flows, .. } = Change::between(&old, &new);
        assert!((share - 0.5).abs() < SAME);
        let [(first, nowhere), (second, more)] = flows[..] else { panic!("{flows:?}") };
        assert_eq!((first, second), ((Some("a"), None), (Some("a"), Some("b"))));
        assert!((nowhere - 0.3).abs() < SAME && (more - 0.2).abs() < SAME);
        assert_eq!(Change::between(&old, &old).share.to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_family_without_an_answer_counts_as_the_other() {
        let (a, b) = (vec![(Some("a"), 1.0)], vec![(Some("b"), 1.0)]);
        let nothing = vec![(None, 1.0)];
        let share = |old: [&Mix<'static>; 2], new: [&Mix<'static>; 2]| Change::of_families(old, new).share;
        assert!(share([&a, &nothing], [&a, &a]) < SAME);
        assert!(share([&a, &nothing], [&a, &b]) > 0.999);
        assert!(share([&a, &b], [&a, &nothing]) > 0.999);
        assert!(share([&nothing, &nothing], [&nothing, &nothing]) < SAME);
    }
}
