//! `meridian check`: the loader, stopped before sockets.

use std::path::PathBuf;

use clap::Args;
use meridian_config::{Issue, Matter};
use meridian_model::TargetId;
use serde::Serialize;

use crate::load::{Loaded, load};
use crate::page::{json, print};
use crate::{exit, probes};

/// What is checked.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Also try what probes need of this machine: what the kernel forbids, as ICMP, is an issue then.
    #[arg(long)]
    probe: bool,
    /// Write JSON, with every issue.
    #[arg(long)]
    json: bool,
    /// The configuration file.
    file: PathBuf,
}

pub(crate) fn run(asked: &Check) -> anyhow::Result<u8> {
    let checked = checked(asked);
    if asked.json {
        print(&json(&checked)?);
    } else {
        checked.issues.iter().chain(&checked.warnings).for_each(|issue| eprintln!("{}", issue.text));
        if checked.more_issues > 0 {
            eprintln!("and {} more", checked.more_issues);
        }
        if let Some(Counts { zones, gateways, clusters, targets }) = &checked.counts {
            let file = &checked.file;
            print(&format!(
                "{file}: ok ({zones} zones, {gateways} gateways, {clusters} clusters, {targets} targets to probe)\n"
            ));
        }
    }
    Ok(if checked.ok { exit::OK } else { exit::CONFIG })
}

/// What came of it. Keys are fixed; what is added later comes beside them.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    /// It can be served.
    ok: bool,
    /// What it has; not there where it cannot be served.
    #[serde(flatten)]
    counts: Option<Counts>,
    /// Why it cannot be served, in the order of the file.
    issues: Vec<Shown>,
    /// How many issues there are besides.
    more_issues: usize,
    /// What its author may not want.
    warnings: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Counts {
    zones: usize,
    gateways: usize,
    clusters: usize,
    /// Addresses that are probed.
    targets: usize,
}

/// An issue.
#[derive(Debug, Serialize)]
struct Shown {
    file: String,
    /// From 1.
    line: Option<usize>,
    /// From 1.
    column: Option<usize>,
    key: String,
    /// What may stand there; `null` for a warning, and of a file that cannot be read.
    expected: Option<String>,
    found: Option<String>,
    /// All of it, as people see it.
    text: String,
}

fn checked(asked: &Check) -> Checked {
    let file = asked.file.display().to_string();
    let all = |issues: &[Issue]| issues.iter().map(shown).collect();
    match load(&asked.file) {
        Ok(loaded) => {
            let forbidden = forbidden(asked, &loaded);
            let ok = forbidden.is_empty();
            let (counts, warnings) =
                if ok { (Some(counts(&loaded)), all(&loaded.warnings)) } else { (None, Vec::new()) };
            Checked { file, ok, counts, issues: all(&forbidden), more_issues: 0, warnings }
        }
        Err(issues) => {
            let shown: Vec<Shown> = issues.iter().map(shown).collect();
            let more_issues = issues.len() - shown.len();
            Checked { file, ok: false, counts: None, issues: shown, more_issues, warnings: Vec::new() }
        }
    }
}

/// What the kernel forbids, if that is asked for.
fn forbidden(asked: &Check, loaded: &Loaded) -> Vec<Issue> {
    let catalog = loaded.ground.catalog();
    if asked.probe { probes::not_here(&asked.file, catalog, &loaded.settings.probes) } else { Vec::new() }
}

fn counts(loaded: &Loaded) -> Counts {
    let catalog = loaded.ground.catalog();
    let ids = (0..catalog.targets().len()).map(TargetId::from_index);
    Counts {
        zones: catalog.zones().len(),
        gateways: catalog.gateways().len(),
        clusters: catalog.clusters().len(),
        targets: ids.filter(|&id| catalog.members(id).is_empty()).count(),
    }
}

fn shown(issue: &Issue) -> Shown {
    let (expected, found) = match &issue.matter {
        Matter::Mistake { expected, found } => (Some(expected.clone()), Some(found.clone())),
        Matter::Warning(_) | Matter::Unreadable(_) => (None, None),
    };
    Shown {
        file: issue.file.display().to_string(),
        line: issue.position.map(|position| position.line),
        column: issue.position.map(|position| position.column),
        key: issue.key.clone(),
        expected,
        found,
        text: issue.to_string(),
    }
}
