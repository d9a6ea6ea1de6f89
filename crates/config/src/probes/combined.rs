//! Probes that are made of others: `all`, `any` and `at_least`.

use meridian_model::{CombinedCheck, ProbeId};

use crate::findings::{Findings, Spotted};
use crate::issue::quote;
use crate::kinds::{At, List, Text, Whole};
use crate::limits;
use crate::names::Names;
use crate::reader::Table;

const MEMBER: Text =
    Text { what: "the name of a probe", characters: limits::NAME_CHARACTERS, pattern: Text::FREE };

/// What a combined probe leaves to those that it is made of.
const LEFT_TO_MEMBERS: [&str; 10] = [
    "address",
    "interval",
    "fast_interval",
    "timeout",
    "fall",
    "rise",
    "forgive",
    "rise_for",
    "hold_down",
    "flap",
];

//----------- CombinedSpec ---------------------------------------------------

/// The probes that one is made of, as written.
pub(super) struct CombinedSpec {
    /// Where `probes` stands.
    members: Spotted<Vec<Spotted<Box<str>>>>,
    at_least: AtLeast,
}

/// How many of them must serve.
#[derive(Clone)]
pub(super) enum AtLeast {
    All,
    Any,
    Count(Option<Spotted<u16>>),
}

/// Reads `probes`; `count` where the number is written.
pub(super) fn read(table: &mut Table<'_>, mut at_least: AtLeast) -> Option<CombinedSpec> {
    for key in LEFT_TO_MEMBERS {
        table.refused(key, &format!("no {key}: that is for each of the probes that this one is made of"));
    }
    if let AtLeast::Count(count) = &mut at_least {
        let most = u16::try_from(limits::COMBINED_PROBES).unwrap_or(u16::MAX);
        *count = table.required("count", &At(Whole { min: 1, max: most, unit: "probes" }));
    }
    let members = List { of: At(MEMBER), what: "names of probes", min: 1, max: limits::COMBINED_PROBES };
    let members = table.required("probes", &At(members))?;
    Some(CombinedSpec { members, at_least })
}

impl CombinedSpec {
    /// Finds the probes by their names; `None` where an issue says why not.
    pub(super) fn build(&self, names: &mut Names, findings: &Findings<'_>) -> Option<CombinedCheck> {
        let Self { members, at_least } = self;
        let mut found: Vec<ProbeId> = Vec::with_capacity(members.value.len());
        let mut is_whole = true;
        for member in &members.value {
            match names.find(member, findings).map(ProbeId::from_index) {
                Some(id) if found.contains(&id) => {
                    findings.mistake(&member.spot, "each probe once", quote(&member.value));
                }
                Some(id) => found.push(id),
                None => is_whole = false,
            }
        }
        let all = u16::try_from(found.len()).unwrap_or(u16::MAX);
        let at_least = match at_least {
            AtLeast::All => all,
            AtLeast::Any => 1,
            AtLeast::Count(count) => {
                let count = count.as_ref()?;
                if is_whole && count.value > all {
                    findings.mistake(
                        &count.spot,
                        format_args!("at most {all}, the number of probes"),
                        count.value,
                    );
                    return None;
                }
                count.value
            }
        };
        is_whole.then_some(CombinedCheck { probes: found, at_least })
    }
}

//----------- Nesting --------------------------------------------------------

/// What was found of one probe: the spec and the check of a combined one.
pub(super) type Found<'s> = Option<(&'s CombinedSpec, CombinedCheck)>;

/// Reports probes that lead back to themselves, and those with too many behind each other. Returns whether
/// there are none.
pub(super) fn check_nesting(all: &[Found<'_>], findings: &Findings<'_>) -> bool {
    let members = |index: usize| all.get(index).into_iter().flatten().flat_map(|(_, check)| &check.probes);
    let mut used_by: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    for index in 0..all.len() {
        for member in members(index) {
            used_by[member.index()].push(index);
        }
    }
    // From those that are checked themselves upwards; what is never reached stands on or above a cycle.
    let mut depths: Vec<Option<usize>> = vec![None; all.len()];
    let mut waits_for: Vec<usize> = (0..all.len()).map(|index| members(index).count()).collect();
    let mut next: Vec<usize> = (0..all.len()).filter(|&index| waits_for[index] == 0).collect();
    let mut is_good = true;
    while let Some(index) = next.pop() {
        let below = members(index).filter_map(|member| depths[member.index()]).max();
        let depth = below.map_or(0, |below| below + 1);
        depths[index] = Some(depth);
        if let Some(Some((spec, _))) = all.get(index).filter(|_| depth == limits::COMBINED_DEPTH + 1) {
            let expected = format_args!("at most {} probes behind each other", limits::COMBINED_DEPTH);
            findings.mistake(&spec.members.spot, expected, depth);
            is_good = false;
        }
        for &user in &used_by[index] {
            waits_for[user] -= 1;
            if waits_for[user] == 0 {
                next.push(user);
            }
        }
    }
    report_cycles(all, &depths, &used_by, findings) && is_good
}

/// `depths`: `None` for those on or above a cycle.
fn report_cycles(
    all: &[Found<'_>],
    depths: &[Option<usize>],
    used_by: &[Vec<usize>],
    findings: &Findings<'_>,
) -> bool {
    let mut on_cycle: Vec<bool> = depths.iter().map(Option::is_none).collect();
    // What only stands above one is not to blame.
    let mut users: Vec<usize> =
        used_by.iter().map(|users| users.iter().filter(|&&user| on_cycle[user]).count()).collect();
    let mut next: Vec<usize> = (0..all.len()).filter(|&index| on_cycle[index] && users[index] == 0).collect();
    while let Some(index) = next.pop() {
        on_cycle[index] = false;
        let Some(Some((_, check))) = all.get(index) else { continue };
        for member in check.probes.iter().map(|member| member.index()).filter(|&member| on_cycle[member]) {
            users[member] -= 1;
            if users[member] == 0 {
                next.push(member);
            }
        }
    }
    for (found, _) in all.iter().zip(&on_cycle).filter(|(_, on_cycle)| **on_cycle) {
        let Some((spec, check)) = found else { continue };
        let name = |id: &ProbeId| {
            spec.members
                .value
                .iter()
                .zip(&check.probes)
                .find(|(_, member)| *member == id)
                .map(|(name, _)| name)
        };
        if let Some(name) = check.probes.iter().find(|member| on_cycle[member.index()]).and_then(name) {
            let found = format_args!("{}, which is made of it", quote(&name.value));
            findings.mistake(&name.spot, "a probe that is not made of this one", found);
        }
    }
    !on_cycle.contains(&true)
}
