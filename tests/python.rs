//! The built binary and dnspython: every packet that the fuzzers kept, and what comes back. `./tests/run`
//! installs dnspython and runs this suite.

use std::path::Path;
use std::process::Command;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Meridian, ask_tcp, ask_udp, fuzzing};

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
