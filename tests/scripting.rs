//! What scripts rely on: the JSON of the commands, and how they end, as the README says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use meridian_tests::{Config, Meridian, Site, WORLD, binary, scratch};
use serde_json::Value;

/// Commands that print no facts, or whose every line is for programs as it is.
const WITHOUT_JSON: [&str; 6] = ["completions", "demo", "help", "schema", "serve", "watch"];

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

fn run(arguments: &[&str]) -> Ran {
    let output = Command::new(binary()).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

/// The rows of the table with this head, without it.
fn table(head: &str) -> Vec<Vec<String>> {
    let text = readme();
    let (_, rest) = text.split_once(&format!("| {head} |")).unwrap_or_else(|| panic!("no table of {head:?}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

fn commands() -> BTreeSet<String> {
    let help = run(&["--help"]).out;
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let lines = rest.lines().take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| {
            line.strip_prefix("  ")?.split(' ').next().filter(|word| !word.is_empty()).map(Into::into)
        })
        .collect()
}

//----------- Files and a server ---------------------------------------------

/// Two clusters and a probe; `keys` are further ones of the gateway.
fn config(site: &Site, data_dir: &Path, keys: &str) -> String {
    let addresses = [1, 2].map(|host| site.address(host).to_string());
    let endpoints: Vec<(&str, &str)> =
        WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
    Config::new()
        .with(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = {data_dir:?}\n[health]\nisolation = false\n\
             [[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\nfall = 2\nrise = 1\n",
            site.port
        ))
        .clusters(&WORLD[..2])
        .gateway("shop", &["shop.gslb.example"], &format!("probe = \"web\"\n{keys}"), &endpoints)
        .text()
        .to_owned()
}

struct Folder(PathBuf);

impl Folder {
    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is in the folder for temporary files.
        let _kept = std::fs::remove_dir_all(&self.0);
    }
}

//----------- JSON -----------------------------------------------------------

/// A command has `--json`, and a row in the README, or is one of the few that have nothing to say with it.
#[test]
fn every_command_that_says_something_has_json() {
    let listed: BTreeSet<String> = table("command | `--json` prints")
        .iter()
        .flat_map(|row| row[0].split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>())
        .collect();
    let with: BTreeSet<String> =
        commands().into_iter().filter(|name| !WITHOUT_JSON.contains(&name.as_str())).collect();
    assert_eq!(listed, with);
    for command in &with {
        assert!(run(&[command, "--help"]).out.contains("      --json"), "{command}");
    }
    for command in WITHOUT_JSON.iter().filter(|name| **name != "help") {
        assert!(!run(&[command, "--help"]).out.contains("      --json"), "{command}");
    }
}

/// `prints`: of the README, `` `Status`, as `GET /v1/status` ``; held against what the server's document says.
fn check_keys(prints: &str, found: &Value, document: &Value, command: &str) {
    let name = prints.trim_start_matches('`').split('`').next().unwrap();
    let schema = &document["components"]["schemas"][name];
    let mut parts: Vec<&Value> =
        schema["allOf"].as_array().map_or_else(|| vec![schema], |all| all.iter().collect());
    // What is flattened is a reference.
    for part in &mut parts {
        if let Some(name) = part["$ref"].as_str().and_then(|of| of.rsplit('/').next()) {
            *part = &document["components"]["schemas"][name];
        }
    }
    let known: BTreeSet<&String> = parts
        .iter()
        .filter_map(|part| part["properties"].as_object())
        .flat_map(serde_json::Map::keys)
        .collect();
    assert!(!known.is_empty(), "{command}: no schema {name}");
    let keys: BTreeSet<&String> =
        found.as_object().unwrap_or_else(|| panic!("{command}: {found}")).keys().collect();
    assert!(keys.is_subset(&known), "{command}: {keys:?} of {known:?}");
    let required = parts.iter().filter_map(|part| part["required"].as_array()).flatten();
    for key in required.filter_map(Value::as_str) {
        assert!(found.get(key).is_some(), "{command}: no {key} in {found}");
    }
}

#[test]
fn json_is_what_the_readme_says() {
    let (site, folder) = (Site::new(), Folder(scratch()));
    let data_dir = folder.0.join("data");
    let _clusters = [1, 2].map(|host| site.cluster(host));
    let text = config(&site, &data_dir, "");
    let file = folder.write("m.toml", &text);
    let mut meridian = Meridian::serve(&text);
    let of_server = |arguments: &[&str]| {
        let ran = run(&[arguments, &["--json", "--data-dir", data_dir.to_str().unwrap()]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}: {}", ran.out);
        ran.json()
    };
    let of_file = |arguments: &[&str]| {
        let ran = run(&[arguments, &["--json"]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}: {}", ran.out);
        ran.json()
    };
    let socket = data_dir.join("meridian.sock");
    let document = Command::new("curl")
        .args([
            "--silent",
            "--fail",
            "--unix-socket",
            socket.to_str().unwrap(),
            "http://meridian/openapi.json",
        ])
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&document.stdout).unwrap();

    let said = ["--reason", "a drill", "--by", "ann", "--force"];
    let mut found: BTreeMap<&str, Value> = [
        ("check", of_file(&["check", &file])),
        ("probe", of_file(&["probe", &file])),
        ("prove", of_file(&["prove", &file])),
        ("diff", of_file(&["diff", &file, &file])),
        ("explain", of_file(&["explain", "shop.gslb.example", "--client", "203.0.113.7", "--config", &file])),
        ("token", of_file(&["token", "viewer", "ann"])),
        ("override", of_server(&[&["override", "cluster/us-east", "down"], &said[..]].concat())),
        ("drain", of_server(&[&["drain", "cluster/us-east"], &said[..]].concat())),
        ("restore", of_server(&["restore", "cluster/us-east", "--by", "ann"])),
        ("audit", of_server(&["audit"])),
        ("status", of_server(&["status"])),
        ("config", of_server(&["config"])),
        ("log-level", of_server(&["log-level"])),
        ("reload", of_server(&["reload", "--by", "ann"])),
    ]
    .into();
    let (data_dir, before) = (data_dir.clone(), meridian.id());
    let restarting =
        std::thread::spawn(move || run(&["restart", "--json", "--data-dir", data_dir.to_str().unwrap()]));
    meridian.wait_for_successor();
    let restarted = restarting.join().unwrap();
    assert_eq!((restarted.code, restarted.err.as_str()), (Some(0), ""));
    found.insert("restart", restarted.json());
    assert_ne!(found["restart"]["pid"], before);

    hold(found, &document);
}

/// Every row of the README is about what was found, and about all of it.
fn hold(mut found: BTreeMap<&str, Value>, document: &Value) {
    let keys = |of: &Value| of.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    for row in table("command | `--json` prints") {
        for command in row[0].split(", ").map(|name| name.trim_matches('`')) {
            let found = found.remove(command).unwrap_or_else(|| panic!("{command} was not tried"));
            match row[1]
                .strip_prefix("an object with ")
                .or_else(|| row[1].strip_prefix("a list of objects with "))
            {
                Some(listed) => {
                    let one = if found.is_array() { &found[0] } else { &found };
                    let listed: BTreeSet<&str> = listed.split('`').skip(1).step_by(2).collect();
                    let printed = keys(one);
                    let printed: BTreeSet<&str> = printed.split(", ").collect();
                    assert_eq!(printed, listed, "{command}");
                }
                None => check_keys(&row[1], &found, document, command),
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

/// A file that cannot be served is told as data too.
#[test]
fn issues_are_data() {
    let (site, folder) = (Site::new(), Folder(scratch()));
    let text =
        config(&site, &folder.0, "").replace("workers = 1", "workerz = 1").replace("fall = 2", "fall = 0");
    let file = folder.write("m.toml", &text);
    let ran = run(&["check", "--json", &file]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(64), ""));
    let checked = ran.json();
    assert_eq!(
        (&checked["ok"], &checked["file"], checked.get("zones")),
        (&false.into(), &file.as_str().into(), None)
    );
    let issues = checked["issues"].as_array().unwrap();
    let keys: Vec<&str> = issues.iter().map(|issue| issue["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["server.workerz", "probes[0].fall"]);
    assert_eq!(issues[1]["expected"], "a whole number of checks from 1 to 100");
    assert_eq!(issues[1]["found"], "0");
    // The same text as people get.
    let shown = run(&["check", &file]).err;
    let texts: Vec<&str> = issues.iter().map(|issue| issue["text"].as_str().unwrap()).collect();
    assert_eq!(shown.lines().collect::<Vec<_>>(), texts);
    let place = format!("{file}:{}:{}: ", issues[0]["line"], issues[0]["column"]);
    assert!(texts[0].starts_with(&place), "{texts:?}");
    // A warning leaves it good.
    let unused = format!("{}[[probes]]\nname = \"other\"\ntype = \"http\"\n", config(&site, &folder.0, ""));
    let checked = run(&["check", "--json", &folder.write("w.toml", &unused)]).json();
    assert_eq!((&checked["ok"], checked["warnings"].as_array().unwrap().len()), (&true.into(), 1));
    let missing = run(&["check", "--json", "/nonexistent/m.toml"]);
    assert_eq!((missing.code, &missing.json()["issues"][0]["line"]), (Some(64), &Value::Null));
}

//----------- Exit codes -----------------------------------------------------

/// Every code of the table is one that a command ends with, and no command ends with another.
#[test]
fn exit_codes_are_those_of_the_readme() {
    let (site, folder) = (Site::new(), Folder(scratch()));
    let good = folder.write("good.toml", &config(&site, &folder.0, ""));
    let bad = folder.write("bad.toml", "version = 2\n");
    let residency = "[gateways.residency]\nconflict = \"resolver\"\nrules = [\n\
                     { clients = [\"EU\"], clusters = [\"IE\"] },\n{ clients = [\"*\"], clusters = [\"*\"] },\n]\n";
    let broken = config(&site, &folder.0, residency).replacen(
        "name = \"eu-west\"\n",
        "name = \"eu-west\"\ncountry = \"IE\"\n",
        1,
    );
    let broken = folder.write("broken.toml", &broken);
    let one = config(&site, &folder.0, "");
    let one = folder.write("one.toml", &one[..one.rfind("[[gateways.endpoints]]").unwrap()]);
    let nowhere = folder.0.join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let explained = ["explain", "shop.gslb.example", "--client", "192.0.2.1", "--config"];
    let cases: Vec<(i32, Vec<&str>)> = vec![
        (0, vec!["check", &good]),
        (0, vec!["prove", &good]),
        (0, vec!["diff", &good, &good, "--max-moved", "0"]),
        (0, [&explained[..], &[&good]].concat()),
        (0, vec!["schema"]),
        (0, vec!["token", "viewer", "ann"]),
        (0, vec!["completions", "bash"]),
        // Nobody serves at these addresses.
        (1, vec!["probe", &good]),
        (1, vec!["prove", &broken]),
        (1, vec!["status", "--data-dir", nowhere]),
        (1, vec!["config", "--data-dir", nowhere]),
        (1, vec!["audit", "--data-dir", nowhere]),
        (
            1,
            vec![
                "override",
                "cluster/eu-west",
                "down",
                "--reason",
                "a drill",
                "--by",
                "ann",
                "--data-dir",
                nowhere,
            ],
        ),
        (1, vec!["drain", "cluster/eu-west", "--reason", "a drill", "--by", "ann", "--data-dir", nowhere]),
        (1, vec!["restore", "cluster/eu-west", "--by", "ann", "--data-dir", nowhere]),
        (1, vec!["reload", "--data-dir", nowhere]),
        (1, vec!["restart", "--data-dir", nowhere]),
        (1, vec!["watch", "--data-dir", nowhere]),
        (1, vec!["token", "viewer", ""]),
        (2, vec!["chekc", &good]),
        (2, vec!["check"]),
        (2, vec!["diff", &good, &good, "--max-moved", "101"]),
        (3, vec!["diff", &good, &one, "--max-moved", "1"]),
        (64, vec!["check", &bad]),
        (64, vec!["check", nowhere]),
        (64, vec!["serve", "--config", &bad]),
        (64, vec!["prove", &bad]),
        (64, vec!["probe", &bad]),
        (64, vec!["diff", &good, &bad]),
        (64, [&explained[..], &[&bad]].concat()),
    ];
    let seen: BTreeSet<String> = cases.iter().map(|(code, arguments)| ends_with(*code, arguments)).collect();
    let listed: BTreeSet<String> =
        table("exit code | meaning").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(listed, seen);
}

/// Runs a command, which ends so and says why.
fn ends_with(code: i32, arguments: &[&str]) -> String {
    let ran = run(arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {}{}", ran.out, ran.err);
    // Whatever goes wrong is said, and on standard error; what a command found is on standard output.
    let is_finding = ["prove", "probe"].contains(&arguments[0]) && code == 1;
    assert!(code == 0 || is_finding || !ran.err.is_empty(), "{arguments:?}");
    code.to_string()
}
