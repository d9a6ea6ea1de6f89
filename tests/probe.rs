//! `meridian probe`: what it says of clusters that serve and of those that do not.

use std::process::{Command, Stdio};

use meridian_tests::{Config, Site, WORLD, binary, scratch};
use serde_json::Value;

/// Exit code, standard output and standard error, without the file's folder.
struct Ran(Option<i32>, String, String);

fn probe(text: &str, flags: &[&str]) -> Ran {
    let folder = scratch();
    let file = folder.join("meridian.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(binary());
    let output = command.arg("probe").arg(&file).args(flags).stdin(Stdio::null()).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).replace(&format!("{}/", folder.display()), "");
    let ran = Ran(output.status.code(), text(&output.stdout), text(&output.stderr));
    std::fs::remove_dir_all(&folder).unwrap();
    ran
}

/// A gateway over three clusters, and one whose probe is made of two.
fn config(site: &Site, other_port: u16) -> String {
    let addresses = [1, 2, 3].map(|host| site.address(host).to_string());
    let endpoints: Vec<(&str, &str)> =
        WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
    Config::new()
        .with(&format!(
            "[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\npath = \"/ready\"\nhost = \"shop.example\"\n\
             headers = {{ Authorization = \"Bearer of-nobody\", X-Shown = \"yes\" }}\n\
             [[probes]]\nname = \"port\"\ntype = \"tcp\"\nport = {other_port}\ntimeout = \"300ms\"\n\
             [[probes]]\nname = \"either\"\ntype = \"any\"\nprobes = [\"web\", \"port\"]\n",
            site.port
        ))
        .clusters(&WORLD)
        .gateway("shop", &["shop.gslb.example"], "probe = \"web\"\n", &endpoints)
        .gateway("mail", &["mail.gslb.example"], "probe = \"either\"\n", &endpoints[..1])
        .text()
        .to_owned()
}

/// Times differ from run to run.
fn without_times(text: &str) -> String {
    let line = |line: &str| match line.split_once(", after ") {
        Some((before, _)) => format!("{before}, after … ms\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn each_target_with_what_was_sent_and_found() {
    let (site, other) = (Site::new(), Site::new());
    let _serving = [1, 2].map(|host| site.cluster(host));
    let text = config(&site, other.port);
    let Ran(code, out, err) = probe(&text, &["--target", "shop"]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    let paragraph = |host: u8, cluster: &str, result: &str| {
        let (at, port) = (site.address(host), site.port);
        // A target of two gateways is named by the first.
        let more = if host == 1 { ", the first of 2 gateways" } else { "" };
        format!(
            "shop/{cluster}/{at}{more}\nprobe      web\nrequest    GET http://{at}:{port}/ready\n\
             sends      user-agent: meridian-probe\n           authorization: (hidden)\n           x-shown: yes\n\
             \x20          host: shop.example\n           connection: close\ntimeout    5s\n\
             result     {result}, after … ms\n\n"
        )
    };
    let wanted = [
        paragraph(1, WORLD[0].0, "good"),
        paragraph(2, WORLD[1].0, "good"),
        paragraph(3, WORLD[2].0, "failed: connection refused"),
        "3 targets: 2 good, 0 degraded, 1 failed, 0 no data\n".to_owned(),
    ];
    assert_eq!(without_times(&out), wanted.concat());
}

#[test]
fn a_probe_made_of_others_says_which_of_them_serve() {
    let (site, other) = (Site::new(), Site::new());
    let _serving = site.cluster(1);
    let Ran(code, out, err) = probe(&config(&site, other.port), &["--target", "either"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("\nprobe      either\nmade of    web: GET http://127."), "{out}");
    let refused = format!(
        "\n           port: connect to {}:{}: failed: connection refused",
        site.address(1),
        other.port
    );
    assert!(out.contains(&refused), "{out}");
    assert!(out.contains("\nresult     good\n\n1 target: 1 good,"), "{out}");
}

#[test]
fn for_programs_it_is_json() {
    let (site, other) = (Site::new(), Site::new());
    let _serving = site.cluster(1);
    let own = site.address(1).to_string();
    let Ran(code, out, err) = probe(&config(&site, other.port), &["--json", "--target", &own]);
    // The TCP port of the address refuses.
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let [web, ..] = &found.as_array().unwrap()[..] else { panic!("{found:#}") };
    assert_eq!((&web["gateway"], &web["cluster"]), (&"shop".into(), &WORLD[0].0.into()));
    assert_eq!(
        (&web["checked"], &web["port"], &web["result"]),
        (&own.into(), &site.port.into(), &"good".into())
    );
    let hidden = |field: &&Value| field["hidden"] == true;
    let headers = web["headers"].as_array().unwrap();
    let hidden: Vec<&Value> = headers.iter().filter(hidden).map(|field| &field["name"]).collect();
    assert_eq!(hidden, ["authorization"]);
    assert!(web["latency_ms"].as_f64().unwrap() > 0.0);
    assert!(!out.contains("of-nobody"), "{out}");
    let results: Vec<&Value> = found.as_array().unwrap().iter().map(|target| &target["result"]).collect();
    assert_eq!(results.iter().filter(|result| **result == "failed").count(), 1, "{found:#}");
}

#[test]
fn what_names_nothing_is_an_error_and_so_is_a_file_with_issues() {
    let site = Site::new();
    let Ran(code, out, err) = probe(&config(&site, 1), &["--target", "shop", "--target", "sohp"]);
    let wanted = "meridian: --target \"sohp\": no target is of such a gateway, cluster, address or probe\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(64), "", wanted));
    let Ran(code, out, err) = probe("version = 1\n[[probes]]\nname = \"web\"\ntype = \"htpp\"\n", &[]);
    assert_eq!((code, out.as_str()), (Some(64), ""));
    assert!(err.starts_with("meridian.toml:4:8: probes[0].type: "), "{err}");
}
