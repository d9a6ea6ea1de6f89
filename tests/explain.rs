//! `meridian explain` and `meridian prove`: what they print, held by the files in `golden/`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p meridian-tests --test explain` rewrites them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use meridian_tests::{binary, scratch};

/// Everything that explain has words for: networks of the operator's own place all clients.
const CONFIG: &str = r#"version = 1

[[geoip.networks]]
prefix = "192.0.2.0/25"
country = "DE"
asn = 64500

[[geoip.networks]]
prefix = "192.0.2.128/25"
country = "US"
subdivision = "CA"

[[geoip.networks]]
prefix = "198.51.100.0/24"
asn = 64501

[[zones]]
name = "gslb.example"
nameservers = ["ns.elsewhere.example"]
hostmaster = "hostmaster.example"
[[zones.records]]
name = "static"
type = "TXT"
data = ["hello"]
[[zones.records]]
name = "buy"
type = "CNAME"
data = ["media"]

[[clusters]]
name = "eu-west"
latitude = 53.35
longitude = -6.26
country = "IE"
[[clusters]]
name = "eu-central"
latitude = 50.11
longitude = 8.68
country = "DE"
[[clusters]]
name = "us-east"
latitude = 39.04
longitude = -77.49
country = "US"

[[probes]]
name = "web"
type = "http"

[[gateways]]
name = "shop"
hostnames = ["shop.gslb.example"]
probe = "web"
sticky = true
policy = { type = "failover", tiers = [
    { clusters = ["eu-*"], policy = { type = "nearest", bias = { "eu-west" = 50 } }, min_healthy = 2 },
    { clusters = ["*"] },
] }
[gateways.rollout]
track = "canary"
percent = 50
[gateways.residency]
rules = [
    { clients = ["DE"], clusters = ["EU"] },
    { clients = ["US-CA"], clusters = ["US"] },
    { clients = ["*"], clusters = ["*"] },
]
[[gateways.endpoints]]
cluster = "eu-west"
addresses = ["203.0.113.1", "2001:db8::1"]
[[gateways.endpoints]]
cluster = "eu-central"
addresses = ["203.0.113.2"]
[[gateways.endpoints]]
cluster = "eu-central"
addresses = ["203.0.113.3"]
track = "canary"
[[gateways.endpoints]]
cluster = "us-east"
addresses = ["203.0.113.4"]

[[gateways]]
name = "media"
hostnames = ["media.gslb.example"]
policy = { type = "geo", rules = [
    { prefixes = ["192.0.2.64/26"], clusters = ["us-east"] },
    { asns = [64500], clusters = ["eu-central"] },
    { countries = ["US"], clusters = ["us-east"], policy = "weighted" },
], default = { clusters = ["*"] } }
[[gateways.endpoints]]
cluster = "eu-central"
addresses = ["203.0.113.12"]
[[gateways.endpoints]]
cluster = "us-east"
addresses = ["203.0.113.14"]

[[gateways]]
name = "fast"
hostnames = ["fast.gslb.example"]
policy = { type = "latency", table = "latency.csv", within_ms = 5 }
[[gateways.endpoints]]
cluster = "eu-west"
addresses = ["203.0.113.21"]
[[gateways.endpoints]]
cluster = "eu-central"
addresses = ["203.0.113.22"]
[[gateways.endpoints]]
cluster = "us-east"
addresses = ["203.0.113.24"]
"#;

/// The latencies that `fast` goes by.
const LATENCY: &str = "clients,cluster,ms\n192.0.2.0/26,us-east,3.5\nAS64500,eu-west,4\nDE,eu-central,12\n";

struct Files(PathBuf);

impl Files {
    fn new(config: &str) -> Self {
        let folder = scratch();
        std::fs::write(folder.join("m.toml"), config).unwrap();
        std::fs::write(folder.join("latency.csv"), LATENCY).unwrap();
        Self(folder)
    }

    /// Standard output and the exit code; nothing may be on standard error.
    fn run(&self, arguments: &str) -> (String, Option<i32>) {
        let output = Command::new(binary())
            .args(arguments.split(' '))
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments}");
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // The folder is the test's own.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// Holds the outputs of some commands against a file, one behind the other.
fn golden(name: &str, files: &Files, commands: &[&str]) {
    let mut found = String::new();
    for command in commands {
        let (text, code) = files.run(command);
        found.push_str(&format!("$ meridian {command}\n{text}[exit {}]\n\n", code.unwrap()));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{name} differs; found:\n{found}");
}

#[test]
fn explain_names_every_stage() {
    let files = Files::new(CONFIG);
    let client = |rest: &str| format!("explain --config m.toml {rest}");
    let commands = [
        client("shop.gslb.example --client 192.0.2.1"),
        client("shop.gslb.example --client 192.0.2.1 --down eu-west --down 203.0.113.3"),
        client("shop.gslb.example --client 192.0.2.1 --down eu-west --down eu-central"),
        client("shop.gslb.example --client 192.0.2.1 --resolver 192.0.2.200"),
        client("shop.gslb.example --client 192.0.2.200 --down us-east"),
        client("shop.gslb.example --client 192.0.2.1 --override cluster/eu-west=down"),
        client("shop.gslb.example --client 192.0.2.1 --override endpoint/shop/eu-central/203.0.113.2=drain"),
        client("shop.gslb.example --client 192.0.2.1 --down eu-west --override gateway/shop=up"),
        client("shop.gslb.example --client 192.0.2.1 --type AAAA"),
        client("shop.gslb.example --client 198.51.100.1"),
        client("us-east.shop.site.gslb.example --client 192.0.2.1"),
        client("us-east.shop.site.gslb.example --client 192.0.2.200 --down us-east"),
        client("media.gslb.example --client 192.0.2.70"),
        client("media.gslb.example --client 192.0.2.200"),
        client("fast.gslb.example --client 192.0.2.1"),
        client("static.gslb.example --client 192.0.2.1 --type TXT"),
        client("buy.gslb.example --client 192.0.2.200"),
        client("nothing.gslb.example --client 192.0.2.1"),
        client("elsewhere.example --client 192.0.2.1"),
    ];
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    golden("explain.txt", &files, &commands);
}

#[test]
fn explain_as_json() {
    let files = Files::new(CONFIG);
    golden(
        "explain.json.txt",
        &files,
        &[
            "explain --config m.toml --json shop.gslb.example --client 192.0.2.1 --resolver 192.0.2.200 --down eu-west",
        ],
    );
}

#[test]
fn prove_shows_who_can_be_served_by_whom() {
    let files = Files::new(CONFIG);
    golden("prove.txt", &files, &["prove m.toml"]);
    // Germans are taken by the first rule, so the rule for the EU does not hold for them.
    let shadowed = CONFIG.replace(
        "{ clients = [\"DE\"], clusters = [\"EU\"] },",
        "{ clients = [\"DE\"], clusters = [\"*\"] }, { clients = [\"EU\"], clusters = [\"EU\"] },",
    );
    // By the resolver's place, a client of the EU behind a resolver elsewhere is served from elsewhere.
    let resolver =
        CONFIG.replace("[gateways.residency]\n", "[gateways.residency]\nconflict = \"resolver\"\n");
    for (name, config) in [("prove-shadowed.txt", shadowed), ("prove-resolver.txt", resolver)] {
        golden(name, &Files::new(&config), &["prove m.toml"]);
    }
}

/// What a hostname resolves to is not known beforehand: it counts as anything, not as nothing.
#[test]
fn hostnames_of_endpoints_are_proven_as_addresses_are() {
    let by_name = |config: &str| {
        let mut config = config.to_owned();
        for (address, name) in [
            (r#""203.0.113.1", "2001:db8::1""#, r#""lb-1.elb.example.""#),
            (r#""203.0.113.2""#, r#""lb-2.elb.example.""#),
            (r#""203.0.113.3""#, r#""lb-3.elb.example.""#),
            (r#""203.0.113.4""#, r#""lb-4.elb.example.""#),
        ] {
            assert_eq!(config.matches(address).count(), 1);
            config = config.replace(address, name);
        }
        config
    };
    let resolver =
        CONFIG.replace("[gateways.residency]\n", "[gateways.residency]\nconflict = \"resolver\"\n");
    for (config, code) in [(CONFIG, 0), (&resolver, 1)] {
        let by_address = Files::new(config).run("prove m.toml");
        assert_eq!(by_address.1, Some(code), "{}", by_address.0);
        assert_eq!(Files::new(&by_name(config)).run("prove m.toml"), by_address);
    }
}

/// A cluster that no policy names is answered under no health, however many endpoints there are.
#[test]
fn many_endpoints_are_proven_as_few_are() {
    let tiers = "policy = { type = \"failover\", tiers = [ { clusters = [\"eu-*\"] } ] }\n\
                 all_down = \"nodata\"\nsite_names = false\n";
    let start = CONFIG.find("sticky = true").unwrap();
    let end = CONFIG.find("[gateways.rollout]").unwrap();
    let few = format!("{}{tiers}{}", &CONFIG[..start], &CONFIG[end..]).replace(
        "{ clients = [\"US-CA\"], clusters = [\"US\"] },",
        "{ clients = [\"US\"], clusters = [\"US\"] },",
    );
    let endpoint = |index: u8| {
        format!(
            "[[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"203.0.113.{index}\"]\ntrack = \"{}\"\n",
            ["stable", "canary", "blue", "green"][usize::from(index) % 4]
        )
    };
    let more: String = (100..140).map(endpoint).collect();
    let first = "[[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"203.0.113.1\"";
    let many = few.replace(first, &format!("{more}{first}"));
    let (proven, code) = Files::new(&few).run("prove m.toml");
    assert_eq!(code, Some(0), "{proven}");
    assert!(proven.contains("US clients of shop: no cluster"), "{proven}");
    assert_eq!(Files::new(&many).run("prove m.toml"), (proven, code));
}

#[test]
fn what_cannot_be_explained() {
    let files = Files::new(&CONFIG.replace("percent = 50", "percent = 500"));
    for command in ["explain --config m.toml shop.gslb.example --client 192.0.2.1", "prove m.toml"] {
        let output = Command::new(binary()).args(command.split(' ')).current_dir(&files.0).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{error}");
        assert!(error.contains("m.toml:61:11: gateways[0].rollout.percent"), "{error}");
    }
    let down = Files::new(CONFIG);
    let output = Command::new(binary())
        .args("explain --config m.toml shop.gslb.example --client 192.0.2.1 --down eu-nowhere".split(' '))
        .current_dir(&down.0)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("eu-nowhere"));
}
