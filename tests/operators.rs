//! What operators see and say of a running server: `meridian status`, `override`, `restore`, the metrics.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hickory_proto::rr::RecordType;
use meridian_tests::{
    Ask, Cluster, Config, Meridian, Process, Site, WORLD, ask_udp, binary, now, says, scratch,
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A client near each of the first two clusters of [`WORLD`].
const CLIENTS: [&str; 2] = ["134.226.0.0", "8.8.8.0"];

/// A site with a server in front of it, and a folder that outlives the server.
struct Stage {
    site: Site,
    clusters: [Cluster; 2],
    data_dir: PathBuf,
    config: String,
}

impl Stage {
    fn new() -> Self {
        Self::with("")
    }

    /// `keys`: further ones of the gateway.
    fn with(keys: &str) -> Self {
        let site = Site::new();
        let folder = scratch();
        // Made by the server.
        let data_dir = folder.join("data");
        let addresses = [1, 2].map(|host| site.address(host).to_string());
        let endpoints: Vec<(&str, &str)> =
            WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
        let config = Config::new()
            .with(&format!(
                "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n\
                 [health]\nisolation = false\n[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\n\
                 interval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\nrise = 1\n",
                data_dir.display(),
                site.port
            ))
            .clusters(&WORLD[..2])
            .gateway("shop", &["shop.gslb.example"], &format!("probe = \"web\"\n{keys}"), &endpoints)
            .text()
            .to_owned();
        let clusters = [1, 2].map(|host| site.cluster(host));
        Self { site, clusters, data_dir, config }
    }

    fn address(&self, host: u8) -> String {
        self.site.address(host).to_string()
    }

    /// Runs a command about the server of the folder: exit code, standard output, standard error.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--data-dir").arg(&self.data_dir).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Runs one that ends well, and returns what it prints.
    fn good(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}: {out}");
        out
    }

    fn force(&self, target: &str, state: &str, more: &[&str]) -> String {
        let arguments = ["override", target, state, "--reason", "a drill", "--by", "ann"];
        self.good(&[&arguments, more].concat())
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.good(&["status", "--json"])).unwrap()
    }

    /// What the status says of the cluster's address.
    fn endpoint(&self, host: u8) -> Value {
        let status = self.status();
        let endpoints = status["endpoints"].as_array().unwrap();
        endpoints.iter().find(|of| of["address"] == self.address(host)).unwrap().clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(self.data_dir.parent().unwrap());
    }
}

fn answer(server: &Meridian, client: &str) -> Vec<String> {
    let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(client, 24);
    ask_udp(server.address(), &ask).unwrap().addresses()
}

/// Waits until a client is answered with this.
fn until_answered(server: &Meridian, client: &str, wanted: &str) {
    let deadline = now() + std::time::Duration::from_secs(30);
    while answer(server, client) != [wanted] {
        assert!(now() < deadline, "{client}: {:?}, wanted {wanted}", answer(server, client));
        std::thread::yield_now();
    }
}

//----------- Seeing ---------------------------------------------------------

#[test]
fn a_status_says_what_is_observed_forced_and_effective_and_why() {
    let mut stage = Stage::new();
    let mut server = Meridian::serve(&stage.config);
    let first = stage.endpoint(1);
    assert_eq!(
        [&first["gateway"], &first["cluster"], &first["observed"], &first["effective"], &first["forced"]],
        [&"shop".into(), &WORLD[0].0.into(), &"healthy".into(), &"healthy".into(), &Value::Null]
    );
    assert_eq!(first["probe"]["last"]["result"], "good");
    assert!(first["probe"]["last"]["latency_ms"].as_f64().unwrap() > 0.0);
    stage.clusters[0].kill();
    server.wait_for_verdict(&stage.address(1), "unhealthy");
    stage.force(&format!("endpoint/shop/*/{}", stage.address(1)), "up", &[]);
    let first = stage.endpoint(1);
    assert_eq!(
        [&first["observed"], &first["forced"], &first["effective"]],
        [&Value::from("unhealthy"), &"up".into(), &"healthy".into()]
    );
    let cause = first["probe"]["cause"].as_str().unwrap();
    assert!(cause.ends_with("connection refused (2nd of 2)"), "{cause}");
    let page = stage.good(&["status"]);
    let mut lines = page.lines();
    assert!(lines.next().unwrap().starts_with("GATEWAY  CLUSTER  ENDPOINT"), "{page}");
    let row: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(row[..6], ["shop", WORLD[0].0, &stage.address(1), "unhealthy", "up", "healthy"], "{page}");
    assert!(page.contains("connection refused"), "{page}");
    let promise =
        "shop  a dead address is detected within 310 ms, out of the answers within 320 ms, out of caches";
    assert!(page.contains(promise), "{page}");
    assert!(page.contains("1 address  until lifted  ann: a drill\n"), "{page}");
}

#[test]
fn a_status_that_is_watched_comes_again() {
    let stage = Stage::new();
    let _server = Meridian::serve(&stage.config);
    let mut command = Command::new(binary());
    command.args(["status", "--json", "--watch", "--data-dir"]).arg(&stage.data_dir).stdin(Stdio::null());
    let mut watching = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(watching.0.stdout.take().unwrap()).lines();
    for line in lines.take(2) {
        let status: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(status["endpoints"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn metrics_count_probes_verdicts_transitions_and_overrides() {
    let mut stage = Stage::new();
    let mut server = Meridian::serve(&stage.config);
    stage.clusters[0].kill();
    server.wait_for_verdict(&stage.address(1), "unhealthy");
    stage.force("gateway/shop", "down", &["--force"]);
    let page = http_get(&stage.data_dir.join("meridian.sock"), "/metrics");
    let value = |name: &str| -> f64 {
        let line = page.lines().find(|line| line.rsplit_once(' ').is_some_and(|(of, _)| of == name));
        line.unwrap_or_else(|| panic!("{name}: {page}")).rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    let before = value("meridian_dns_received_total{transport=\"udp\"}");
    let ask = Ask::new("shop.gslb.example.", RecordType::A);
    assert!(ask_udp(server.address(), &ask).is_ok());
    let after = http_get(&stage.data_dir.join("meridian.sock"), "/metrics");
    assert!(
        after.contains(&format!("meridian_dns_received_total{{transport=\"udp\"}} {}\n", before + 1.0)),
        "{after}"
    );
    for of in ["panics_total", "connections_closed_total{reason=\"full\"}", "proxy_malformed_total"] {
        assert_eq!(value(&format!("meridian_dns_{of}")), 0.0);
    }
    assert!(value("meridian_probe_outcomes_total{probe=\"web\",outcome=\"good\"}") >= 2.0, "{page}");
    assert!(value("meridian_probe_outcomes_total{probe=\"web\",outcome=\"failed\"}") >= 2.0, "{page}");
    let took = value("meridian_probe_duration_seconds_count{probe=\"web\"}");
    assert_eq!(value("meridian_probe_duration_seconds_bucket{probe=\"web\",le=\"+Inf\"}"), took);
    for (kind, wanted) in [("observed", 1.0), ("effective", 1.0)] {
        let labels = format!(
            "gateway=\"shop\",cluster=\"{}\",address=\"{}\",kind=\"{kind}\"",
            WORLD[0].0,
            stage.address(1)
        );
        assert_eq!(value(&format!("meridian_verdict{{{labels}}}")), wanted, "{page}");
    }
    assert_eq!(value("meridian_override_addresses{target=\"gateway/shop\",state=\"down\"}"), 2.0);
    assert!(value("meridian_transitions_total{to=\"unhealthy\"}") >= 1.0);
    assert_eq!(value("meridian_transitions_total{to=\"healthy\"}"), 2.0);
    assert_eq!(value("meridian_isolated"), 0.0);
}

/// What runs can be seen, and compared with a repository; what was refused is loud in the status and the metrics, and
/// changes nothing else.
#[test]
fn what_runs_and_what_was_refused_is_shown() {
    let stage = Stage::new();
    let mut server = Meridian::serve(&stage.config);
    let socket = stage.data_dir.join("meridian.sock");
    let file = server.config();
    let text = std::fs::read_to_string(&file).unwrap();
    let sha256 = |file: &Path| {
        let output = Command::new("sha256sum").arg(file).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
    };
    let first = sha256(&file);
    let shows = |page: &str, wanted: &str| assert!(page.contains(wanted), "{wanted}: {page}");
    assert_eq!(stage.good(&["config"]), text);
    let page = http_get(&socket, "/metrics");
    shows(&page, &format!("meridian_configuration_info{{sha256=\"{first}\"}} 1\n"));
    shows(&page, "meridian_reload_last_accepted 1\n");
    std::fs::write(&file, format!("{text}[nowhere]\n")).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for("the refusal", |line| says(line, "reload refused"));
    for path in ["/livez", "/readyz"] {
        assert_eq!(http_get(&socket, path), "ok\n");
    }
    let page = http_get(&socket, "/metrics");
    shows(&page, &format!("meridian_configuration_info{{sha256=\"{first}\"}} 1\n"));
    shows(&page, "meridian_reload_last_accepted 0\n");
    shows(&page, "meridian_reloads_total{result=\"refused\"} 1\n");
    assert_eq!(stage.good(&["config"]), text);
    let table = stage.good(&["status"]);
    assert!(table.starts_with("REFUSED ") && table.contains("nowhere: expected "), "{table}");
    assert_eq!(answer(&server, CLIENTS[0]), [stage.address(1)]);
    // A good one, which differs.
    std::fs::write(&file, format!("# another\n{text}")).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for("the reload", |line| says(line, "reloaded"));
    let shown: Value = serde_json::from_str(&stage.good(&["config", "--json"])).unwrap();
    assert_eq!(shown["sha256"], sha256(&file));
    assert_eq!(shown["text"], format!("# another\n{text}"));
    assert_eq!((&shown["refused"], &shown["file"]), (&Value::Null, &Value::from(file.to_str().unwrap())));
    let page = http_get(&socket, "/metrics");
    shows(&page, "meridian_reload_last_accepted 1\n");
    shows(&page, "meridian_reloads_total{result=\"accepted\"} 1\n");
    assert!(stage.good(&["status"]).starts_with("GATEWAY"));
}

/// The body of an answer over a Unix socket.
fn http_get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: meridian\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

//----------- Saying ---------------------------------------------------------

/// Each word of an operator moves the answers, and lifting it moves them back.
#[test]
fn what_is_forced_is_answered() {
    let stage = Stage::new();
    let server = Meridian::serve(&stage.config);
    let (near, far) = (stage.address(1), stage.address(2));
    assert_eq!(answer(&server, CLIENTS[0]), [near.as_str()]);
    for state in ["down", "drain"] {
        let said = stage.force(&format!("cluster/{}", WORLD[0].0), state, &[]);
        assert_eq!(said, format!("cluster/{} is {state}: 1 address\n", WORLD[0].0));
        until_answered(&server, CLIENTS[0], &far);
        let restored = stage.good(&["restore", &format!("cluster/{}", WORLD[0].0)]);
        assert_eq!(restored, format!("cluster/{} is no longer {state}\n", WORLD[0].0));
        until_answered(&server, CLIENTS[0], &near);
    }
}

/// The share of a drained cluster falls step by step, and then nobody is sent there.
#[test]
fn a_drain_takes_its_time() {
    let stage = Stage::with("policy = \"weighted\"\n");
    let server = Meridian::serve(&stage.config);
    stage.force(&format!("cluster/{}", WORLD[0].0), "drain", &["--over", "3s"]);
    let deadline = now() + std::time::Duration::from_secs(30);
    let mut left = vec![100.0];
    while left.last() != Some(&0.0) {
        assert!(now() < deadline, "{left:?}");
        left.push(stage.endpoint(1)["left_percent"].as_f64().unwrap());
    }
    assert!(left.is_sorted_by(|a, b| a >= b), "{left:?}");
    left.dedup();
    assert!(left.len() > 5, "{left:?}");
    // The last step is in the answers a moment later; by chance, some before it name the other cluster too.
    let mut in_a_row = 0;
    while in_a_row < 200 {
        assert!(now() < deadline, "clients are still sent to what is drained");
        let is_other = answer(&server, CLIENTS[0]) == [stage.address(2)];
        in_a_row = if is_other { in_a_row + 1 } else { 0 };
    }
    // The address serves: it is only not sent anybody.
    assert_eq!(stage.endpoint(1)["effective"], "healthy");
}

#[test]
fn the_narrowest_counts_whichever_was_said_last() {
    let stage = Stage::new();
    let server = Meridian::serve(&stage.config);
    let endpoint = format!("endpoint/shop/{}/{}", WORLD[0].0, stage.address(1));
    stage.force(&endpoint, "up", &[]);
    stage.force("gateway/*", "drain", &[]);
    let (code, _, err) = stage.run(&["override", "cluster/*", "down", "--reason", "a drill", "--by", "ann"]);
    assert_eq!(code, Some(0));
    assert!(
        err.contains("cluster/* decides for no address: none matches, or narrower overrides do"),
        "{err}"
    );
    let forced = |host: u8| stage.endpoint(host)["forced_by"].clone();
    assert_eq!((forced(1), forced(2)), (endpoint.as_str().into(), "gateway/*".into()));
    until_answered(&server, CLIENTS[1], &stage.address(1));
    let addresses: Vec<Value> =
        stage.status()["overrides"].as_array().unwrap().iter().map(|of| of["addresses"].clone()).collect();
    assert_eq!(addresses, [1, 1, 0]);
}

/// A server that is killed comes back with what was said, and with the folder that it held.
#[test]
fn overrides_survive_a_kill() {
    let stage = Stage::new();
    let mut server = Meridian::serve(&stage.config);
    stage.force(&format!("cluster/{}", WORLD[0].0), "down", &["--for", "2h"]);
    let before = stage.status()["overrides"].clone();
    server.signal(Signal::SIGKILL);
    server.wait();
    let (code, _, err) = stage.run(&["status"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("meridian.sock: no server there; is it running"), "{err}");
    let server = Meridian::serve(&stage.config);
    // From the first answer on.
    assert_eq!(answer(&server, CLIENTS[0]), [stage.address(2)]);
    assert_eq!(stage.status()["overrides"], before);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&stage.data_dir), mode(&stage.data_dir.join("meridian.sock"))), (0o700, 0o600));
}

#[test]
fn an_override_ends_when_its_time_is_over() {
    let stage = Stage::new();
    let mut server = Meridian::serve(&stage.config);
    stage.force(&format!("cluster/{}", WORLD[0].0), "down", &["--for", "1500ms"]);
    until_answered(&server, CLIENTS[0], &stage.address(2));
    server.wait_for("its end", |line| line["message"] == "override over");
    server.wait_for("its end on the disk", |line| line["message"] == "overrides are kept");
    until_answered(&server, CLIENTS[0], &stage.address(1));
    assert_eq!(stage.status()["overrides"], Value::Array(Vec::new()));
    let kept = std::fs::read_to_string(stage.data_dir.join("overrides.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["overrides"], Value::Array(Vec::new()));
}

#[test]
fn mistakes_are_refused_with_what_was_expected() {
    let stage = Stage::new();
    let _server = Meridian::serve(&stage.config);
    let (code, _, err) = stage.run(&["restore", "cluster/eu"]);
    assert_eq!((code, err.as_str()), (Some(1), "meridian: no override of cluster/eu\n"));
    let force = |target: &str, more: &[&str]| stage.run(&[&["override", target, "up"], more].concat());
    let (code, _, err) = force("cluster/eu", &["--by", "ann", "--reason", ""]);
    assert_eq!((code, err.as_str()), (Some(1), "meridian: reason: expected 1 to 512 characters, found 0\n"));
    let (code, _, err) = force("cluster/eu", &["--by", "ann", "--reason", "r", "--over", "5m"]);
    assert_eq!((code, err.as_str()), (Some(1), "meridian: over: expected only of a drain, found with up\n"));
    let (code, _, err) = force("eu", &["--by", "ann", "--reason", "r"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("expected cluster/NAME, gateway/NAME or endpoint/"), "{err}");
    // What names nothing now may do so after a reload.
    let (code, out, err) = force("cluster/nowhere", &["--by", "ann", "--reason", "r"]);
    assert_eq!((code, out.as_str()), (Some(0), "cluster/nowhere is up: 0 addresses\n"));
    assert!(err.contains("decides for no address"), "{err}");
}

//----------- The folder -----------------------------------------------------

/// Whatever is wrong with the folder, answers are given, and the log says what is wrong.
#[test]
fn a_folder_that_is_of_no_use_stops_no_answer() {
    let stage = Stage::new();
    let first = Meridian::serve(&stage.config);
    let second = Meridian::serve(&stage.config);
    let taken = |line: &Value| {
        let said = line["message"].as_str().unwrap_or_default();
        line["level"] == "ERROR" && said.contains("another server keeps its data there")
    };
    assert!(second.seen.iter().any(taken), "{:#?}", second.seen);
    assert_eq!(answer(&second, CLIENTS[0]), [stage.address(1)]);
    drop((first, second));
    std::fs::write(stage.data_dir.join("overrides.json"), "{ half").unwrap();
    let third = Meridian::serve(&stage.config);
    let lost = |line: &Value| {
        line["message"].as_str().is_some_and(|said| said.starts_with("overrides are lost: "))
            && line["level"] == "ERROR"
    };
    assert!(third.seen.iter().any(lost), "{:#?}", third.seen);
    assert_eq!(answer(&third, CLIENTS[0]), [stage.address(1)]);
    stage.force("gateway/shop", "up", &[]);
    assert_eq!(std::fs::read_to_string(stage.data_dir.join("overrides.json.unreadable")).unwrap(), "{ half");
}
