//! Every resource of the API, over HTTP, of a server whose clusters come and go.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use meridian_tests::{Cluster, Config, Meridian, Site, WORLD, api_address, curl, scratch};
use serde_json::{Value, json};

/// Two clusters, each with an address of a gateway, and a server with an API.
struct Stage {
    clusters: [Cluster; 2],
    addresses: [String; 2],
    data_dir: PathBuf,
    server: Meridian,
    api: SocketAddr,
}

impl Stage {
    fn new() -> Self {
        let site = Site::new();
        let data_dir = scratch().join("data");
        let addresses = [1, 2].map(|host| site.address(host).to_string());
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
            .clusters(&WORLD[..2])
            .gateway("shop", &["shop.gslb.example", "*.shop.gslb.example"], "probe = \"web\"\n", &endpoints)
            .gateway("mail", &["mail.gslb.example"], "policy = \"weighted\"\n", &endpoints[..1]);
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

    /// What a request is refused with.
    fn refused(&self, path: &str) -> (u16, String) {
        let (status, body) = curl(&[&self.url(path)]);
        let refusal: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        (status, refusal["error"].as_str().unwrap().to_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(self.data_dir.parent().unwrap());
    }
}

#[test]
fn each_resource_shows_its_part() {
    let mut stage = Stage::new();
    let (first, second) = (WORLD[0].0, WORLD[1].0);
    let clusters = stage.get("/v1/clusters");
    assert_eq!(clusters["total"], 2);
    let cluster = stage.get(&format!("/v1/clusters/{first}"));
    assert_eq!(cluster, clusters["items"][0]);
    assert_eq!((&cluster["effective"], &cluster["gateways"]), (&json!("healthy"), &json!(2)));
    assert_eq!(cluster["addresses"], json!({ "healthy": 2, "degraded": 0, "unhealthy": 0, "unknown": 0 }));

    let gateways = stage.get("/v1/gateways?contains=sho");
    assert_eq!((&gateways["total"], &gateways["items"][0]["name"]), (&json!(1), &json!("shop")));
    assert_eq!(gateways["items"][0]["hostnames"], json!(["shop.gslb.example"]));
    let gateway = stage.get("/v1/gateways/shop");
    assert_eq!(gateway["hostnames"], json!(["shop.gslb.example", "*.shop.gslb.example"]));
    assert_eq!((&gateway["policy"], &gateway["probe"]), (&json!("nearest"), &json!("web")));
    assert_eq!(gateway["endpoints"][1]["cluster"], second);
    assert_eq!(stage.get("/v1/gateways/mail")["policy"], "weighted");

    let page = stage.get("/v1/endpoints?offset=1&limit=1");
    assert_eq!((&page["total"], page["items"].as_array().unwrap().len()), (&json!(3), 1));
    let path = format!("/v1/endpoints/shop/{second}/{}", stage.addresses[1]);
    let endpoint = stage.get(&path);
    assert_eq!(endpoint, gateway["endpoints"][1]["addresses"][0].clone().tap(&endpoint));
    assert_eq!((&endpoint["effective"], &endpoint["probe"]["name"]), (&json!("healthy"), &json!("web")));
    assert_eq!(stage.get(&format!("/v1/endpoints?cluster={second}&gateway=shop"))["total"], 1);

    stage.clusters[1].kill();
    stage.server.wait_for_verdict(&stage.addresses[1], "unhealthy");
    assert_eq!(stage.get(&format!("/v1/clusters/{second}"))["effective"], "unhealthy");
    assert_eq!(stage.get("/v1/endpoints?effective=unhealthy")["items"][0]["address"], stage.addresses[1]);
    let verdicts = stage.get("/v1/verdicts");
    assert_eq!(verdicts["effective"]["unhealthy"], 1);
    assert_eq!(verdicts["not_healthy"][0]["address"], stage.addresses[1]);
    let all = stage.get("/v1/transitions");
    assert_eq!((&all["last"], &all["lost"]), (&json!(3), &json!(0)), "{all:#}");
    let last = stage.get("/v1/transitions?after=2");
    let items = last["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]), (1, &all["items"][2]));
    assert_eq!((&items[0]["from"], &items[0]["effective"]), (&json!("healthy"), &json!("unhealthy")));
    assert!(items[0]["cause"].as_str().unwrap().contains("refused"), "{items:?}");
}

/// The ages of two moments differ.
trait Tap {
    fn tap(self, of: &Value) -> Self;
}

impl Tap for Value {
    fn tap(mut self, of: &Value) -> Self {
        self["probe"]["last"] = of["probe"]["last"].clone();
        for key in ["held_ms", "since"] {
            self["probe"][key] = of["probe"][key].clone();
        }
        self
    }
}

#[test]
fn what_is_not_there_is_said_in_words() {
    let stage = Stage::new();
    for (path, status, error) in [
        ("/v1/clusters/mars", 404, "no cluster \"mars\""),
        ("/v1/gateways/mars", 404, "no gateway \"mars\""),
        ("/v1/endpoints/shop/mars/192.0.2.1", 404, "no endpoint \"shop/mars/192.0.2.1\""),
        ("/v1/gateways?limit=0", 400, "limit: expected 1 to 1000, found 0"),
        ("/v1/gateways?limit=1001", 400, "limit: expected 1 to 1000, found 1001"),
        ("/v1/endpoints?effective=fine", 400, "effective: expected healthy, degraded"),
        ("/v1/endpoints?offset=-1", 400, "Failed to deserialize query string: offset: invalid digit"),
        ("/v1/transitions?after=x", 400, "Failed to deserialize query string: after: invalid digit"),
        ("/v1/gateways/%ff", 400, "Invalid URL: Invalid UTF-8"),
        ("/v1/nothing", 404, "expected /openapi.json, /livez"),
    ] {
        let (found, said) = stage.refused(path);
        assert_eq!(found, status, "{path}: {said}");
        assert!(said.starts_with(error), "{path}: {said}");
    }
    let (status, body) = curl(&["-X", "DELETE", &stage.url("/v1/status")]);
    assert_eq!((status, &*body), (405, "{\"error\":\"this path has no such method\"}"));
}

//----------- Events ---------------------------------------------------------

/// A stream of events that `curl` reads.
struct Stream {
    curl: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Stream {
    fn open(url: &str, arguments: &[&str]) -> Self {
        let mut curl = Command::new("curl")
            .args(["--silent", "--no-buffer", "--max-time", "20"])
            .args(arguments)
            .arg(url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(curl.stdout.take().unwrap()).lines();
        Self { curl, lines }
    }

    /// The fields of the next event.
    fn next(&mut self) -> Option<Vec<(String, String)>> {
        let lines = self.lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty());
        let fields: Vec<_> = lines
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_owned(), value.trim().to_owned()))
            })
            .collect();
        (!fields.is_empty()).then_some(fields)
    }

    /// The next event of a kind: its identifier and its data.
    fn wait_for(&mut self, kind: &str) -> (String, Value) {
        loop {
            let fields = self.next().expect("the stream goes on");
            let of = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
            if of("event").is_some_and(|event| event == kind) {
                let id = of("id").cloned().unwrap_or_default();
                return (id, serde_json::from_str(of("data").unwrap()).unwrap());
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _gone = self.curl.kill();
        let _reaped = self.curl.wait();
    }
}

/// A transition comes as it happens, the view that has it after it; who was away is given what it missed, and who was
/// away from another process is told so.
#[test]
fn what_happens_comes_as_it_happens() {
    let mut stage = Stage::new();
    let url = stage.url("/v1/events");
    let mut stream = Stream::open(&url, &[]);
    let hello = stream.next().unwrap();
    let here = hello.iter().find(|(name, _)| name == "id").unwrap().1.clone();
    stage.clusters[0].kill();
    let (at, transition) = stream.wait_for("transition");
    assert_eq!(transition["address"], stage.addresses[0]);
    assert_eq!(transition["effective"], "unhealthy");
    let (_, view) = stream.wait_for("view");
    assert!(view["transitions"].as_u64() >= transition["number"].as_u64(), "{view} {transition}");
    drop(stream);
    stage.clusters[0].mend();
    stage.server.wait_for_verdict(&stage.addresses[0], "healthy");
    let mut again = Stream::open(&url, &["-H", &format!("Last-Event-ID: {at}")]);
    assert_eq!(again.wait_for("transition").1["effective"], "healthy");
    let mut all = Stream::open(&url, &["-H", &format!("Last-Event-ID: {here}")]);
    assert_eq!(all.wait_for("transition"), (at, transition));
    let mut other = Stream::open(&url, &["-H", "Last-Event-ID: 12-7"]);
    assert_eq!(other.wait_for("lost").1, Value::Null);
}

/// There are as many streams as there can be, and one that ends makes room; a server that stops ends them all.
#[test]
fn streams_are_counted_and_end_with_the_server() {
    let mut stage = Stage::new();
    let url = stage.url("/v1/events");
    let mut streams: Vec<Stream> = (0..32).map(|_| Stream::open(&url, &[])).collect();
    for stream in &mut streams {
        assert!(stream.next().is_some());
    }
    assert_eq!(stage.refused("/v1/events").0, 503);
    streams.pop();
    let began = meridian_tests::now();
    // The server sees that it is gone with the next thing that it tells it.
    stage.clusters[1].kill();
    stage.server.wait_for_verdict(&stage.addresses[1], "unhealthy");
    while Stream::open(&url, &[]).next().is_none_or(|first| first.iter().all(|(name, _)| name != "id")) {
        assert!(began.elapsed() < std::time::Duration::from_secs(10));
    }
    stage.server.signal(meridian_tests::Signal::SIGTERM);
    for mut stream in streams {
        while stream.next().is_some() {}
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

//----------- Its document ---------------------------------------------------

/// The document has every path, and says of each what it answers.
#[test]
fn its_document_has_every_path() {
    let stage = Stage::new();
    let document = stage.get("/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    for path in ["/v1/status", "/v1/overrides", "/v1/events", "/v1/gateways/{name}", "/metrics", "/livez"] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let said = operation["summary"].as_str().unwrap_or_default();
            assert!(!said.is_empty(), "{method} {path}");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
        }
        // Each one is there: it is not what is said of paths that are not.
        if !path.contains('{') && path != "/v1/events" && paths[path]["get"].is_object() {
            assert_ne!(curl(&[&stage.url(path)]).0, 404, "{path}");
        }
    }
}
