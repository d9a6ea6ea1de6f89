//! The transports as the clients of others speak them: dig, kdig, curl, dnsperf and dnspython, each of which has an
//! implementation of its own. `./tests/run` installs them and runs this suite.

use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::BASE64URL_NOPAD;
use hickory_proto::rr::RecordType;
use meridian_tests::tls::{Identity, NAME, every_transport};
use meridian_tests::{Ask, Asked, Meridian, dig, kdig};

/// The one address of the static name that they ask for.
const ADDRESS: &str = "127.0.0.1";
const ASKED: &str = "ns1.gslb.example. A";

fn serve() -> (Meridian, Identity) {
    let identity = Identity::new();
    (Meridian::serve_with_files(&every_transport(""), &identity.files()), identity)
}

/// The certificate, which is its own authority.
fn authority(meridian: &Meridian) -> PathBuf {
    meridian.config().with_file_name("server.pem")
}

/// Runs a program to its good end and returns what it prints.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn dig_over_every_transport_it_has() {
    let (meridian, _) = serve();
    let trusted = format!("+tls-ca={} +tls-hostname={NAME}", authority(&meridian).display());
    for (service, words) in [
        ("dns", "+tcp".to_owned()),
        ("dns", "+tcp +keepopen".to_owned()),
        ("dot", format!("+tls {trusted}")),
        ("doh", format!("+https {trusted}")),
        ("doh", format!("+https-get {trusted}")),
    ] {
        let shown = dig(meridian.address_of(service), &format!("{words} {ASKED}"));
        assert_eq!(shown.answer.len(), 1, "{words}: {shown:?}");
        assert!(shown.answer[0].ends_with(ADDRESS), "{words}: {shown:?}");
    }
}

#[test]
fn kdig_over_every_transport_it_has() {
    let (meridian, _) = serve();
    let trusted = format!("+tls-ca={} +tls-hostname={NAME}", authority(&meridian).display());
    for (service, words) in [
        ("dot", "+tls".to_owned()),
        ("dot", format!("+tls {trusted}")),
        ("doh", format!("+https {trusted}")),
        ("doh", format!("+https +https-get {trusted}")),
        ("doq", format!("{trusted} +quic")),
        ("doq", format!("{trusted} +quic +padding=128")),
    ] {
        // Two questions over one connection, where it keeps one. Over QUIC it writes the second to the first one's
        // stream where the end of that comes in a packet of its own; tests/quic.rs asks several there.
        let keep = if service == "doq" { "" } else { "+keepopen" };
        let shown = kdig(meridian.address_of(service), &format!("{words} {keep} {ASKED} {ASKED}"));
        assert_eq!(shown.len(), 2, "{words}");
        for reply in shown {
            assert!(reply.answer.len() == 1 && reply.answer[0].ends_with(ADDRESS), "{words}: {reply:?}");
        }
    }
}

/// What curl gets by each version of HTTP, and what a cache is told.
#[test]
fn curl_posts_and_gets() {
    let (meridian, _) = serve();
    let server = meridian.address_of("doh");
    let uri = format!("https://{NAME}:{}/dns-query", server.port());
    let of = |name: &str| Ask::new(name, RecordType::A).octets();
    let file = meridian.config().with_file_name("query");
    let body = meridian.config().with_file_name("reply");
    for version in ["--http2", "--http1.1"] {
        for (name, cache) in
            [("ns1.gslb.example.", "max-age=3600"), ("shop.gslb.example.", "max-age=0, private")]
        {
            for posts in [true, false] {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "--show-error", "--max-time", "10", version, "--dump-header", "-"]);
                curl.arg("--cacert").arg(authority(&meridian)).arg("--output").arg(&body);
                curl.args(["--resolve", &format!("{NAME}:{}:{}", server.port(), server.ip())]);
                if posts {
                    std::fs::write(&file, of(name)).unwrap();
                    curl.args(["--header", "content-type: application/dns-message", "--data-binary"]);
                    curl.arg(format!("@{}", file.display())).arg(&uri);
                } else {
                    curl.arg(format!("{uri}?dns={}", BASE64URL_NOPAD.encode(&of(name))));
                }
                let said = run(&mut curl).to_lowercase();
                let first = if version == "--http2" { "http/2 200" } else { "http/1.1 200" };
                assert!(said.starts_with(first), "{said}");
                assert!(said.contains(&format!("cache-control: {cache}\r\n")), "{said}");
                assert!(said.contains("content-type: application/dns-message\r\n"), "{said}");
                let reply = Asked::decode(std::fs::read(&body).unwrap()).unwrap();
                assert_eq!(reply.addresses().len(), 1);
            }
        }
    }
}

/// dnsperf keeps connections busy with many queries under way; none may be lost. Over HTTPS dnsperf 2.10 at times
/// takes no notice of a response that it counts as come, so there only that is looked at, and [`h2load_loses_nothing`]
/// is the one that loses none.
#[test]
fn dnsperf_loses_nothing() {
    let (meridian, _) = serve();
    let queries = meridian.config().with_file_name("queries");
    std::fs::write(&queries, format!("{ASKED}\nshop.gslb.example. A\n").repeat(500)).unwrap();
    for (mode, service) in [("udp", "dns"), ("tcp", "dns"), ("dot", "dot"), ("doh", "doh")] {
        let server = meridian.address_of(service);
        let mut dnsperf = Command::new("dnsperf");
        dnsperf.args(["-m", mode, "-s", &server.ip().to_string(), "-p", &server.port().to_string()]);
        let (under_way, wait) = if mode == "doh" { ("10", "1") } else { ("50", "5") };
        dnsperf.args(["-c", "10", "-n", "5", "-q", under_way, "-t", wait, "-d"]).arg(&queries);
        if mode == "doh" {
            dnsperf.args(["-O", &format!("doh-uri=https://localhost:{}/dns-query", server.port())]);
        }
        let said = run(&mut dnsperf);
        let line = |name: &str| {
            let line = said.lines().find(|line| line.trim_start().starts_with(name));
            line.unwrap_or_else(|| panic!("{mode}: {said}")).trim().to_owned()
        };
        println!("{mode}: {}", line("Queries per second:"));
        if mode == "doh" {
            let of_http = line("HTTP/2 return codes:");
            let count = of_http.rsplit(' ').next().and_then(|count| count.parse::<u32>().ok());
            assert!(of_http.contains(" 200: ") && count >= Some(4990), "{said}");
            assert!(line("Response codes:").contains("(100.00%)"), "{said}");
            continue;
        }
        assert!(line("Queries completed:").contains("5000 (100.00%)"), "{mode}: {said}");
        assert!(line("Response codes:").contains("NOERROR 5000 (100.00%)"), "{mode}: {said}");
    }
}

/// Every request over HTTP/2 has its response, one at a time and many at once.
#[test]
fn h2load_loses_nothing() {
    let (meridian, _) = serve();
    let server = meridian.address_of("doh");
    let query = Ask::new(ASKED.split(' ').next().unwrap_or(ASKED), RecordType::A).octets();
    let uri = format!("https://{server}/dns-query?dns={}", BASE64URL_NOPAD.encode(&query));
    for at_once in ["1", "50"] {
        let mut h2load = Command::new("h2load");
        h2load.args(["-n", "10000", "-c", "10", "-m", at_once, &uri]);
        let said = run(&mut h2load);
        let line = said.lines().find(|line| line.starts_with("finished in")).unwrap_or_default();
        println!("h2load, {at_once} at once: {line}");
        assert!(said.contains("10000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    }
}

/// dnspython over TLS, HTTPS, HTTP/3 and QUIC, the last two by aioquic.
#[test]
fn dnspython_over_every_transport_it_has() {
    let (meridian, _) = serve();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = folder.join(".cache/python/bin/python");
    assert!(python.exists(), "expected {}, found none: ./tests/run makes it", python.display());
    let mut command = Command::new(python);
    command.arg(folder.join("clients/transports.py")).arg(authority(&meridian));
    for service in ["dot", "doh", "doh3", "doq"] {
        command.arg(meridian.address_of(service).port().to_string());
    }
    let said = run(&mut command);
    println!("{said}");
    assert_eq!(said.lines().filter(|line| line.ends_with(": ok")).count(), 4, "{said}");
}
