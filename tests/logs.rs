//! What a running server logs: levels changed while it runs, and the query log.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use meridian_tests::{Config, Meridian, WORLD, binary, says, scratch};
use serde_json::Value;

/// A server of two clusters that nothing probes, and the folder that its API is in.
struct Stage {
    server: Meridian,
    data_dir: PathBuf,
}

impl Stage {
    /// `keys`: further tables.
    fn new(keys: &str) -> Self {
        let data_dir = scratch();
        let endpoints = [("eu-west", "192.0.2.10"), ("us-east", "192.0.2.20")];
        let server = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n{keys}",
            data_dir.display()
        );
        let config = Config::new().with(&server).clusters(&WORLD[..2]);
        let config = config.gateway("shop", &["shop.gslb.example"], "", &endpoints);
        Self { server: Meridian::serve(config.text()), data_dir }
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--data-dir").arg(&self.data_dir).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Runs one that ends well, and returns what it prints.
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs one that fails, and returns what it says.
    fn bad(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Has a view published, and waits for the line that says who asked for it.
    fn change(&mut self, state: &str) {
        let arguments = ["override", "cluster/eu-west", state, "--reason", "a drill", "--by", "ann"];
        self.good(&arguments);
        self.server.wait_for("the override", |line| {
            line["message"] == "override" && line["target"] == "cluster/eu-west"
        });
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(&self.data_dir);
    }
}

//----------- Levels ---------------------------------------------------------

#[test]
fn levels_change_while_it_runs() {
    let mut stage = Stage::new("");
    assert_eq!(stage.good(&["log-level"]), "debug\n");
    stage.change("down");
    stage.server.wait_for("a line of debugging", |line| says(line, "view published"));

    assert_eq!(stage.good(&["log-level", "info"]), "info\n");
    let said = stage.server.wait_for("the change", |line| says(line, "what is logged was changed"));
    assert_eq!((&said["before"], &said["now"]), (&Value::from("debug"), &Value::from("info")));
    let read = stage.server.seen.len();
    stage.change("up");
    // By a module: the view has its line, and nothing else of debugging does, such as that the override is kept.
    assert_eq!(stage.good(&["log-level", "info,meridian::publish=debug"]), "info,meridian::publish=debug\n");
    stage.change("down");
    stage.server.wait_for("a line of debugging", |line| says(line, "view published"));
    let since = &stage.server.seen[read..];
    let others = since.iter().filter(|line| line["level"] == "DEBUG" && !says(line, "view published"));
    assert_eq!(others.count(), 0, "{since:#?}");

    let shown: Value = serde_json::from_str(&stage.good(&["log-level", "--json"])).unwrap();
    assert_eq!(shown, serde_json::json!({ "level": "info,meridian::publish=debug" }));
}

#[test]
fn a_wrong_filter_changes_nothing() {
    let stage = Stage::new("");
    let long = "x".repeat(1025);
    for (filter, wanted) in [
        ("loud", "level: expected error, warn, info, debug, trace or off, or one of them by where lines"),
        ("info,=debug", "level: expected a module such as meridian_dns, found \"\""),
        (&long, "level: expected at most 1024 characters, found 1025"),
    ] {
        let error = stage.bad(&["log-level", filter]);
        assert!(error.starts_with(&format!("meridian: {wanted}")), "{error}");
        assert_eq!(stage.good(&["log-level"]), "debug\n");
    }
}
