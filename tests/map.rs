//! What the dashboard needs of the API: the map, the past of addresses, its own files, and tokens as browsers show them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use hickory_proto::rr::RecordType;
use meridian_tests::{
    Ask, Cluster, Config, Meridian, Site, WORLD, api_address, ask_udp, binary, curl, scratch,
};
use serde_json::Value;

/// Two clusters, each with an address of a gateway, and a server with an API.
struct Stage {
    clusters: [Cluster; 2],
    addresses: [String; 2],
    data_dir: PathBuf,
    server: Meridian,
    api: SocketAddr,
}

impl Stage {
    /// `keys`: further ones of `[admin]`.
    fn new(keys: &str) -> Self {
        let site = Site::new();
        let data_dir = scratch().join("data");
        let addresses = [1, 2].map(|host| site.address(host).to_string());
        let endpoints: Vec<(&str, &str)> =
            WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
        let config = Config::new()
            .with(&format!(
                "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n\
                 [admin]\nlisten = \"127.0.0.1:0\"\n{keys}\n[health]\nisolation = false\n[[probes]]\nname = \"web\"\n\
                 type = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\nrise = 1\n",
                data_dir.display(),
                site.port
            ))
            .clusters(&WORLD[..2])
            .gateway("shop", &["shop.gslb.example"], "probe = \"web\"\n", &endpoints)
            .gateway("six", &["six.gslb.example"], "", &[("us-east", "2001:db8::1")])
            .gateway("none", &["none.gslb.example"], "all_down = \"nodata\"\nprobe = \"web\"\n", &[("eu-west", "127.255.255.1")]);
        let clusters = [1, 2].map(|host| site.cluster(host));
        let mut server = Meridian::serve(config.text());
        let api = api_address(&mut server);
        Self { clusters, addresses, data_dir, server, api }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = curl(&[&self.url(path)]);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    /// The head of an answer, in lower case.
    fn head(&self, path: &str, more: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["--silent", "--max-time", "20", "--dump-header", "-", "--output", "/dev/null"]);
        let output = command.args(more).arg(self.url(path)).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).to_lowercase()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(self.data_dir.parent().unwrap());
    }
}

/// The clusters that answer a country, of a map.
fn of_country(map: &Value, code: &str) -> Vec<(String, f64)> {
    let all = map["countries"].as_array().unwrap();
    let country = all.iter().find(|one| one["country"] == code).unwrap_or_else(|| panic!("no {code}"));
    shares(&country["clusters"])
}

fn shares(clusters: &Value) -> Vec<(String, f64)> {
    let of =
        |one: &Value| (one["cluster"].as_str().unwrap_or("-").to_owned(), one["share"].as_f64().unwrap());
    clusters.as_array().unwrap().iter().map(of).collect()
}

//----------- Map ------------------------------------------------------------

/// The map says of each country what a client there is answered, and follows the verdicts.
#[test]
fn the_map_is_what_clients_are_answered() {
    let mut stage = Stage::new("");
    let map = stage.get("/v1/map?gateway=shop");
    assert_eq!((&map["gateway"], &map["type"]), (&"shop".into(), &"A".into()));
    let together: f64 = shares(&map["clusters"]).iter().map(|(_, share)| share).sum();
    assert!((together - 1.0).abs() < 1e-6, "{together}");
    for (client, country) in [("134.226.0.0", "IE"), ("8.8.8.0", "US"), ("133.11.0.0", "JP")] {
        let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(client, 24);
        let answer = ask_udp(stage.server.address(), &ask).unwrap().addresses();
        let [(cluster, share)] = &of_country(&map, country)[..] else { panic!("{country}: {map:#}") };
        let wanted = if *cluster == "eu-west" { &stage.addresses[0] } else { &stage.addresses[1] };
        assert_eq!((&answer[..], *share), (&[wanted.clone()][..], 1.0), "{country}");
    }
    let part: f64 =
        map["countries"].as_array().unwrap().iter().map(|one| one["share"].as_f64().unwrap()).sum();
    assert!((part - 1.0).abs() < 1e-4, "{part}");
    stage.clusters[0].kill();
    stage.server.wait_for_verdict(&stage.addresses[0], "unhealthy");
    let after = stage.get("/v1/map?gateway=shop&type=a");
    assert!(after["generation"].as_u64() > map["generation"].as_u64());
    assert_eq!(of_country(&after, "IE"), [("us-east".to_owned(), 1.0)]);
    assert_eq!(shares(&stage.get("/v1/gateways/shop/shares")["clusters"]), [("us-east".to_owned(), 1.0)]);
}

/// The other family where nobody is answered in the first, no cluster where nothing is answered, and a first gateway.
#[test]
fn a_map_without_clusters_says_so() {
    let stage = Stage::new("");
    assert_eq!(stage.get("/v1/map")["gateway"], "shop");
    let six = stage.get("/v1/map?gateway=six");
    assert_eq!((&six["type"], shares(&six["clusters"])), (&"AAAA".into(), vec![("us-east".to_owned(), 1.0)]));
    let four = stage.get("/v1/gateways/six/shares?type=A");
    assert_eq!(shares(&four["clusters"]), [("-".to_owned(), 1.0)]);
    assert_eq!(of_country(&stage.get("/v1/map?gateway=none"), "IE"), [("-".to_owned(), 1.0)]);
    for (path, status, why) in [
        ("/v1/map?gateway=other", 404, "gateway: expected the name of one, found \\\"other\\\""),
        ("/v1/map?gateway=shop&type=TXT", 400, "type: expected A or AAAA, found \\\"TXT\\\""),
        ("/v1/gateways/other/shares", 404, "gateway: expected the name of one"),
    ] {
        let (found, body) = curl(&[&stage.url(path)]);
        assert!(found == status && body.contains(why), "{path}: {found} {body}");
    }
}

//----------- History --------------------------------------------------------

#[test]
fn the_past_of_an_address_is_told() {
    let mut stage = Stage::new("");
    stage.clusters[1].kill();
    stage.server.wait_for_verdict(&stage.addresses[1], "unhealthy");
    let path = format!("/v1/endpoints/shop/us-east/{}/history", stage.addresses[1]);
    let history = stage.get(&path);
    let probe = &history["probes"][0];
    assert_eq!((&probe["name"], &probe["timeout_ms"]), (&"web".into(), &100.into()));
    let outcomes = probe["outcomes"].as_array().unwrap();
    let results: Vec<&str> = outcomes.iter().map(|one| one["result"].as_str().unwrap()).collect();
    assert_eq!((results[0], results[results.len() - 1]), ("good", "failed"));
    let ago: Vec<u64> = outcomes.iter().map(|one| one["ago_ms"].as_u64().unwrap()).collect();
    assert!(ago.is_sorted_by(|a, b| a > b) && ago[0] < 60_000, "{ago:?}");
    // Without a probe there is none; a name that nobody has is none.
    assert_eq!(stage.get("/v1/endpoints/six/us-east/2001:db8::1/history")["probes"], Value::Array(vec![]));
    for (path, status) in
        [("shop/eu-west/192.0.2.1", 404), ("shop/eu-west/here", 400), ("other/eu-west/192.0.2.1", 404)]
    {
        assert_eq!(curl(&[&stage.url(&format!("/v1/endpoints/{path}/history"))]).0, status, "{path}");
    }
}

//----------- The page -------------------------------------------------------

/// The page says what a browser may do with it, and is sent once.
#[test]
fn the_page_is_guarded_and_cached() {
    let stage = Stage::new("");
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/dashboard/main.js", "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", "text/css; charset=utf-8"),
        ("/dashboard/favicon.svg", "image/svg+xml"),
        ("/dashboard/vendor/countries-110m.json", "application/json"),
    ] {
        let head = stage.head(path, &[]);
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned();
        for wanted in [
            &format!("content-type: {kind}"),
            "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-cache",
        ] {
            assert!(head.contains(wanted), "{path}: {wanted}: {head}");
        }
        let again = stage.head(path, &["-H", &format!("If-None-Match: {tag}")]);
        assert!(again.starts_with("http/1.1 304"), "{again}");
    }
    let api = stage.head("/v1/status", &[]);
    assert!(api.contains("cache-control: no-store") && api.contains("nosniff"), "{api}");
    assert_eq!(curl(&[&stage.url("/dashboard/other.js")]).0, 404);
    assert_eq!(curl(&["--path-as-is", &stage.url("/dashboard/../Cargo.toml")]).0, 404);
}

/// A browser shows its token with every request, whoever made the page that it is from: those of others change nothing.
#[test]
fn a_password_is_a_token_for_our_own_page() {
    let output = Command::new(binary()).args(["token", "operator", "ann"]).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
    let (token, line) = (text(&output.stdout), text(&output.stderr).lines().last().unwrap().to_owned());
    let tokens = scratch().join("tokens");
    std::fs::write(&tokens, format!("role,name,sha256\n{line}\n")).unwrap();
    let stage = Stage::new(&format!("token_file = \"{}\"", tokens.display()));
    for path in ["/", "/dashboard/main.js", "/v1/map"] {
        let head = stage.head(path, &[]);
        assert!(
            head.starts_with("http/1.1 401") && head.contains("www-authenticate: basic realm="),
            "{head}"
        );
        assert!(head.contains("www-authenticate: bearer"), "{head}");
    }
    let basic = format!("Authorization: Basic {}", BASE64.encode(format!("anybody:{token}").as_bytes()));
    assert_eq!(curl(&["-H", &basic, &stage.url("/")]).0, 200);
    let (_, caller) = curl(&["-H", &basic, &stage.url("/v1/caller")]);
    assert_eq!(caller, r#"{"name":"ann","role":"operator"}"#);
    let body = r#"{"target": "cluster/eu-west", "state": "down", "reason": "a drill", "by": "ann"}"#;
    let put = |more: &[&str]| {
        let url = stage.url("/v1/overrides");
        let all = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", body];
        curl(&[&all[..], more, &[&url]].concat()).0
    };
    let own = format!("Origin: http://{}", stage.api);
    for headers in [
        &["-H", &basic][..],
        &["-H", &basic, "-H", &own],
        &["-H", &basic, "-H", "Sec-Fetch-Site: same-origin"],
    ] {
        assert_eq!(put(headers), 200, "{headers:?}");
    }
    for header in [
        "Origin: https://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        assert_eq!(put(&["-H", &basic, "-H", header]), 403, "{header}");
        // A program that shows a token by itself is no browser.
        assert_eq!(put(&["-H", &format!("Authorization: Bearer {token}"), "-H", header]), 200, "{header}");
    }
    std::fs::remove_dir_all(tokens.parent().unwrap()).unwrap();
}
