//! The API against its own document: whatever is asked, well-formed or not, is answered as the document says, and never with a 5xx
//! that it does not name. By schemathesis, which `./tests/run` installs.
//!
//! Left out are a restart, which `restart` tests, and the stream of events, which ends when it wants and which `api` tests.

use std::path::Path;
use std::process::Command;

use meridian_tests::{Config, Meridian, WORLD, api_address, curl, scratch};
use serde_json::Value;

/// For each operation and phase; the seed makes a run the same as the one before.
const CASES: &str = "25";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method";

#[test]
fn the_api_does_what_its_document_says() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/schemathesis/bin/schemathesis");
    assert!(program.exists(), "expected {}, found none: ./tests/run makes it", program.display());
    let folder = scratch();
    let config = Config::new()
        .with(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            folder.join("data").display()
        ))
        .clusters(&WORLD[..2])
        .gateway("shop", &["shop.gslb.example"], "", &[("eu-west", "192.0.2.1"), ("us-east", "192.0.2.2")]);
    let mut server = Meridian::serve(config.text());
    let api = api_address(&mut server);
    let output = Command::new(program)
        .args(["run", &format!("http://{api}/openapi.json"), "--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", CASES, "--seed", "1"])
        .args(["--exclude-path", "/v1/restart", "--exclude-path", "/v1/events", "--request-timeout", "60"])
        .args(["--continue-on-failure", "--no-color"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for line in said.lines().filter(|line| line.contains("generated") || line.contains("Selected")) {
        println!("{}", line.trim());
    }
    // It lives, and what it was told to do is in its audit.
    let (status, audit) = curl(&[&format!("http://{api}/v1/audit?limit=1000")]);
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(status, 200);
    assert!(!audit["items"].as_array().unwrap().is_empty());
    let _kept = std::fs::remove_dir_all(&folder);
}
