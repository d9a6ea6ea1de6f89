//! Makes the table of the checklist in `crates/dns/README.md` from the output of a run of the tests.
//!
//! `checklist LOG` fails where a statement has neither a test nor a reason, where a test of one failed, and where
//! the README says something else. `checklist --write LOG` writes the README.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

const BEGIN: &str = "<!-- checklist: begin -->\n";
const END: &str = "<!-- checklist: end -->\n";

/// One statement of `statements.txt`.
struct Statement<'t> {
    number: u32,
    section: &'t str,
    text: &'t str,
    reason: Option<&'t str>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--write", log] => run(Path::new(log), true),
        [log] => run(Path::new(log), false),
        _ => Err(anyhow::anyhow!("expected [--write] LOG")),
    };
    match outcome {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("checklist: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(log: &Path, write: bool) -> Result<String> {
    let text = include_str!("statements.txt");
    let statements = statements(text)?;
    let log = std::fs::read_to_string(log).with_context(|| log.display().to_string())?;
    let tests = tests(&log)?;
    let table = table(&statements, &tests)?;
    let readme: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/dns/README.md");
    let now = std::fs::read_to_string(&readme).with_context(|| readme.display().to_string())?;
    let (before, rest) = now.split_once(BEGIN).context("the README has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the README's table has no end")?;
    let wanted = format!("{before}{BEGIN}{table}{END}{after}");
    if write {
        std::fs::write(&readme, &wanted)?;
    } else {
        ensure!(now == wanted, "the table in crates/dns/README.md is of another run; --write writes it");
    }
    let count: usize = tests.values().map(Vec::len).sum();
    Ok(format!("checklist: {} statements, {count} tests of them passed", statements.len()))
}

fn statements(text: &str) -> Result<Vec<Statement<'_>>> {
    let mut statements: Vec<Statement<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(reason) = line.strip_prefix("= ") {
            statements.last_mut().context("a reason without a statement")?.reason = Some(reason);
            continue;
        }
        let [number, section, text] = line.split(" | ").collect::<Vec<_>>()[..] else {
            bail!("expected NUMBER | SECTION | STATEMENT, found {line}");
        };
        statements.push(Statement { number: number.parse()?, section, text, reason: None });
    }
    Ok(statements)
}

/// The tests by the number of their statement. Those of several are with each.
fn tests(log: &str) -> Result<BTreeMap<u32, Vec<String>>> {
    let mut tests: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut failed = Vec::new();
    for line in log.lines() {
        let Some((path, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ..."))
        else {
            continue;
        };
        let name = path.rsplit("::").next().unwrap_or(path);
        let numbers: Vec<u32> = name.split('_').map_while(number).collect();
        if outcome.contains("FAILED") && !numbers.is_empty() {
            failed.push(name);
        }
        for number in numbers {
            tests.entry(number).or_default().push(name.to_owned());
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    tests.values_mut().for_each(|names| {
        names.sort();
        names.dedup();
    });
    Ok(tests)
}

/// `s44` is statement 44.
fn number(word: &str) -> Option<u32> {
    word.strip_prefix('s')?.parse().ok()
}

fn table(statements: &[Statement<'_>], tests: &BTreeMap<u32, Vec<String>>) -> Result<String> {
    let unknown: Vec<_> =
        tests.keys().filter(|number| !statements.iter().any(|one| one.number == **number)).collect();
    ensure!(unknown.is_empty(), "tests of statements that are not in the list: {unknown:?}");
    let mut table =
        "| # | Statement | Where | Passed, or why there is no test |\n|---|---|---|---|\n".to_owned();
    let mut open = Vec::new();
    for Statement { number, section, text, reason } in statements {
        let held = match (tests.get(number), reason) {
            (Some(names), None) => {
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join("<br>")
            }
            (None, Some(reason)) => (*reason).to_owned(),
            (Some(_), Some(_)) => bail!("statement {number} has a test, and a reason why it has none"),
            (None, None) => {
                open.push(*number);
                continue;
            }
        };
        writeln!(table, "| {number} | {text} | {section} | {held} |")?;
    }
    ensure!(open.is_empty(), "statements without a test or a reason: {open:?}");
    Ok(table)
}
