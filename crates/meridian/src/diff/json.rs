//! The comparison for programs: what the API answers, too. The keys are fixed; what is added later comes beside them.

use meridian_admin::wire;

use super::Report;
use super::tally::{Tally, percent};

/// All shares are percent. Hostnames that move alike share one entry: thousands may.
pub(super) fn diff(report: &Report<'_>, max_moved: Option<f64>, is_over: bool) -> wire::Diff {
    let by_query = report.queries.is_some();
    let changes = report.alike().into_iter().map(|(tally, hostnames)| wire::Moves {
        hostnames: hostnames.into_iter().map(str::to_owned).collect(),
        moved_percent: measures(by_query, tally.percent()),
        queries: by_query.then_some(tally.all[0]),
        countries: countries(by_query, tally),
    });
    let all_queries = || report.rows.iter().map(|row| row.tally.all[0]).sum::<f64>();
    wire::Diff {
        weighed_by: if by_query { "queries" } else { "address_space" }.to_owned(),
        changes: changes.collect(),
        total: wire::Total {
            moved_percent: measures(by_query, report.total),
            queries: by_query.then(all_queries),
        },
        max_moved_percent: max_moved,
        over_max_moved: is_over,
        added: (!by_query).then(|| report.added.clone()),
        removed: (!by_query).then(|| report.removed.clone()),
        not_counted: report.queries.map(|rest| wire::NotCounted {
            added: rest.added,
            removed: rest.removed,
            not_steered: rest.not_steered,
        }),
    }
}

/// The countries of which some clients move, most clients first.
pub(super) fn countries(by_query: bool, tally: &Tally<'_>) -> Vec<wire::CountryMoves> {
    let country = |(country, clients): (Option<meridian_model::CountryCode>, &super::tally::Country<'_>)| {
        let flows = tally.flows(clients).into_iter().map(|((from, to), part)| wire::Flow {
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            percent: measures(by_query, percent(part, clients.all)),
        });
        wire::CountryMoves {
            country: country.map(|country| country.to_string()),
            moved_percent: measures(by_query, percent(clients.moved, clients.all)),
            flows: flows.collect(),
        }
    };
    tally.most_moved().into_iter().map(country).collect()
}

/// One number of queries; of address space one a family.
pub(super) fn measures(by_query: bool, [first, second]: [Option<f64>; 2]) -> wire::Percent {
    match by_query {
        true => wire::Percent::OfQueries(first),
        false => wire::Percent::OfSpace { ipv4: first, ipv6: second },
    }
}
