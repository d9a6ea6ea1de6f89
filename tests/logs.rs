//! What a running server logs: levels changed while it runs, and the query log.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, WORLD, ask_tcp, ask_udp, binary, says, scratch};
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

//----------- The query log --------------------------------------------------

#[test]
fn a_query_has_a_line_with_what_it_got() {
    let mut stage = Stage::new("[query_log]\nsample = 1\n");
    // Whatever else is logged.
    stage.good(&["log-level", "off"]);
    let address = stage.server.address();
    let steered = Ask::new("Shop.gslb.example.", RecordType::A);
    ask_udp(address, &steered.clone().subnet("8.8.8.0", 24)).unwrap();
    let line = stage.server.wait_for("its line", |line| says(line, "query"));
    let scope = line["scope"].as_u64().unwrap();
    assert!((1..=24).contains(&scope), "{line}");
    for (key, wanted) in [
        ("level", "INFO"),
        ("name", "shop.gslb.example"),
        ("type", "A"),
        ("client", "8.8.8.0"),
        ("resolver", "127.0.0.1"),
        ("transport", "udp"),
        ("rcode", "NOERROR"),
        ("gateway", "shop"),
        ("cluster", "us-east"),
        ("addresses", "192.0.2.20"),
    ] {
        assert_eq!(line[key], wanted, "{key}: {line}");
    }
    ask_tcp(address, &Ask::new("nobody.gslb.example.", RecordType::AAAA)).unwrap();
    let line = stage.server.wait_for("its line", |line| says(line, "query"));
    for (key, wanted) in [
        ("name", "nobody.gslb.example"),
        ("type", "AAAA"),
        ("client", "127.0.0.1"),
        ("transport", "tcp"),
        ("rcode", "NXDOMAIN"),
    ] {
        assert_eq!(line[key], wanted, "{key}: {line}");
    }
    for key in ["resolver", "gateway", "cluster", "addresses", "scope"] {
        assert_eq!(line.get(key), None, "{line}");
    }
}

/// About as many as were asked for: of 4,000 queries at a tenth, 400 with a deviation of 19.
#[test]
fn a_share_of_the_queries_is_sampled_and_all_of_it_is_counted() {
    let mut stage = Stage::new("[query_log]\nsample = 0.1\n");
    let ask = Ask::new("shop.gslb.example.", RecordType::A);
    for _ in 0..4000 {
        ask_udp(stage.server.address(), &ask).unwrap();
    }
    let taken = stage.server.total("taken");
    let lines = stage.server.seen.iter().filter(|line| says(line, "query")).count() as u64;
    assert_eq!((lines, stage.server.total("taken_dropped")), (taken, 0));
    assert!((300..500).contains(&taken), "{taken}");
}

/// Unless it is asked for no packet has a line, whatever the level.
#[test]
fn no_packet_has_a_line_unasked() {
    let mut stage = Stage::new("");
    stage.good(&["log-level", "trace"]);
    ask_udp(stage.server.address(), &Ask::new("shop.gslb.example.", RecordType::A)).unwrap();
    let taken = stage.server.total("taken");
    assert_eq!((taken, stage.server.seen.iter().any(|line| says(line, "query"))), (0, false));
}
