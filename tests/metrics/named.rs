//! What is named elsewhere: the table of the README, the alerts, the dashboards, the compose file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use meridian_tests::scratch;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use super::Stage;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// By name: the type and the labels of each metric, as far as it has samples.
type Shape = BTreeMap<String, (String, Option<BTreeSet<String>>)>;

fn shape(page: &str) -> Shape {
    let mut all: Shape = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        all.insert(name.to_owned(), (kind.to_owned(), None));
    }
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) =
            line.rsplit_once(' ').unwrap().0.split_once('{').unwrap_or((line.split(' ').next().unwrap(), ""));
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let name = if all.contains_key(name) { name } else { part.unwrap_or(name) };
        let labels =
            labels.trim_end_matches('}').split(',').filter_map(|label| Some(label.split_once('=')?.0));
        let known = all.get_mut(name).unwrap_or_else(|| panic!("{name} has no type"));
        known.1.get_or_insert_default().extend(labels.filter(|label| *label != "le").map(str::to_owned));
    }
    all
}

/// A page on which as many metrics as can be have a sample.
fn full_page() -> String {
    let stage = Stage::new(
        "[[probes]]\nname = \"web\"\ntype = \"tcp\"\nport = 1\ninterval = \"200ms\"\ntimeout = \"100ms\"\n\
         [[gateways]]\nname = \"probed\"\nhostnames = [\"probed.gslb.example\"]\nprobe = \"web\"\n\
         [[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"127.0.0.9\"]\n",
    );
    let say = r#"{"target": "cluster/eu-west", "state": "down", "reason": "a drill", "by": "ann"}"#;
    let mut command = Command::new("curl");
    command.args(["--silent", "--fail", "-X", "PUT", "-H", "Content-Type: application/json", "-d", say]);
    command.arg("--unix-socket").arg(stage.data_dir.join("meridian.sock"));
    assert!(command.arg("http://meridian/v1/overrides").output().unwrap().status.success());
    stage.text(&[])
}

#[test]
fn the_page_is_as_the_table_says_and_as_tools_want_it() {
    let page = full_page();
    assert_eq!(promtool(&["check", "metrics"], &page), "");
    let readme = file("crates/admin/README.md");
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter(|line| line.starts_with("meridian_") || line.starts_with("process_"));
    let written: BTreeMap<String, (String, BTreeSet<String>)> = rows
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next().unwrap().trim_end_matches('`').to_owned();
            let kind = cells.next().unwrap().to_owned();
            let labels = cells.next().unwrap().split(['`', ',', ' ', '–']).filter(|word| !word.is_empty());
            (name, (kind, labels.map(str::to_owned).collect()))
        })
        .collect();
    let shown = shape(&page);
    assert_eq!(written.keys().collect::<Vec<_>>(), shown.keys().collect::<Vec<_>>());
    for (name, (kind, labels)) in &shown {
        assert_eq!(*kind, written[name].0, "{name}");
        let labels = labels.as_ref().unwrap_or_else(|| panic!("{name} has no sample"));
        // Its labels are what `[metrics]` says.
        if name != "meridian_dns_answers_total" {
            assert_eq!(*labels, written[name].1, "{name}");
        }
    }
}

/// The same in OpenMetrics, for who asks for that.
#[test]
fn the_format_is_the_one_that_is_asked_for() {
    let stage = Stage::new("");
    let open = stage.text(&[
        "--include",
        "--header",
        "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    ]);
    assert!(
        open.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{open}"
    );
    assert!(open.contains("# TYPE meridian_build info\n") && open.ends_with("# EOF\n"), "{open}");
    assert_eq!(open.matches("# EOF").count(), 1);
    let text = stage.text(&["--include"]);
    assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{text}");
    assert!(!text.contains("# EOF"));
}

/// What alerts and dashboards name is on the page, and what tools can say of them is good.
#[test]
fn alerts_and_dashboards_name_what_there_is() {
    let folder = root().join("deploy/prometheus");
    let path = |name: &str| folder.join(name).display().to_string();
    promtool(&["check", "rules", &path("alerts.yml")], "");
    promtool(&["check", "config", &path("prometheus.yml")], "");
    promtool(&["test", "rules", &path("alerts_test.yml")], "");
    let mut expressions = Vec::new();
    let alerts = YamlLoader::load_from_str(&file("deploy/prometheus/alerts.yml")).unwrap();
    for group in alerts[0]["groups"].as_vec().unwrap() {
        for rule in group["rules"].as_vec().unwrap() {
            let name = rule["alert"].as_str().unwrap();
            for key in ["summary", "description"] {
                assert!(rule["annotations"][key].as_str().is_some(), "{name} has no {key}");
            }
            assert!(
                ["page", "ticket", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()),
                "{name}"
            );
            expressions.push(rule["expr"].as_str().unwrap().to_owned());
        }
    }
    for name in ["operate", "drills"] {
        let dashboard: Value = serde_json::from_str(&file(&format!("deploy/grafana/{name}.json"))).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        assert!(panels.len() > 10);
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}: an id twice");
        for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            expressions.extend(variable["query"]["query"].as_str().map(str::to_owned));
        }
    }
    let shown = shape(&full_page());
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named = BTreeSet::new();
    for expression in &expressions {
        let words = expression.split(|c: char| !is_word(c));
        named.extend(words.filter(|word| word.starts_with("meridian_") || word.starts_with("process_")));
    }
    assert!(named.len() > 30, "{named:?}");
    for name in named {
        let part =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(shown.contains_key(name) || shown.contains_key(part), "{name} is no metric");
    }
    // The language has one parser here: Prometheus' own.
    let queries = expressions.iter().filter(|expression| !expression.starts_with("label_values"));
    let rule = |expression: &String| {
        let plain = expression.replace("$__rate_interval", "1m").replace("$instance", ".*");
        format!("{{record: a, expr: {}}}", serde_json::to_string(&plain).unwrap())
    };
    let rules: Vec<String> = queries
        .enumerate()
        .map(|(number, of)| rule(of).replace("record: a", &format!("record: a{number}")))
        .collect();
    let written = scratch().join("rules.yml");
    std::fs::write(&written, format!("groups: [{{name: a, rules: [{}]}}]", rules.join(","))).unwrap();
    promtool(&["check", "rules", written.to_str().unwrap()], "");
    let _kept = std::fs::remove_dir_all(written.parent().unwrap());
}

/// What can be said of the compose file without Docker: images have versions, ports are on loopback and none twice,
/// what is mounted is there, and what Grafana is told fits.
#[test]
fn the_compose_file_holds_together() {
    let compose = &YamlLoader::load_from_str(&file("deploy/compose.yaml")).unwrap()[0];
    let services = compose["services"].as_hash().unwrap();
    let mut ports = BTreeSet::new();
    for (name, service) in services {
        let image = service["image"].as_str().unwrap();
        assert!(image.rsplit_once(':').unwrap().1.contains('.'), "{image} has no version");
        for port in service["ports"].as_vec().unwrap() {
            let [address, outside, _inside] = port.as_str().unwrap().split(':').collect::<Vec<_>>()[..]
            else {
                panic!("{port:?}")
            };
            assert_eq!(address, "127.0.0.1");
            assert!(ports.insert(outside.parse::<u16>().unwrap()), "{outside} twice");
        }
        for volume in service["volumes"].as_vec().into_iter().flatten() {
            let volume = volume.as_str().unwrap();
            let source = volume.split(':').next().unwrap();
            match source.strip_prefix("./") {
                Some(path) => {
                    assert!(root().join("deploy").join(path).exists(), "{path}");
                    assert!(volume.ends_with(":ro"), "{volume}");
                }
                None => assert!(!compose["volumes"][source].is_badvalue(), "{source}"),
            }
        }
        for needed in service["depends_on"].as_vec().into_iter().flatten() {
            assert!(services.contains_key(needed), "{name:?} needs {needed:?}");
        }
    }
    assert!([3000, 4317, 4318, 9090, 16686].iter().all(|port| ports.contains(port)), "{ports:?}");
    let sources =
        &YamlLoader::load_from_str(&file("deploy/grafana/provisioning/datasources/meridian.yml")).unwrap()[0];
    for source in sources["datasources"].as_vec().unwrap() {
        let host = source["url"].as_str().unwrap().trim_start_matches("http://").split(':').next().unwrap();
        assert!(services.contains_key(&Yaml::String(host.to_owned())), "{host}");
    }
    let boards =
        &YamlLoader::load_from_str(&file("deploy/grafana/provisioning/dashboards/meridian.yml")).unwrap()[0];
    let path = boards["providers"][0]["options"]["path"].as_str().unwrap();
    let mounts = services[&Yaml::String("grafana".to_owned())]["volumes"].as_vec().unwrap();
    let dashboards = mounts.iter().filter(|mount| mount.as_str().unwrap().contains(&format!(":{path}/")));
    assert_eq!(dashboards.count(), 2);
}

/// `promtool` with these arguments and this on its standard input.
fn promtool(arguments: &[&str], input: &str) -> String {
    let file = scratch().join("input");
    std::fs::write(&file, input).unwrap();
    let input = std::fs::File::open(&file).unwrap();
    let output = Command::new("promtool").args(arguments).stdin(input).output().expect("Debian's prometheus");
    let _kept = std::fs::remove_dir_all(file.parent().unwrap());
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}
