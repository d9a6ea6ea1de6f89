//! Changes of a running server, by the API and by the command line: who may be left with nothing, what is recorded, and that
//! nobody changes what another has changed in the meantime.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hickory_proto::rr::RecordType;
use meridian_tests::{
    Ask, Cluster, Config, Meridian, Signal, Site, WORLD, api_address, ask_udp, binary, curl, says, scratch,
};
use serde_json::{Value, json};

const JSON: &str = "Content-Type: application/json";
/// A client near the first cluster of [`WORLD`].
const CLIENT: &str = "134.226.0.0";

/// Two clusters, each with an address of a gateway; European clients may be served by the first alone, where that is asked for.
struct Stage {
    clusters: [Cluster; 2],
    addresses: [String; 2],
    data_dir: PathBuf,
    config: String,
    server: Meridian,
    api: SocketAddr,
}

impl Stage {
    fn new(residency: &str) -> Self {
        let site = Site::new();
        let data_dir = scratch().join("data");
        let addresses = [1, 2].map(|host| site.address(host).to_string());
        let cluster = |((name, latitude, longitude), country): (&(&str, f64, f64), &str)| {
            format!(
                "[[clusters]]\nname = \"{name}\"\nlatitude = {latitude}\nlongitude = {longitude}\ncountry = \"{country}\"\n"
            )
        };
        let clusters: String = WORLD.iter().zip(["IE", "US"]).map(cluster).collect();
        let endpoints: Vec<(&str, &str)> =
            WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
        let config = Config::new()
            .with(&format!(
                "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n\
                 [admin]\nlisten = \"127.0.0.1:0\"\n[health]\nisolation = false\n[[probes]]\nname = \"web\"\n\
                 type = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\nrise = 1\n\
                 flap = {{ changes = 0 }}\n",
                data_dir.display(),
                site.port
            ))
            .with(&clusters)
            .gateway("shop", &["shop.gslb.example"], &format!("probe = \"web\"\n{residency}"), &endpoints)
            .text()
            .to_owned();
        let clusters = [1, 2].map(|host| site.cluster(host));
        let mut server = Meridian::serve(&config);
        let api = api_address(&mut server);
        Self { clusters, addresses, data_dir, config, server, api }
    }

    /// What a request is answered with: the status and the JSON.
    fn ask(&self, arguments: &[&str], path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.api);
        let (status, body) = curl(&[arguments, &[&url]].concat());
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }

    fn put(&self, target: &str, state: &str, more: &Value, headers: &[&str]) -> (u16, Value) {
        let mut body = json!({ "target": target, "state": state, "reason": "a drill", "by": "ann" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = body.to_string();
        let mut arguments = vec!["-X", "PUT", "-H", JSON, "-d", &body];
        headers.iter().for_each(|header| arguments.extend(["-H", header]));
        self.ask(&arguments, "/v1/overrides")
    }

    fn audit(&self) -> Vec<Value> {
        self.ask(&[], "/v1/audit").1["items"].as_array().unwrap().clone()
    }

    /// Runs a command about the server: exit code, standard output, standard error.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--data-dir").arg(&self.data_dir).stdin(Stdio::null());
        let output = command.env("SUDO_USER", "bob").output().unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn answers(&self) -> Vec<String> {
        let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(CLIENT, 24);
        let addresses = ask_udp(self.server.address(), &ask).unwrap().addresses();
        addresses.iter().map(ToString::to_string).collect()
    }

    /// The ETag of the overrides.
    fn tag(&self) -> String {
        let url = format!("http://{}/v1/overrides", self.api);
        let headers = curl(&["-i", &url]).1;
        let tag = headers.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag");
        tag.trim().to_owned()
    }

    fn lose(&mut self, which: usize) {
        self.clusters[which].kill();
        let address = self.addresses[which].clone();
        self.server.wait_for_verdict(&address, "unhealthy");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(self.data_dir.parent().unwrap());
    }
}

/// The last cluster that serves is not taken out by mistake; with force it is.
#[test]
fn the_last_that_serves_is_not_taken_out_by_mistake() {
    let mut stage = Stage::new("");
    let (first, second) = (WORLD[0].0, WORLD[1].0);
    let of = |name: &str| format!("cluster/{name}");
    // Both serve: one may go, and it is said who moves.
    let (status, would_be) = stage.put(&of(first), "down", &json!({ "dry_run": true }), &[]);
    assert_eq!(status, 200, "{would_be:#}");
    let consequences = &would_be["consequences"];
    assert_eq!((&consequences["gateways_moved"], &consequences["gateways_left"]), (&json!(1), &json!(0)));
    let moves = &consequences["moves"][0];
    let most = &moves["countries"][0];
    assert_eq!(most["moved_percent"]["ipv4"], 100.0, "{moves:#}");
    let flow = &most["flows"][0];
    assert_eq!((&flow["from"], &flow["to"]), (&json!(first), &json!(second)));
    assert_eq!((stage.ask(&[], "/v1/overrides").1, stage.audit().len()), (json!([]), 0));
    assert_eq!(stage.answers(), [&*stage.addresses[0]]);

    stage.lose(1);
    let (status, refusal) = stage.put(&of(first), "down", &json!({}), &[]);
    assert_eq!(status, 409, "{refusal:#}");
    let why = refusal["error"].as_str().unwrap();
    assert!(why.starts_with("this leaves nothing that serves of 1 gateway: shop, for all clients"), "{why}");
    assert!(why.ends_with("; it is done all the same with force"), "{why}");
    assert_eq!(refusal["consequences"]["moves"][0]["left_percent"]["ipv4"], 100.0);
    // A drain goes on to serve where nothing else is left.
    assert_eq!(stage.put(&of(first), "drain", &json!({}), &[]).0, 200);
    assert_eq!(stage.answers(), [&*stage.addresses[0]]);
    let (code, _, err) = stage.run(&["override", &of(first), "down", "--reason", "it must be"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("this leaves nothing that serves of 1 gateway"), "{err}");
    let (code, out, err) = stage.run(&["override", &of(first), "down", "--reason", "it must be", "--force"]);
    assert_eq!((code, &*err), (Some(0), ""), "{out}");
    assert!(!stage.answers().contains(&stage.addresses[0]));
    // Lifted it comes back, which leaves nobody with less.
    let (code, out, _) = stage.run(&["restore", &of(first), "--dry-run"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with(&format!("cluster/{first} would no longer be down\n")), "{out}");
    assert_eq!(stage.run(&["restore", &of(first), "--reason", "over"]).0, Some(0));
    assert_eq!(stage.answers(), [&*stage.addresses[0]]);

    let audit = stage.audit();
    let of = |key: &str| audit.iter().map(|change| change[key].clone()).collect::<Vec<_>>();
    let actions = ["override", "override", "override", "override", "restore"];
    assert_eq!(of("action"), actions, "{audit:#?}");
    assert_eq!(of("by"), ["ann", "ann", "bob", "bob", "bob"]);
    assert_eq!(of("forced"), [false, false, false, true, false]);
    assert_eq!(of("caller")[..2], ["loopback", "loopback"]);
    assert!(of("caller")[2].as_str().unwrap().starts_with("user "));
    let refused: Vec<bool> = of("refused").iter().map(|why| !why.is_null()).collect();
    assert_eq!(refused, [true, false, true, false, false]);
    assert_eq!(
        (&audit[3]["before"]["state"], &audit[3]["after"]["state"]),
        (&json!("drain"), &json!("down"))
    );
    assert_eq!((&audit[4]["before"]["state"], &audit[4]["after"]), (&json!("down"), &Value::Null));
    let (code, out, _) = stage.run(&["audit", "--after", "3"]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("4 20") && lines[0].ends_with(", forced: it must be"), "{out}");
    assert!(lines[1].contains(" restore cluster/") && lines[1].ends_with(": over"), "{out}");
}

/// What residency leaves to one cluster is not taken out either, though another serves all others.
#[test]
fn the_last_of_a_jurisdiction_is_not_taken_out_by_mistake() {
    let first = WORLD[0].0;
    let stage = Stage::new(
        "[gateways.residency]\nrules = [{ clients = [\"EU\"], clusters = [\"EU\"] }, { clients = [\"*\"], clusters = [\"*\"] }]\n",
    );
    let (status, refusal) = stage.put(&format!("cluster/{first}"), "down", &json!({}), &[]);
    assert_eq!(status, 409, "{refusal:#}");
    let left: Vec<&str> = refusal["consequences"]["moves"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|moves| moves["left_countries"].as_array().unwrap())
        .map(|country| country.as_str().unwrap())
        .collect();
    assert!(left.contains(&"DE") && !left.contains(&"US"), "{left:?}");
    assert_eq!(stage.answers(), [&*stage.addresses[0]]);
}

/// The same request once more, as after an answer that was lost, changes nothing.
#[test]
fn the_same_once_more_changes_nothing() {
    let stage = Stage::new("");
    let target = format!("cluster/{}", WORLD[0].0);
    let (_, first) = stage.put(&target, "drain", &json!({ "over": "10m" }), &[]);
    let tag = stage.tag();
    let (status, again) = stage.put(&target, "drain", &json!({ "over": "10m" }), &[]);
    assert_eq!((status, &again["since"]), (200, &first["since"]));
    assert_eq!((stage.tag(), stage.audit().len()), (tag, 1));
}

/// Who has read a state that another has changed since does not change it unseen.
#[test]
fn a_state_that_has_changed_is_not_changed_unseen() {
    let stage = Stage::new("");
    let (first, second) = (format!("cluster/{}", WORLD[0].0), format!("cluster/{}", WORLD[1].0));
    let seen = format!("If-Match: {}", stage.tag());
    assert_eq!(stage.put(&first, "drain", &json!({}), &[&seen]).0, 200);
    let (status, refusal) = stage.put(&second, "drain", &json!({}), &[&seen]);
    assert_eq!(status, 412);
    assert!(refusal["error"].as_str().unwrap().starts_with("If-Match: the state is \""), "{refusal}");
    for path in [format!("/v1/overrides?target={first}"), "/v1/reload".to_owned()] {
        let method = if path.contains("reload") { "POST" } else { "DELETE" };
        assert_eq!(stage.ask(&["-X", method, "-H", &seen], &path).0, 412, "{path}");
    }
    let now = format!("If-Match: \"other\", {}", stage.tag());
    assert_eq!(stage.put(&second, "drain", &json!({}), &[&now]).0, 200);
    assert_eq!(stage.put(&second, "drain", &json!({ "over": "1m" }), &["If-Match: *"]).0, 200);
}

/// A reload is rehearsed: who moves, what breaks; and refused where somebody would be left with nothing.
#[test]
fn a_reload_is_rehearsed() {
    let mut stage = Stage::new("");
    let file = stage.server.config();
    // Without the second cluster's endpoint.
    let second = stage.config.find("[[gateways.endpoints]]").unwrap();
    let second = stage.config[second + 1..].find("[[gateways.endpoints]]").unwrap() + second + 1;
    let alone = stage.config[..second].to_owned();
    std::fs::write(&file, &alone).unwrap();
    let (status, rehearsal) = stage.ask(&["-X", "POST"], "/v1/reload?dry_run=true");
    assert_eq!(status, 200, "{rehearsal:#}");
    assert_eq!(rehearsal["reloaded"]["targets"], 1);
    let moved = &rehearsal["diff"]["total"]["moved_percent"]["ipv4"];
    assert!(moved.as_f64().unwrap() > 10.0, "{moved}");
    assert_eq!(
        (&rehearsal["consequences"]["gateways_left"], &rehearsal["proof"]["holds"]),
        (&json!(0), &json!(true))
    );
    let (_, running) = stage.ask(&[], "/v1/configuration");
    assert_eq!(running["text"], stage.config);

    stage.lose(0);
    let (code, out, err) = stage.run(&["reload", "--dry-run"]);
    assert_eq!(code, Some(0));
    assert!(err.starts_with("warning: ") && err.lines().count() == 1, "{err}");
    assert!(out.contains("clients of 1 gateway would be left with NOTHING that serves"), "{out}");
    let (status, refusal) = stage.ask(&["-X", "POST"], "/v1/reload?by=ann&reason=smaller");
    assert_eq!(status, 409, "{refusal:#}");
    assert_eq!(stage.ask(&[], "/v1/configuration").1["text"], stage.config);
    let (status, reloaded) = stage.ask(&["-X", "POST"], "/v1/reload?by=ann&reason=smaller&force=true");
    assert_eq!((status, &reloaded["targets"]), (200, &json!(1)));
    assert_eq!(stage.ask(&[], "/v1/configuration").1["text"], alone);
    // A file with issues is refused as ever, and a signal asks nobody; both are recorded.
    std::fs::write(&file, "version = 2\n").unwrap();
    let (status, refusal) = stage.ask(&["-X", "POST"], "/v1/reload?by=ann");
    assert_eq!(status, 422);
    assert!(refusal["error"].as_str().unwrap().contains(": version: expected 1"), "{refusal}");
    std::fs::write(&file, &stage.config).unwrap();
    stage.server.signal(Signal::SIGHUP);
    stage.server.wait_for("the change", |line| says(line, "change") && line["caller"] == "signal");
    let audit = stage.audit();
    let of = |key: &str| audit.iter().map(|change| change[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("caller"), ["loopback", "loopback", "loopback", "signal"]);
    let done: Vec<bool> = of("refused").iter().map(Value::is_null).collect();
    assert_eq!(done, [false, true, false, true]);
    assert_eq!((&audit[1]["before"], &audit[1]["after"]), (&audit[3]["after"], &audit[3]["before"]));
    assert_ne!(audit[1]["before"], audit[1]["after"]);
}

/// Residency that holds is not broken by a reload without force.
#[test]
fn a_reload_that_breaks_residency_is_refused() {
    let rules = |germans: &str| {
        format!(
            "[gateways.residency]\nrules = [{{ clients = [\"DE\"], clusters = [\"{germans}\"] }}, {{ clients = [\"EU\"], clusters = [\"EU\"] }}, {{ clients = [\"*\"], clusters = [\"*\"] }}]\n"
        )
    };
    let stage = Stage::new(&rules("EU"));
    std::fs::write(stage.server.config(), stage.config.replace(&rules("EU"), &rules("US"))).unwrap();
    let (status, refusal) = stage.ask(&["-X", "POST"], "/v1/reload");
    assert_eq!(status, 409);
    assert!(
        refusal["error"].as_str().unwrap().starts_with("this breaks residency that holds now"),
        "{refusal}"
    );
    let (_, rehearsal) = stage.ask(&["-X", "POST"], "/v1/reload?dry_run=true");
    assert_eq!((&rehearsal["holds_now"], &rehearsal["proof"]["holds"]), (&json!(true), &json!(false)));
    assert_eq!(rehearsal["proof"]["gateways"][0]["broken"][0]["rule"], 2);
    assert_eq!(stage.ask(&["-X", "POST"], "/v1/reload?force=true").0, 200);
}

/// The audit goes on across a restart and a new start.
#[test]
fn the_audit_outlives_the_process() {
    let mut stage = Stage::new("");
    let target = format!("cluster/{}", WORLD[0].0);
    assert_eq!(stage.put(&target, "drain", &json!({ "for": "1s" }), &[]).0, 200);
    // The event of its end, too.
    stage.server.wait_for("its end", |line| says(line, "change") && line["action"] == "expire");
    let before = stage.audit();
    assert_eq!(before.len(), 2);
    let (code, out, err) = stage.run(&["restart"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let after = stage.audit();
    assert_eq!(after[..2], before[..]);
    assert_eq!((&after[2]["action"], &after[2]["number"]), (&json!("restart"), &json!(3)));
    assert_eq!(stage.put(&target, "drain", &json!({}), &[]).0, 200);
    assert_eq!(stage.audit()[3]["number"], 4);
}

/// The API answers as the commands do.
#[test]
fn it_explains_and_proves_as_the_commands_do() {
    let mut stage = Stage::new("");
    let question = format!("name=shop.gslb.example&client={CLIENT}");
    let (status, healthy) = stage.ask(&[], &format!("/v1/explain?{question}"));
    assert_eq!(status, 200, "{healthy:#}");
    let file = stage.server.config();
    let arguments = ["explain", "shop.gslb.example", "--client", CLIENT, "--json"];
    let command = Command::new(binary()).args(arguments).arg("--config").arg(&file).output().unwrap();
    assert_eq!(healthy, serde_json::from_slice::<Value>(&command.stdout).unwrap());
    stage.lose(0);
    let (code, out, err) = stage.run(&["explain", "shop.gslb.example", "--client", CLIENT]);
    assert_eq!((code, &*err), (Some(0), ""));
    assert!(out.contains(&stage.addresses[1]), "{out}");
    let url = format!("http://{}/v1/explain?{question}", stage.api);
    assert_eq!(curl(&["-H", "Accept: text/plain", &url]).1, out);
    for (question, why) in [
        ("name=a..b&client=192.0.2.1", "name: expected a domain name, found \"a..b\""),
        ("name=a&client=192.0.2.1&type=WRONG", "type: expected an RR type such as AAAA, found \"WRONG\""),
    ] {
        let (status, refusal) = stage.ask(&[], &format!("/v1/explain?{question}"));
        assert_eq!(status, 422);
        assert!(refusal["error"].as_str().unwrap().starts_with(why), "{refusal}");
    }
    assert_eq!(stage.ask(&[], "/v1/prove").1, json!({ "holds": true, "not_proven": 0, "gateways": [] }));
    // Larger than other bodies may be.
    let same = json!({ "text": format!("{}#{}\n", stage.config, "x".repeat(100_000)) }).to_string();
    let (status, diff) = stage.ask(&["-X", "POST", "-H", JSON, "-d", &same], "/v1/diff");
    assert_eq!((status, &diff["total"]["moved_percent"]), (200, &json!({ "ipv4": 0.0, "ipv6": 0.0 })));
    let wrong = json!({ "text": "version = 2" }).to_string();
    let (status, refusal) = stage.ask(&["-X", "POST", "-H", JSON, "-d", &wrong], "/v1/diff");
    assert_eq!(status, 422);
    assert!(refusal["error"].as_str().unwrap().contains("version: expected 1"), "{refusal}");
}
