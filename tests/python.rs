//! The built binary and programs in Python: dnspython with every packet that the fuzzers kept, and what comes back;
//! log lines and what Fluent Bit is told of them. `./tests/run` installs what they need and runs this suite.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Signal, Site, WORLD, ask_tcp, ask_udp, fuzzing, says};

#[test]
fn every_packet_of_the_corpus_is_answered_as_it_must_be() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = folder.join(".cache/python/bin/python");
    assert!(python.exists(), "expected {}, found none: ./tests/run makes it", python.display());
    let meridian = Meridian::serve(&configuration());
    let server = meridian.address();
    let output = Command::new(python)
        .arg(folder.join("clients/replay.py"))
        .args([server.ip().to_string(), server.port().to_string()])
        .args(["corpus/packet", "found/packet"].map(|part| folder.join("fuzz").join(part)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // Still alive.
    let ask = Ask::new("mail.gslb.example.", RecordType::A);
    for answer in [ask_udp(server, &ask), ask_tcp(server, &ask)] {
        assert_eq!(answer.unwrap().addresses(), ["192.0.2.25", "192.0.2.26"]);
    }
}

/// The world of the fuzz target, which probes nothing beyond this machine.
fn configuration() -> String {
    let (text, folder) = fuzzing::world();
    let text = text.replace("secret_file = \"", &format!("secret_file = \"{}/", folder.display()));
    let probed = text.replace("\nport = 443\n", "\nport = 443\naddress = \"127.0.0.1\"\n");
    assert_ne!(text, probed, "no probe is kept here");
    format!("{probed}\n[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n")
}

/// Lines of all kinds, as they come, through what Fluent Bit is told of them in `deploy`.
#[test]
fn log_lines_are_what_fluent_bit_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let site = Site::new();
    let mut cluster = site.cluster(1);
    let config = Config::new()
        .with(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[query_log]\nsample = 1\n[health]\nisolation = false\n\
             [[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\n\
             fall = 2\n",
            site.port
        ))
        .clusters(&WORLD[..1])
        .gateway("shop", &["shop.gslb.example"], "probe = \"web\"\n", &[("eu-west", &cluster.ip())]);
    let mut meridian = Meridian::serve(config.text());
    let steered = Ask::new("shop.gslb.example.", RecordType::A);
    ask_udp(meridian.address(), &steered.clone().subnet("8.8.8.0", 24)).unwrap();
    ask_tcp(meridian.address(), &steered).unwrap();
    cluster.kill();
    meridian.wait_for_verdict(&cluster.ip(), "unhealthy");
    std::fs::write(meridian.config(), "version = 2\n").unwrap();
    meridian.signal(Signal::SIGHUP);
    meridian.wait_for("the refusal", |line| says(line, "reload refused"));
    meridian.signal(Signal::SIGTERM);
    assert!(meridian.wait().success());
    let lines: Vec<String> = meridian.seen.iter().map(ToString::to_string).collect();
    let mut child = Command::new(folder.join(".cache/python/bin/python"))
        .arg(folder.join("clients/fluent_bit.py"))
        .arg(folder.join("../deploy/fluent-bit/fluent-bit.yaml"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}
