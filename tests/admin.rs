//! The API on a network: who may use it, and what it stands.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meridian_tests::tls::Identity;
use meridian_tests::{Config, Meridian, WORLD, api_address, binary, curl, now, says, scratch};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A server whose API listens, with these keys of `[admin]` and files beside its configuration.
struct Stage {
    data_dir: PathBuf,
    server: Meridian,
    api: SocketAddr,
}

impl Stage {
    fn new(keys: &str, files: &[(&str, &str)]) -> Self {
        let data_dir = scratch().join("data");
        let config = config(&data_dir, keys);
        let mut server = Meridian::serve_with_files(&config, files);
        let api = api_address(&mut server);
        Self { data_dir, server, api }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(self.data_dir.parent().unwrap());
    }
}

fn config(data_dir: &Path, keys: &str) -> String {
    Config::new()
        .with(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n[admin]\n{keys}\n",
            data_dir.display()
        ))
        .clusters(&WORLD[..2])
        .gateway("shop", &["shop.gslb.example"], "", &[("eu-west", "192.0.2.1"), ("us-east", "192.0.2.2")])
        .text()
        .to_owned()
}

const JSON: &str = "Content-Type: application/json";
const SAY: &str = r#"{"target": "cluster/eu-west", "state": "down", "reason": "a drill", "by": "ann"}"#;

/// A token and the line that lets it in.
fn token(role: &str, name: &str) -> (String, String) {
    let output = Command::new(binary()).args(["token", role, name]).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
    let line = text(&output.stderr).lines().last().unwrap().to_owned();
    (text(&output.stdout), line)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

//----------- Loopback -------------------------------------------------------

/// Who is on the machine may use it without a token; a page of elsewhere in a browser there may not, whatever name it
/// makes lead to loopback.
#[test]
fn on_loopback_alone_it_needs_no_token() {
    let stage = Stage::new("listen = \"127.0.0.1:0\"", &[]);
    let (status, body) = curl(&[&stage.url("/v1/status")]);
    assert_eq!(status, 200, "{body}");
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(shown["endpoints"].as_array().unwrap().len(), 2);
    let (status, body) = curl(&["-X", "PUT", "-H", JSON, "-d", SAY, &stage.url("/v1/overrides")]);
    assert_eq!(status, 200, "{body}");
    for header in ["Host: evil.example", "Origin: https://evil.example", "Origin: null"] {
        for path in ["/v1/status", "/metrics", "/nowhere"] {
            assert_eq!(curl(&["-H", header, &stage.url(path)]).0, 403, "{header} {path}");
        }
        let (status, _) =
            curl(&["-H", header, "-X", "PUT", "-H", JSON, "-d", SAY, &stage.url("/v1/overrides")]);
        assert_eq!(status, 403, "{header}");
    }
    assert_eq!(curl(&["-H", "Host: evil.example", &stage.url("/livez")]), (200, "ok\n".to_owned()));
}

//----------- Tokens ---------------------------------------------------------

#[test]
fn a_token_is_good_for_its_role_until_it_is_taken_away() {
    let ((see, viewer), (change, operator)) = (token("viewer", "grafana"), token("operator", "ann"));
    let file = format!("# who may\nrole,name,sha256\n{viewer}\n{operator}\n");
    let mut stage =
        Stage::new("listen = \"127.0.0.1:0\"\ntoken_file = \"tokens.csv\"", &[("tokens.csv", &file)]);
    let (status, overrides) = (stage.url("/v1/status"), stage.url("/v1/overrides"));
    let get = |token: &str, url: &str| curl(&["-H", &bearer(token), url]).0;
    let put = |token: &str| curl(&["-H", &bearer(token), "-X", "PUT", "-H", JSON, "-d", SAY, &overrides]).0;
    // Without one nothing but /livez.
    for path in ["/v1/status", "/v1/overrides", "/v1/configuration", "/metrics", "/readyz", "/", "/nowhere"] {
        assert_eq!(curl(&[&stage.url(path)]).0, 401, "{path}");
    }
    assert_eq!(curl(&[&stage.url("/livez")]).0, 200);
    for wrong in ["", "x", &see[1..], &format!("{see}x"), "grafana"] {
        assert_eq!(get(wrong, &status), 401, "{wrong}");
    }
    assert_eq!(curl(&["-H", &format!("Authorization: Basic {see}"), &status]).0, 401);
    assert_eq!((get(&see, &status), put(&see)), (200, 403));
    assert_eq!((get(&change, &status), put(&change)), (200, 200));
    let line = stage.server.wait_for("who asked", |line| says(line, "asked over the network"));
    assert_eq!((&line["by"], &line["method"]), (&Value::from("ann"), &Value::from("PUT")));
    // The folder's own socket stays open to the server's user.
    let socket = stage.data_dir.join("meridian.sock");
    let (status_there, _) = curl(&["--unix-socket", socket.to_str().unwrap(), "http://meridian/v1/status"]);
    assert_eq!(status_there, 200);
    // One is taken away; the file is noticed by itself.
    let tokens = stage.server.config().with_file_name("tokens.csv");
    std::fs::write(&tokens, format!("role,name,sha256\n{viewer}\n")).unwrap();
    stage.server.signal(Signal::SIGHUP);
    stage.server.wait_for("the reload", |line| says(line, "reloaded"));
    assert_eq!((get(&see, &status), get(&change, &status)), (200, 401));
    // A mistake in it changes nothing, and does not show what stands there.
    std::fs::write(&tokens, format!("role,name,sha256\nviewer,grafana,{see}\n")).unwrap();
    stage.server.signal(Signal::SIGHUP);
    let line = stage.server.wait_for("the mistake", |line| says(line, "") && line["level"] == "ERROR");
    let said = line["message"].as_str().unwrap();
    assert!(said.contains("tokens.csv:2:16: sha256: expected 64 hexadecimal digits"), "{said}");
    assert!(!said.contains(&see), "{said}");
    assert_eq!(get(&see, &status), 200);
    // Nor does another address in the file open the one that is there.
    let text = std::fs::read_to_string(stage.server.config()).unwrap();
    let text = text
        .replace("token_file = \"tokens.csv\"", "")
        .replace("listen = \"127.0.0.1:0\"\n", "listen = \"127.0.0.2:0\"\n");
    std::fs::write(stage.server.config(), text).unwrap();
    stage.server.signal(Signal::SIGHUP);
    stage.server.wait_for("the warning", |line| says(line, "[admin] has changed: that takes effect with"));
    assert_eq!((curl(&[&status]).0, get(&see, &status)), (401, 200));
}

//----------- Elsewhere ------------------------------------------------------

/// What `check` says of a configuration with these keys.
fn check(keys: &str, files: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = scratch();
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
    let file = folder.join("m.toml");
    std::fs::write(&file, config(&folder.join("data"), keys)).unwrap();
    let output = Command::new(binary()).arg("check").arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).replace(&format!("{}/", folder.display()), "");
    std::fs::remove_dir_all(&folder).unwrap();
    (output.status.code(), text)
}

#[test]
fn elsewhere_it_needs_tokens_and_tls() {
    let identity = Identity::new();
    let (_, line) = token("viewer", "grafana");
    let tokens = format!("role,name,sha256\n{line}\n");
    let [(cert_file, cert), (key_file, key)] = identity.files();
    let files = [("tokens.csv", &*tokens), (cert_file, cert), (key_file, key)];
    let tls = format!("[admin.tls]\ncert_file = \"{cert_file}\"\nkey_file = \"{key_file}\"\n");
    let listen = "listen = \"0.0.0.0:0\"\n";
    for (keys, wanted) in [
        (listen.to_owned(), vec!["token_file beside it", "[admin.tls] beside it"]),
        (format!("{listen}token_file = \"tokens.csv\"\n"), vec!["[admin.tls] beside it"]),
        (format!("{listen}{tls}"), vec!["token_file beside it"]),
        (format!("{listen}token_file = \"nowhere.csv\"\n{tls}"), vec!["token_file: expected a CSV file"]),
        (
            format!("{listen}token_file = \"tokens.csv\"\n{tls}client_ca_file = \"tokens.csv\"\n"),
            vec!["client_ca_file: expected a file with certificates of authorities in PEM"],
        ),
        ("token_file = \"tokens.csv\"\n".to_owned(), vec!["admin.listen: expected an address with a port"]),
    ] {
        let (code, said) = check(&keys, &files);
        assert_eq!(code, Some(64), "{keys}: {said}");
        for wanted in wanted {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
    }
    let (code, said) = check(&format!("{listen}token_file = \"tokens.csv\"\n{tls}"), &files);
    assert_eq!((code, &*said), (Some(0), ""));
}

/// A certificate for clients, by the authority that the server's own is by.
#[test]
fn it_is_encrypted_and_asks_for_certificates() {
    let (see, line) = token("viewer", "grafana");
    let tokens = format!("role,name,sha256\n{line}\n");
    let (identity, stranger) = (Identity::new(), Identity::new());
    let [(cert_file, cert), (key_file, key)] = identity.files();
    let [(_, other_cert), (_, other_key)] = stranger.files();
    let files = [
        ("tokens.csv", &*tokens),
        (cert_file, cert),
        (key_file, key),
        ("other.pem", other_cert),
        ("other.key", other_key),
    ];
    let keys = format!(
        "listen = \"0.0.0.0:0\"\ntoken_file = \"tokens.csv\"\n[admin.tls]\ncert_file = \"{cert_file}\"\nkey_file = \"{key_file}\"\nclient_ca_file = \"{cert_file}\"\n"
    );
    let stage = Stage::new(&keys, &files);
    let folder = stage.server.config().parent().unwrap().to_owned();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let url = format!("https://127.0.0.1:{}/v1/status", stage.api.port());
    // Whom the certificate names is the business of `encrypted`.
    let ask = |more: &[&str]| {
        let output = Command::new("curl")
            .args(["-sS", "-k", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(more)
            .arg(&url)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (good, other) = ((path(cert_file), path(key_file)), (path("other.pem"), path("other.key")));
    assert_eq!(ask(&["-H", &bearer(&see), "--cert", &good.0, "--key", &good.1]), "200");
    assert_eq!(ask(&["--cert", &good.0, "--key", &good.1]), "401");
    assert_eq!(ask(&["-H", &bearer(&see)]), "000");
    assert_eq!(ask(&["-H", &bearer(&see), "--cert", &other.0, "--key", &other.1]), "000");
    let mut plain = TcpStream::connect(("127.0.0.1", stage.api.port())).unwrap();
    plain.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

//----------- What it stands -------------------------------------------------

/// A thousand connections that say half of a request cost nobody else anything.
#[test]
fn a_thousand_slow_clients_keep_nobody_out() {
    let stage = Stage::new("listen = \"127.0.0.1:0\"", &[]);
    let mut before = 0;
    let mut slow = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(stage.api).unwrap();
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: local").unwrap();
        slow.push(stream);
        if number % 100 == 99 {
            let began = now();
            assert_eq!(curl(&[&stage.url("/v1/status")]).0, 200);
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        }
        if number == 199 {
            before = stage.server.memory_kib().0;
        }
    }
    let after = stage.server.memory_kib().0;
    println!("slow clients: {before} KiB with 200, {after} with 1,000; each hundredth time asked, answered");
    assert!(after < before + (4 << 10), "{before} KiB, then {after}");
}

#[test]
fn what_is_hostile_is_refused() {
    let stage = Stage::new("listen = \"127.0.0.1:0\"", &[]);
    let overrides = stage.url("/v1/overrides");
    let put = |body: &str| curl(&["-X", "PUT", "-H", JSON, "-d", body, &overrides]).0;
    let huge = stage.data_dir.parent().unwrap().join("huge");
    std::fs::write(&huge, vec![b'['; 1 << 20]).unwrap();
    // Or the connection ends while the rest of it is being sent.
    assert!([413, 0].contains(&put(&format!("@{}", huge.display()))));
    for body in ["", "{", "[]", "null", "{\"target\": 7}", &"[".repeat(10_000), "{\"nowhere\": 1}"] {
        assert!([400, 422].contains(&put(body)), "{body:.20}");
    }
    for path in [
        "/../etc/passwd",
        "/v1/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//",
        "/v1/status/",
        "/v1/status%00",
    ] {
        assert_eq!(curl(&["--path-as-is", &stage.url(path)]).0, 404, "{path}");
    }
    let long = format!("X-Long: {}", "x".repeat(1 << 20));
    let header = stage.data_dir.parent().unwrap().join("header");
    std::fs::write(&header, long).unwrap();
    let at = format!("@{}", header.display());
    // 431 (RFC 6585 §5), or the connection ends while it is being said.
    assert!([431, 0].contains(&curl(&["-H", &at, &stage.url("/v1/status")]).0));
    assert_eq!(curl(&["-X", "BREW", &stage.url("/v1/status")]).0, 405);
    assert_eq!(curl(&[&stage.url("/v1/status")]).0, 200);
}

/// The process that takes over has the socket itself: who asks meanwhile waits, and is answered.
#[test]
fn a_restart_keeps_the_socket() {
    let mut stage = Stage::new("listen = \"127.0.0.1:0\"", &[]);
    let url = stage.url("/v1/process");
    let (first, stop) = (stage.server.id(), Arc::new(AtomicBool::new(false)));
    let asking = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let (status, body) = curl(&[&url]);
                assert_eq!(status, 200, "{body}");
                answers.push(serde_json::from_str::<Value>(&body).unwrap()["pid"].as_u64().unwrap());
            }
            answers
        }
    });
    stage.server.restart();
    // The one that has taken over answers too.
    assert_eq!(curl(&[&stage.url("/livez")]).0, 200);
    stop.store(true, Ordering::Relaxed);
    let answers = asking.join().unwrap();
    let (old, new): (Vec<u64>, Vec<u64>) = answers.iter().partition(|&&pid| pid == u64::from(first));
    println!("a restart: {} requests answered before, {} after", old.len(), new.len());
    assert!(!old.is_empty());
}
