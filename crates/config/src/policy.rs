//! A gateway's policy: reading it in either form, and resolving globs to clusters.

use meridian_model::{ClusterId, Policy, Tier};
use toml::de::DeValue;

use crate::findings::{Findings, Spotted};
use crate::issue::{any_of, quote};
use crate::kinds::{At, Choice, List, Sections, Text};
use crate::limits;
use crate::reader::{Cursor, Kind, Table};

/// A pattern over the names of clusters.
const GLOB: Text =
    Text { what: "the name of a cluster, or a pattern with * and ?", characters: limits::NAME_CHARACTERS };

/// A list of patterns.
pub(crate) const GLOBS: List<At<Text>> =
    List { of: At(GLOB), what: "names or patterns of clusters", min: 1, max: limits::TIERS };

//----------- PolicySpec -----------------------------------------------------

/// A policy as written.
pub(crate) enum PolicySpec {
    Nearest,
    Weighted,
    All,
    Failover(Vec<TierSpec>),
}

/// A tier as written.
pub(crate) struct TierSpec {
    clusters: Vec<Spotted<Box<str>>>,
    policy: PolicySpec,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Nearest,
    Weighted,
    All,
    Failover,
}

const TYPES: Choice<Type> = Choice(&[
    ("nearest", Type::Nearest),
    ("weighted", Type::Weighted),
    ("all", Type::All),
    ("failover", Type::Failover),
]);

/// A policy: its name, or a table with its `type`.
pub(crate) struct PolicyKind {
    /// How many policies this one is inside of.
    pub(crate) depth: usize,
}

impl Kind for PolicyKind {
    type Value = PolicySpec;

    fn expected(&self) -> String {
        "\"nearest\", \"weighted\", \"all\" or { type = \"failover\", tiers = [ … ] }".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<PolicySpec> {
        if self.depth >= limits::POLICY_DEPTH {
            let most = limits::POLICY_DEPTH;
            return cursor.wrong_because(format_args!("policies at most {most} deep"), "one level more");
        }
        if let Some(policy) = cursor.table(|table| self.read_table(table)) {
            return policy;
        }
        match cursor.value {
            DeValue::String(text) => match &**text {
                "nearest" => Some(PolicySpec::Nearest),
                "weighted" => Some(PolicySpec::Weighted),
                "all" => Some(PolicySpec::All),
                "failover" => cursor.wrong_because(self.expected(), "failover needs its tiers"),
                _ => cursor.wrong(self.expected()),
            },
            _ => cursor.wrong(self.expected()),
        }
    }
}

impl PolicyKind {
    fn read_table(&self, table: &mut Table<'_>) -> Option<PolicySpec> {
        let kind = table.required("type", &TYPES);
        let depth = self.depth + 1;
        let tiers = Sections {
            header: "tiers = [ { clusters = [ … ] } ]",
            min: 1,
            max: limits::TIERS,
            read: |tier: &mut Table<'_>| read_tier(tier, depth),
        };
        let tiers = match kind {
            Some(Type::Failover) => table.required("tiers", &tiers).map(|tiers| tiers.list),
            Some(_) => {
                table.refused("tiers", "no tiers: only a policy of type \"failover\" has them");
                None
            }
            None => table.optional("tiers", &tiers).map(|tiers| tiers.list),
        };
        match kind? {
            Type::Nearest => Some(PolicySpec::Nearest),
            Type::Weighted => Some(PolicySpec::Weighted),
            Type::All => Some(PolicySpec::All),
            Type::Failover => tiers.map(PolicySpec::Failover),
        }
    }
}

fn read_tier(table: &mut Table<'_>, depth: usize) -> TierSpec {
    TierSpec {
        clusters: table.required("clusters", &GLOBS).unwrap_or_default(),
        policy: table.or("policy", PolicySpec::Nearest, &PolicyKind { depth }),
    }
}

//----------- Resolving ------------------------------------------------------

/// Clusters that a pattern may name, in catalog order, each once.
pub(crate) struct Candidates<'n> {
    /// What they are the clusters of, for messages: `gateway` or `tier`.
    pub(crate) of: &'static str,
    pub(crate) clusters: Vec<(ClusterId, &'n str)>,
}

impl Candidates<'_> {
    /// The clusters without their names.
    pub(crate) fn ids(&self) -> Vec<ClusterId> {
        self.clusters.iter().map(|(id, _)| *id).collect()
    }
}

/// The policy over a gateway's clusters.
pub(crate) fn resolve(spec: PolicySpec, candidates: &Candidates<'_>, findings: &Findings<'_>) -> Policy {
    match spec {
        PolicySpec::Nearest => Policy::default(),
        PolicySpec::Weighted => Policy::Weighted,
        PolicySpec::All => Policy::All,
        PolicySpec::Failover(tiers) => {
            let tiers = tiers.into_iter().map(|TierSpec { clusters, policy }| {
                let matched = resolve_globs(&clusters, candidates, findings);
                // Of a tier that matches nothing the first issue is enough.
                let inner = if matched.clusters.is_empty() { candidates } else { &matched };
                Tier::new(matched.ids(), resolve(policy, inner, findings))
            });
            Policy::Failover(tiers.collect())
        }
    }
}

/// The candidates that some pattern matches; reports each pattern that matches none.
pub(crate) fn resolve_globs<'n>(
    globs: &[Spotted<Box<str>>],
    candidates: &Candidates<'n>,
    findings: &Findings<'_>,
) -> Candidates<'n> {
    for glob in globs {
        if !candidates.clusters.iter().any(|(_, name)| matches(&glob.value, name)) {
            let names: Vec<&str> = candidates.clusters.iter().map(|(_, name)| *name).collect();
            let expected = format_args!("a cluster of this {} ({})", candidates.of, any_of(&names));
            findings.mistake(&glob.spot, expected, quote(&glob.value));
        }
    }
    let matched = |name: &str| globs.iter().any(|glob| matches(&glob.value, name));
    let clusters = candidates.clusters.iter().filter(|(_, name)| matched(name)).copied().collect();
    Candidates { of: "tier", clusters }
}

/// Whether a pattern covers a name: `*` any characters or none, `?` any one.
fn matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut g, mut n) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: one character later.
    let mut retry = None;
    while n < name.len() {
        match glob.get(g) {
            Some(b'*') => {
                retry = Some((g + 1, n));
                g += 1;
            }
            Some(c) if *c == b'?' || name.get(n) == Some(c) => (g, n) = (g + 1, n + 1),
            _ => {
                let Some((after_star, from)) = retry else { return false };
                retry = Some((after_star, from + 1));
                (g, n) = (after_star, from + 1);
            }
        }
    }
    glob.get(g..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs() {
        for (glob, name, wanted) in [
            ("*", "eu-west", true),
            ("eu-*", "eu-west", true),
            ("eu-*", "eu-", true),
            ("eu-*", "eu", false),
            ("*-west", "eu-west", true),
            ("*-west", "us-west-west", true),
            ("e?-w*t", "eu-west", true),
            ("e?-west", "e-west", false),
            ("*a*b", "xaxaxb", true),
            ("*a*b", "xaxaxbc", false),
            ("", "", true),
            ("", "a", false),
            ("eu-west", "eu-west", true),
            ("eu-west", "eu-west-2", false),
        ] {
            assert_eq!(matches(glob, name), wanted, "{glob} over {name}");
        }
    }
}
