//! Patterns over the names of clusters.

use meridian_model::{ClusterId, glob_matches};

use crate::findings::{Findings, Spotted};
use crate::issue::{any_of, quote};
use crate::kinds::{At, List, Text};
use crate::limits;

/// A pattern over the names of clusters.
pub(crate) const GLOB: Text = Text {
    what: "the name of a cluster, or a pattern with * and ?",
    characters: limits::NAME_CHARACTERS,
    pattern: Text::FREE,
};

/// A list of patterns.
pub(crate) const GLOBS: List<At<Text>> =
    List { of: At(GLOB), what: "names or patterns of clusters", min: 1, max: limits::TIERS };

/// Clusters that a pattern may name, in catalog order, each once.
pub(crate) struct Candidates<'n> {
    /// What they are the clusters of, for messages: `gateway` or `tier`.
    pub(crate) of: &'static str,
    pub(crate) clusters: Vec<Candidate<'n>>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'n> {
    pub(crate) id: ClusterId,
    pub(crate) name: &'n str,
    /// How many the gateway has there.
    pub(crate) endpoints: usize,
}

impl<'n> Candidates<'n> {
    /// The clusters without their names.
    pub(crate) fn ids(&self) -> Vec<ClusterId> {
        self.clusters.iter().map(|cluster| cluster.id).collect()
    }

    /// How many endpoints are in them.
    pub(crate) fn endpoints(&self) -> usize {
        self.clusters.iter().map(|cluster| cluster.endpoints).sum()
    }

    /// `gateway (eu-west or us-east)`, for messages.
    pub(crate) fn listed(&self) -> String {
        let names: Vec<&str> = self.clusters.iter().map(|cluster| cluster.name).collect();
        format!("{} ({})", self.of, any_of(&names))
    }

    /// Those that a pattern matches; reports a pattern that matches none.
    pub(crate) fn matching(
        &self,
        glob: &Spotted<Box<str>>,
        findings: &Findings<'_>,
    ) -> impl Iterator<Item = Candidate<'n>> {
        let mut each =
            self.clusters.iter().filter(|cluster| glob_matches(&glob.value, cluster.name)).peekable();
        if each.peek().is_none() {
            let expected = format_args!("a cluster of this {}", self.listed());
            findings.mistake(&glob.spot, expected, quote(&glob.value));
        }
        each.copied()
    }
}

/// The candidates that some pattern matches; reports each pattern that matches none.
pub(crate) fn resolve_globs<'n>(
    globs: &[Spotted<Box<str>>],
    candidates: &Candidates<'n>,
    findings: &Findings<'_>,
) -> Candidates<'n> {
    let mut clusters: Vec<Candidate<'n>> =
        globs.iter().flat_map(|glob| candidates.matching(glob, findings)).collect();
    clusters.sort_unstable_by_key(|cluster| cluster.id);
    clusters.dedup_by_key(|cluster| cluster.id);
    Candidates { of: "tier", clusters }
}
