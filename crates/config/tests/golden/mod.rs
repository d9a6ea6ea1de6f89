//! Golden files of issues: a title behind `####`, the file, and behind `---->` what is reported.

use std::path::Path;

/// Compares a golden file below `mistakes/` with what is reported now, by a title and a file; `UPDATE_GOLDEN=1`
/// writes it instead.
pub(crate) fn hold(name: &str, report: fn(&str, &str) -> String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes").join(name);
    let golden = std::fs::read_to_string(&file).expect("a golden file");
    let (now, differences) = replay(&golden, report);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, format!("{}\n", now.trim_end())).expect("a folder to write to");
        return;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The golden file with what is reported now, and whether that differs from what it says.
fn replay(golden: &str, report: fn(&str, &str) -> String) -> (String, Vec<String>) {
    let mut now = String::new();
    let mut differences = Vec::new();
    for case in golden.split("#### ").filter(|case| !case.trim().is_empty()) {
        let (title, rest) = case.split_once('\n').expect("a title and a file");
        let (text, wanted) = rest.split_once("---->\n").unwrap_or((rest, ""));
        let found = report(title, text);
        if found.trim_end() != wanted.trim_end() {
            differences.push(format!("{title}\nwanted:\n{wanted}\nfound:\n{found}"));
        }
        now.push_str(&format!("#### {title}\n{text}---->\n{found}\n"));
    }
    (now, differences)
}
