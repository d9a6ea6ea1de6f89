//! What policies, jurisdictions and residency mean in a file without mistakes.

use std::path::{Path, PathBuf};

use meridian_config::{Issue, Loaded, load, parse};
use meridian_model::{
    ClientMatch, ClusterId, Conflict, CountryCode, Geo, JurisdictionId, Latency, Nearest, Policy,
    ResidencyClients, Share, Tier, UnknownClients,
};

const EU: usize = 0;
const US: usize = 1;

/// Two clusters and a spare one that is under other law, and gateways with what is given in each.
fn text(top: &str, gateways: &[&str]) -> String {
    let mut text = format!(
        r#"
version = 1
{top}
[[zones]]
name = "z.example"
nameservers = ["ns.elsewhere.org"]
hostmaster = "h.example"
[[clusters]]
name = "eu"
latitude = 53.35
longitude = -6
country = "IE"
[[clusters]]
name = "us"
latitude = 39
longitude = -77
country = "US"
jurisdictions = ["US-VA"]
[[clusters]]
name = "spare"
latitude = 50
longitude = 8
country = "DE"
jurisdictions = ["US-CA", "EU"]
"#
    );
    for (index, keys) in gateways.iter().enumerate() {
        text.push_str(&format!(
            r#"
[[gateways]]
name = "g{index}"
hostnames = ["g{index}.z.example"]
{keys}
[[gateways.endpoints]]
cluster = "us"
addresses = ["192.0.2.2"]
[[gateways.endpoints]]
cluster = "eu"
addresses = ["192.0.2.1"]
[[gateways.endpoints]]
cluster = "us"
addresses = ["192.0.2.3"]
"#
        ));
    }
    text
}

fn with_gateway(keys: &str) -> Loaded {
    parse(&text("", &[keys]), Path::new("m.toml")).unwrap_or_else(|issues| panic!("{issues}"))
}

fn policy(policy: &str) -> (Policy, Loaded) {
    let loaded = with_gateway(&format!("policy = {policy}"));
    (loaded.catalog.gateways()[0].policy.clone(), loaded)
}

fn cluster(index: usize) -> ClusterId {
    ClusterId::from_index(index)
}

fn country(code: &str) -> CountryCode {
    CountryCode::parse(code).expect("a code")
}

fn names(loaded: &Loaded, ids: &[JurisdictionId]) -> Vec<String> {
    ids.iter().map(|id| loaded.catalog.jurisdiction(*id).name.to_string()).collect()
}

//----------- Policies -------------------------------------------------------

#[test]
fn nearest_by_its_defaults_and_with_every_key() {
    assert_eq!(policy("\"nearest\"").0, Policy::Nearest(Nearest::default()));
    assert_eq!(policy("{ type = \"nearest\" }").0, Policy::Nearest(Nearest::default()));
    let defaults = "{ type = \"nearest\", within_km = 0, bias = { \"*\" = 0 } }";
    assert_eq!(policy(defaults).0, Policy::Nearest(Nearest::default()));
    let bent = "{ type = \"nearest\", within_km = 20000, max_km = 1, bias = { us = -99, \"e*\" = 99 } }";
    let wanted =
        Nearest { within_km: 20_000, max_km: Some(1), bias: vec![(cluster(EU), 99), (cluster(US), -99)] };
    assert_eq!(policy(bent).0, Policy::Nearest(wanted));
}

#[test]
fn a_bias_may_be_a_table_of_its_own() {
    let keys = "[gateways.policy]\ntype = \"nearest\"\n[gateways.policy.bias]\n\"?s\" = 5";
    let wanted = Nearest { bias: vec![(cluster(US), 5)], ..Nearest::default() };
    assert_eq!(with_gateway(keys).catalog.gateways()[0].policy, Policy::Nearest(wanted));
}

#[test]
fn tiers_by_their_defaults_and_with_every_key() {
    let (policy, _) = policy(
        r#"{ type = "failover", tiers = [
            { clusters = ["us"], policy = "all", min_healthy = 2, panic_below = 0.5 },
            { clusters = ["*"], panic_below = 1 },
            { clusters = ["eu"] },
        ] }"#,
    );
    let wanted = vec![
        Tier {
            clusters: vec![cluster(US)],
            policy: Policy::All,
            min_healthy: 2,
            panic_below: Share::from_fraction(0.5).unwrap(),
        },
        Tier { panic_below: Share::ALL, ..Tier::new(vec![cluster(EU), cluster(US)], Policy::default()) },
        Tier::new(vec![cluster(EU)], Policy::default()),
    ];
    assert_eq!(policy, Policy::Failover(wanted));
}

#[test]
fn geo_with_every_condition() {
    let (policy, loaded) = policy(
        r#"{ type = "geo", default = { clusters = ["*"], policy = "weighted" }, rules = [
            { prefixes = ["10.1.0.0/16"], asns = [64500], subdivisions = ["us-ca"], countries = ["de"],
              continents = ["AS"], jurisdictions = ["EEA"], clusters = ["eu"], min_healthy = 1 },
            { prefixes = ["10.0.0.0/8"], clusters = ["us"] },
        ] }"#,
    );
    let Policy::Geo(geo) = policy else { panic!("{policy:?}") };
    let Geo { rules, default } = *geo;
    assert_eq!(default, Tier::new(vec![cluster(EU), cluster(US)], Policy::Weighted));
    let [first, second] = rules.as_slice() else { panic!("two rules") };
    let [
        ClientMatch::Prefix(inner),
        ClientMatch::Asn(64500),
        ClientMatch::Subdivision(us, ca),
        ClientMatch::Country(de),
        ClientMatch::Continent(meridian_model::Continent::Asia),
        ClientMatch::Jurisdiction(eea),
    ] = first.clients.as_slice()
    else {
        panic!("{:?}", first.clients)
    };
    assert_eq!((us.as_str(), &**ca, de.as_str()), ("US", "CA", "DE"));
    assert_eq!(names(&loaded, &[*eea]), ["EEA"]);
    assert_eq!((first.tier.clusters.as_slice(), first.tier.min_healthy), (&[cluster(EU)][..], 1));
    let [ClientMatch::Prefix(outer)] = second.clients.as_slice() else { panic!("{:?}", second.clients) };
    // What holds a prefix comes before it, whatever the order of the rules.
    assert!(outer < inner);
    assert_eq!(loaded.catalog.prefix(*inner).net, "10.1.0.0/16".parse().unwrap());
    assert_eq!(loaded.catalog.prefix(*inner).parent, Some(*outer));
    assert_eq!(loaded.catalog.prefix(*outer).parent, None);
}

/// A rule may be wider than one before it.
#[test]
fn geo_rules_from_the_most_specific_to_the_widest() {
    let (policy, _) = policy(
        r#"{ type = "geo", default = { clusters = ["*"] }, rules = [
            { prefixes = ["10.1.0.0/16"], clusters = ["eu"] },
            { prefixes = ["10.0.0.0/8"], clusters = ["eu"] },
            { subdivisions = ["DE-BE"], clusters = ["eu"] },
            { countries = ["DE"], clusters = ["eu"] },
            { jurisdictions = ["EU"], clusters = ["eu"] },
            { jurisdictions = ["EEA"], clusters = ["eu"] },
            { continents = ["EU"], clusters = ["eu"] },
        ] }"#,
    );
    assert!(matches!(policy, Policy::Geo(geo) if geo.rules.len() == 7));
}

#[test]
fn policies_nest_in_every_tier() {
    let (policy, loaded) = policy(
        r#"{ type = "geo", default = { clusters = ["*"], policy = { type = "failover", tiers = [
                { clusters = ["eu"], policy = { type = "geo", default = { clusters = ["eu"] }, rules = [
                    { prefixes = ["2001:db8::/32"], clusters = ["eu"], policy = "all" },
                ] } },
            ] } },
            rules = [ { prefixes = ["2001:db8::/32", "10.0.0.0/8"], clusters = ["us"] } ] }"#,
    );
    let Policy::Geo(outer) = policy else { panic!("{policy:?}") };
    let Policy::Failover(tiers) = &outer.default.policy else { panic!("{outer:?}") };
    let Policy::Geo(inner) = &tiers[0].policy else { panic!("{tiers:?}") };
    assert_eq!(inner.rules[0].clients[0], outer.rules[0].clients[0]);
    assert_eq!(loaded.catalog.prefixes().len(), 2, "each prefix once");
}

//----------- Latency --------------------------------------------------------

/// A folder of one test alone, removed when it is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("meridian-policies-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a scratch file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that stays behind in the temporary one harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const TABLE: &str = "\u{feff}# From our own pings.\r\nclients,cluster,ms\r\n\r\n10.0.0.0/8,us,12.3456\r\n\
    AS64500, eu ,0\nde,spare,60000\nDE,us,7";

#[test]
fn a_latency_table_is_read_once_and_afresh_with_every_load() {
    let folder = Scratch::new("latency");
    let table = folder.write("t.csv", TABLE);
    let file = folder.0.join("m.toml");
    let latency = "policy = { type = \"latency\", table = \"t.csv\" }";
    let nested = "policy = { type = \"failover\", tiers = [ { clusters = [\"us\"], \
        policy = { type = \"latency\", table = \"t.csv\", within_ms = 60000 } } ] }";
    let text = text("", &[latency, nested]);
    let loaded = parse(&text, &file).unwrap_or_else(|issues| panic!("{issues}"));
    assert_eq!(loaded.settings.data_files, std::slice::from_ref(&table));
    let [read] = loaded.catalog.latency_tables() else { panic!("one table") };
    assert_eq!(&*read.name, "t.csv");
    let rows: Vec<(&ClientMatch, usize, u32)> =
        read.rows.iter().map(|row| (&row.clients, row.cluster.index(), row.rtt_us)).collect();
    let [
        (ClientMatch::Prefix(prefix), US, 12_346),
        (ClientMatch::Asn(64500), EU, 0),
        (ClientMatch::Country(de), 2, 60_000_000),
        (ClientMatch::Country(_), US, 7000),
    ] = rows.as_slice()
    else {
        panic!("{rows:?}")
    };
    assert_eq!(*de, country("DE"));
    assert_eq!(loaded.catalog.prefix(*prefix).net, "10.0.0.0/8".parse().unwrap());
    let id = meridian_model::LatencyTableId::from_index(0);
    let [first, second] = loaded.catalog.gateways() else { panic!("two gateways") };
    assert_eq!(first.policy, Policy::Latency(Latency { table: id, within_ms: 0 }));
    let Policy::Failover(tiers) = &second.policy else { panic!("{:?}", second.policy) };
    assert_eq!(tiers[0].policy, Policy::Latency(Latency { table: id, within_ms: 60_000 }));
    folder.write("t.csv", "clients,cluster,ms\nDE,us,8\n");
    let again = parse(&text, &file).unwrap();
    assert_eq!(again.catalog.latency_tables()[0].rows.len(), 1);
    // From a file as from a text.
    std::fs::write(&file, &text).unwrap();
    assert_eq!(load(&file).unwrap(), again);
    folder.write("t.csv", "clients,cluster,ms\nDE,us,8\nDE,us,9\n");
    let issues = parse(&text, &file).unwrap_err();
    let position = format!("{}:3:1: clients: ", table.display());
    assert!(issues.len() == 1 && issues.to_string().starts_with(&position), "{issues}");
}

#[test]
fn a_latency_table_has_a_largest_size() {
    let folder = Scratch::new("large");
    let text = text("", &["policy = { type = \"latency\", table = \"t.csv\" }"]);
    let file = folder.0.join("m.toml");
    let mut rows = String::from("clients,cluster,ms\n");
    for number in 0..50_000_u32 {
        rows.push_str(&format!("{}/32,us,1\n", std::net::Ipv4Addr::from(number << 8)));
    }
    rows.push_str(&"#\n".repeat(449_999));
    folder.write("t.csv", &rows);
    let loaded = parse(&text, &file).unwrap();
    assert_eq!(loaded.catalog.prefixes().len(), 50_000);
    rows.push_str("DE,us,1\n");
    let table = folder.write("t.csv", &rows);
    let issues = parse(&text, &file).unwrap_err();
    let wanted = ":500001:1: syntax: expected at most 500000 lines, found one more";
    assert_eq!(issues.to_string(), format!("{}{wanted}", table.display()));
    let huge = std::fs::OpenOptions::new().write(true).open(&table).unwrap();
    // Sparse: it takes no space.
    huge.set_len((64 << 20) + 1).unwrap();
    let issues = parse(&text, &file).unwrap_err().to_string();
    assert!(issues.ends_with("expected the path of a latency table, found \"t.csv\": larger than 64 MiB"));
}

#[test]
fn of_very_many_issues_in_a_table_the_first_are_kept() {
    let folder = Scratch::new("many");
    let rows: String = (0..1000).map(|_| "nowhere,us,1\n").collect();
    folder.write("t.csv", &format!("clients,cluster,ms\n{rows}"));
    let text = text("stranger = 1", &["policy = { type = \"latency\", table = \"t.csv\" }"]);
    let mut issues = parse(&text, &folder.0.join("m.toml")).unwrap_err();
    assert_eq!((issues.len(), issues.iter().count()), (1001, 200));
    // What is found later in the file itself goes before those of the table.
    let own = issues.iter().next().unwrap().clone();
    let at = meridian_config::Located { value: (), key: "later".into(), position: own.position.unwrap() };
    issues.add([Issue::mistake(&own.file, &at, "this", "that")]);
    let keys: Vec<&str> = issues.iter().take(3).map(|issue| issue.key.as_str()).collect();
    assert_eq!(keys, ["stranger", "later", "clients"]);
}

//----------- Jurisdictions and residency ------------------------------------

#[test]
fn jurisdictions_of_the_file_and_those_in_use() {
    let top = r#"
[[jurisdictions]]
name = "West"
countries = ["US-OR", "MX", "us-ca", "CA"]
[[jurisdictions]]
name = "EU"
countries = ["IE"]
"#;
    let rules = "residency = { rules = [ { clients = [\"West\", \"FR\"], clusters = [\"EU\", \"US\"] } ] }";
    let loaded = parse(&text(top, &[rules]), Path::new("m.toml")).unwrap();
    assert_eq!(loaded.warnings.iter().filter(|issue| issue.key.starts_with("jur")).count(), 0);
    let jurisdictions = loaded.catalog.jurisdictions();
    let all: Vec<&str> = jurisdictions.iter().map(|one| &*one.name).collect();
    assert_eq!(all, ["West", "EU", "US-VA", "US-CA", "FR", "US"]);
    assert_eq!(jurisdictions[0].countries, [country("CA"), country("MX")]);
    let parts: Vec<&str> = jurisdictions[0].subdivisions.iter().map(|(_, part)| &**part).collect();
    assert_eq!(parts, ["CA", "OR"]);
    assert_eq!(jurisdictions[1].countries, [country("IE")], "what is written goes before what is built in");
    let of = |index: usize| names(&loaded, &loaded.catalog.clusters()[index].jurisdictions);
    // By its country; by its country and its own word; by its own word.
    assert_eq!(of(EU), ["EU"]);
    assert_eq!(of(US), ["US-VA", "US"]);
    assert_eq!(of(2), ["EU", "US-CA"]);
}

#[test]
fn residency_by_its_defaults() {
    let loaded = with_gateway(
        "residency = { rules = [ { clients = [\"EU\", \"US-CA\"], clusters = [\"EU\"] }, \
         { clients = [\"*\"], clusters = [\"*\"] } ] }",
    );
    let residency = loaded.catalog.gateways()[0].residency.as_ref().unwrap();
    assert_eq!((residency.unknown, residency.conflict), (UnknownClients::Deny, Conflict::Strictest));
    let [some, rest] = residency.rules.as_slice() else { panic!("two rules") };
    let ResidencyClients::In(clients) = &some.clients else { panic!("{some:?}") };
    assert_eq!(names(&loaded, clients), ["EU", "US-CA"]);
    // Of all clusters of the catalog: the spare one is none of this gateway's.
    assert_eq!(some.clusters, [cluster(EU), cluster(2)]);
    assert_eq!(rest.clients, ResidencyClients::Everyone);
    assert_eq!(rest.clusters, [cluster(EU), cluster(US), cluster(2)]);
    assert_eq!(with_gateway("").catalog.gateways()[0].residency, None);
}

#[test]
fn residency_with_every_key() {
    for (word, wanted) in
        [("strictest", Conflict::Strictest), ("ecs", Conflict::Ecs), ("resolver", Conflict::Resolver)]
    {
        let loaded = with_gateway(&format!(
            "[gateways.residency]\nunknown = \"DE\"\nconflict = \"{word}\"\n\
             [[gateways.residency.rules]]\nclients = [\"EEA\"]\nclusters = [\"IE\"]"
        ));
        let residency = loaded.catalog.gateways()[0].residency.as_ref().unwrap();
        assert_eq!(residency.conflict, wanted);
        let UnknownClients::TreatAs(id) = residency.unknown else { panic!("{residency:?}") };
        assert_eq!(names(&loaded, &[id]), ["DE"]);
        assert!(!loaded.warnings.iter().any(|issue| issue.key.contains("residency")), "EEA holds DE");
    }
    let denied = with_gateway(
        "residency = { unknown = \"deny\", rules = [ { clients = [\"*\"], clusters = [\"*\"] } ] }",
    );
    let residency = denied.catalog.gateways()[0].residency.clone().unwrap();
    assert_eq!(residency.unknown, UnknownClients::Deny);
}
