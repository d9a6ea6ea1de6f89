//! The command line, from outside: what it prints and how it ends.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Process, Signal, ask_tcp, ask_udp, binary, scratch, signal};

fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn check(config: &str) -> (Option<i32>, String, String) {
    let folder = scratch();
    let file = folder.join("m.toml");
    std::fs::write(&file, config).unwrap();
    let output = run(&["check", file.to_str().unwrap()]);
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).replace(&format!("{}/", folder.display()), "");
    let result = (output.status.code(), text(&output.stdout), text(&output.stderr));
    std::fs::remove_dir_all(&folder).unwrap();
    result
}

/// The reference configuration of `deploy/` is served as it stands.
#[test]
fn the_reference_file_passes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/meridian.toml");
    let output = run(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains(": ok ("));
}

/// The schema is JSON, and knows the keys of the reference.
#[test]
fn the_schema() {
    let output = run(&["schema"]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    let workers = &schema["properties"]["server"]["properties"]["workers"];
    assert_eq!((&workers["default"], &workers["maximum"]), (&0.into(), &1024.into()));
    assert!(workers["description"].as_str().unwrap().starts_with("Threads that receive UDP"), "{workers}");
}

/// The configuration in the README as well.
#[test]
fn the_example_of_the_readme_passes() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let (code, _, err) = check(example);
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

const GOOD: &str = r#"version = 1
[[zones]]
name = "gslb.example"
nameservers = ["ns.elsewhere.example"]
hostmaster = "hostmaster.example"
[[clusters]]
name = "eu-west"
latitude = 53.35
longitude = -6.26
[[gateways]]
name = "shop"
hostnames = ["shop.gslb.example"]
[[gateways.endpoints]]
cluster = "eu-west"
addresses = ["192.0.2.10"]
"#;

#[test]
fn a_good_file() {
    let (code, out, err) = check(GOOD);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, "m.toml: ok (1 zones, 1 gateways, 1 clusters, 0 targets to probe)\n");
}

/// What no client can reach, as nothing that places clients knows it: said, and no mistake.
#[test]
fn rules_that_no_client_can_reach() {
    let residency = "[gateways.residency]\nrules = [ { clients = [\"US-CA\"], clusters = [\"*\"] } ]\n[[gateways.endpoints]]";
    let geo = "policy = { type = \"geo\", rules = [ { asns = [64500], subdivisions = [\"US-ZZ\"], clusters = [\"*\"] } ], default = { clusters = [\"*\"] } }\n";
    let config = GOOD.replacen("[[gateways.endpoints]]", &format!("{geo}{residency}"), 1);
    let (code, _, err) = check(&config);
    assert_eq!(code, Some(0));
    let known = "warning: no database or network knows a client in";
    assert_eq!(
        err,
        format!(
            "m.toml: gateways[0].policy: {known} AS64500: no client reaches that rule\n\
             m.toml: gateways[0].policy: {known} US-ZZ: no client reaches that rule\n\
             m.toml: gateways[0].residency: {known} US-CA: clients in that country are in no known part of it, \
             and residency.unknown is theirs\n"
        )
    );
    let network =
        "[[geoip.networks]]\nprefix = \"10.0.0.0/8\"\ncountry = \"US\"\nsubdivision = \"CA\"\nasn = 64500\n";
    let (_, _, err) =
        check(&config.replace("US-ZZ", "US-CA").replacen("[[zones]]", &format!("{network}[[zones]]"), 1));
    assert_eq!(err, "");
}

/// Every issue at once, in the file's order, each with its place; exit 64.
#[test]
fn every_issue_at_once() {
    let bad = GOOD
        .replace("latitude = 53.35", "latitude = 153.35")
        .replace("cluster = \"eu-west\"", "cluster = \"eu-wset\"")
        .replace("192.0.2.10", "192.0.2.300")
        .replace("shop.gslb.example", "shop.example")
        .replace("version = 1\n", "version = 1\n[geoip]\ndatabases = [\"/nonexistent/City.mmdb\"]\n")
        .replace("name = \"shop\"", "name = \"shop\"\nprobe = \"web\"\ncolour = \"blue\"");
    let (code, out, err) = check(&bad);
    assert_eq!((code, out.as_str()), (Some(64), ""));
    let lines: Vec<&str> = err.lines().collect();
    let wanted = [
        ("m.toml:3:14: geoip.databases[0]: expected a MaxMind DB", "/nonexistent/City.mmdb: no file"),
        ("m.toml:10:12: clusters[0].latitude: expected ", "153.35"),
        ("m.toml:14:9: gateways[0].probe: expected ", "\"web\""),
        ("m.toml:15:1: gateways[0].colour: expected ", "unknown key"),
        ("m.toml:16:14: gateways[0].hostnames[0]: expected ", "\"shop.example\""),
        ("m.toml:18:11: gateways[0].endpoints[0].cluster: expected ", "\"eu-wset\""),
        ("m.toml:19:14: gateways[0].endpoints[0].addresses[0]: expected ", "\"192.0.2.300\""),
    ];
    assert_eq!(lines.len(), wanted.len(), "{err}");
    for (line, (start, found)) in lines.iter().zip(wanted) {
        let (_, after) = line.split_once(", found ").unwrap_or_else(|| panic!("{line}"));
        assert!(line.starts_with(start) && after.contains(found), "{line}\nwanted {start} … found {found}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let output = run(&["check", "/nonexistent/m.toml"]);
    assert_eq!(output.status.code(), Some(64));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.starts_with("/nonexistent/m.toml:") && message.contains("No such file"), "{message}");
}

/// A database that is missing, truncated or of another kind is an issue of the file, at its line.
#[test]
fn databases_that_cannot_be_used() {
    let folder = scratch();
    let embedded =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../geoip/data/geo-whois-asn-country.mmdb"));
    let embedded = embedded.unwrap();
    std::fs::write(folder.join("truncated.mmdb"), &embedded[..embedded.len() / 2]).unwrap();
    std::fs::write(folder.join("text.mmdb"), "not a database").unwrap();
    let names = ["missing.mmdb", "truncated.mmdb", "text.mmdb"].map(|name| folder.join(name));
    let list: Vec<String> = names.iter().map(|path| format!("{:?}", path.to_str().unwrap())).collect();
    let (code, _, err) = check(&format!("{GOOD}[geoip]\ndatabases = [{}]\n", list.join(", ")));
    assert_eq!(code, Some(64));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), names.len(), "{err}");
    for (index, line) in lines.iter().enumerate() {
        assert!(line.starts_with("m.toml:17:"), "{line}");
        assert!(line.contains(&format!(" geoip.databases[{index}]: expected a ")), "{line}");
        assert!(line.contains(&format!("MaxMind DB, found {}: ", names[index].display())), "{line}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What is no certificate in spite of its marks is found before a check fails for it.
#[test]
fn a_probe_that_can_never_be_run() {
    let folder = scratch();
    let pem = folder.join("ca.pem");
    std::fs::write(&pem, "-----BEGIN CERTIFICATE-----\nnothing\n").unwrap();
    let probes = format!(
        "[[probes]]\nname = \"a\"\ntype = \"icmp\"\n[[probes]]\nname = \"b\"\ntype = \"tls\"\nca_file = {:?}\n",
        pem.to_str().unwrap()
    );
    let file = folder.join("m.toml");
    std::fs::write(&file, format!("{GOOD}{probes}[geoip]\ndatabases = [\"missing.mmdb\"]\n")).unwrap();
    for command in [&["check"][..], &["serve", "--config"]] {
        let output = run(&[command, &[file.to_str().unwrap()]].concat());
        let err = String::from_utf8_lossy(&output.stderr).replace(&format!("{}/", folder.display()), "");
        assert_eq!(output.status.code(), Some(64), "{err}");
        let lines: Vec<&str> = err.lines().collect();
        let [probe, database] = lines[..] else { panic!("expected two issues, found {err}") };
        let wanted = "m.toml:19:1: probes[1]: expected a probe that can be run, found ca_file: no \
                      \"-----END CERTIFICATE-----\" in it";
        assert_eq!(probe, wanted);
        assert!(database.starts_with("m.toml:24:"), "{database}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// In a network of its own, without the capability: there the kernel forbids ICMP, wherever this runs.
#[test]
fn a_probe_that_the_kernel_forbids() {
    let folder = scratch();
    let file = folder.join("m.toml");
    std::fs::write(&file, format!("{GOOD}[[probes]]\nname = \"a\"\ntype = \"icmp\"\n")).unwrap();
    let mut alone = Command::new("unshare");
    alone.args(["--map-root-user", "--net", "setpriv", "--bounding-set", "-net_raw"]);
    alone.arg(binary()).arg("check").stdin(Stdio::null());
    let without = alone.arg(&file).output();
    let is_run = without.as_ref().is_ok_and(|output| !output.stdout.is_empty());
    if !is_run {
        return eprintln!("not tested, expected unshare and setpriv to run: {without:?}");
    }
    assert_eq!(without.unwrap().status.code(), Some(0), "the file is good");
    let output = alone.arg("--probe").output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).replace(&format!("{}/", folder.display()), "");
    let wanted = "m.toml:16:1: probes[0]: expected a probe that this process may run here, found ICMP is \
                  forbidden here: net.ipv4.ping_group_range has no group of this process, and it has no \
                  CAP_NET_RAW\n";
    assert_eq!((output.status.code(), &*err), (Some(64), wanted));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn serve_refuses_what_check_refuses() {
    let folder = scratch();
    let file = folder.join("m.toml");
    std::fs::write(&file, GOOD.replace("53.35", "\"north\"")).unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("clusters[0].latitude: expected"));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A busy port: the message names it, and what to change.
#[test]
fn a_port_in_use() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["demo", "--listen", &address, "--http-port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains(&address) && message.contains("--listen") && message.contains("in use"),
        "{message}"
    );

    let http = std::net::TcpListener::bind("127.0.10.1:0").unwrap();
    let port = http.local_addr().unwrap().port().to_string();
    let output = run(&["demo", "--listen", "127.0.0.1:0", "--http-port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains(&port) && message.contains("--http-port") && message.contains("in use"),
        "{message}"
    );

    let folder = scratch();
    let file = folder.join("m.toml");
    std::fs::write(&file, format!("{GOOD}[server]\nlisten = [\"{address}\"]\n")).unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains(&address) && message.contains("listen") && message.contains("m.toml"),
        "{message}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

//----------- Demo -----------------------------------------------------------

const DEMO: [&str; 5] = ["demo", "--listen", "127.0.0.1:0", "--http-port", "0"];

/// Reads until a line contains the text; returns what was read, that line last.
fn until(from: &mut dyn BufRead, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let read = from.read_line(&mut line).unwrap_or(0);
        assert!(read > 0, "no line with {text:?}: {lines:#?}");
        let line = line.trim_end().to_owned();
        lines.push(line.clone());
        if line.contains(text) {
            return lines;
        }
    }
}

/// The three `dig` lines: port and client subnet, with the town they promise.
fn dig_lines(lines: &[String]) -> Vec<(u16, String, String)> {
    let parse = |line: &String| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let port = words.iter().position(|word| *word == "-p")? + 1;
        let subnet = words.iter().find_map(|word| word.strip_prefix("+subnet="))?;
        let subnet = subnet.strip_suffix("/24")?;
        Some((words[port].parse().ok()?, subnet.to_owned(), (*words.last()?).to_owned()))
    };
    lines.iter().filter_map(parse).collect()
}

fn terminate(mut demo: Process) -> Option<i32> {
    signal(&demo.0, Signal::SIGTERM);
    demo.0.wait().unwrap().code()
}

/// Without a terminal it just runs: its own lines tell the truth, over UDP and TCP.
#[test]
fn the_demo_answers_as_it_says() {
    let demo = Command::new(binary()).args(DEMO).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut demo = Process(demo.unwrap());
    let mut out = BufReader::new(demo.0.stdout.take().unwrap());
    let lines = until(&mut out, "No terminal");
    let digs = dig_lines(&lines);
    let towns: Vec<&str> = digs.iter().map(|(_, _, town)| town.as_str()).collect();
    assert_eq!(towns, ["Dublin", "Virginia", "Tokyo"], "{lines:#?}");
    for ((port, subnet, _), address) in digs.iter().zip(["127.0.10.1", "127.0.20.1", "127.0.30.1"]) {
        let server = ([127, 0, 0, 1], *port).into();
        let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(subnet, 24);
        assert_eq!(ask_udp(server, &ask).unwrap().addresses(), [address]);
        assert_eq!(ask_tcp(server, &ask).unwrap().addresses(), [address]);
    }
    assert_eq!(terminate(demo), Some(0));
}

/// At a terminal the keys break and mend a cluster, and the answers move.
#[test]
fn the_demo_at_a_terminal() {
    let pty = nix::pty::openpty(None, None).unwrap();
    let inside = |end: &std::os::fd::OwnedFd| Stdio::from(end.try_clone().unwrap());
    let demo = Command::new(binary()).args(DEMO).stdin(inside(&pty.slave)).stdout(inside(&pty.slave)).spawn();
    let mut demo = Process(demo.unwrap());
    drop(pty.slave);
    let mut keyboard = File::from(pty.master.try_clone().unwrap());
    let mut screen = BufReader::new(File::from(pty.master));
    let lines = until(&mut screen, "Keys: 1 2 3");
    let (port, subnet, town) = dig_lines(&lines).remove(0);
    assert_eq!(town, "Dublin");
    let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(&subnet, 24);
    let server = ([127, 0, 0, 1], port).into();

    keyboard.write_all(b"1").unwrap();
    until(&mut screen, "(Dublin) is broken");
    until(&mut screen, "127.0.10.1 is unhealthy (was healthy): GET http://127.0.10.1");
    until(&mut screen, "now Ireland -> Virginia");
    assert_eq!(ask_udp(server, &ask).unwrap().addresses(), ["127.0.20.1"]);
    keyboard.write_all(b"1").unwrap();
    until(&mut screen, "(Dublin) is mended");
    until(&mut screen, "127.0.10.1 is healthy (was unhealthy)");
    until(&mut screen, "now Ireland -> Dublin");
    assert_eq!(ask_udp(server, &ask).unwrap().addresses(), ["127.0.10.1"]);

    keyboard.write_all(b"q").unwrap();
    assert_eq!(demo.0.wait().unwrap().code(), Some(0));
    // The master reports the end of the slave as an error or an end of file.
    let _rest = screen.read_to_end(&mut Vec::new());
}

/// A real shell completes by what is printed for it.
#[test]
fn a_shell_completes_commands_and_options() {
    let script = run(&["completions", "bash"]);
    assert_eq!(script.status.code(), Some(0));
    let folder = scratch();
    let file = folder.join("meridian.bash");
    std::fs::write(&file, &script.stdout).unwrap();
    let complete = |words: &[&str]| {
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let asked = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={}; _meridian meridian '{last}' '{before}'; echo \"${{COMPREPLY[@]}}\"",
            file.display(),
            words.join(" "),
            words.len() - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &asked]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete(&["meridian", "stat"]), "status");
    assert_eq!(complete(&["meridian", "status", "--dat"]), "--data-dir");
    std::fs::remove_dir_all(&folder).unwrap();
    for shell in ["zsh", "fish"] {
        let script = String::from_utf8(run(&["completions", shell]).stdout).unwrap();
        for word in ["status", "override", "data-dir"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "perl"]).status.code(), Some(2));
}
