//! What breaks name servers, a class a test: each prints its figure, and asserts what holds on every machine.

mod connections;
mod control;
mod crowd;
mod floods;
mod forged;
mod host;
mod raw;
mod reloads;
mod steady;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian};

/// A server of one zone with static and steered names.
fn serve(more: &str) -> Meridian {
    let texts: Vec<String> = (0..12).map(|number| format!("\"\\\"{number:0>200}\\\"\"")).collect();
    let config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n")
        .record("static", "A", "\"192.0.2.10\", \"192.0.2.11\"")
        .record("static", "TXT", "\"hello\"")
        .record("large", "TXT", &texts.join(", "))
        .record("big", "TXT", &texts[..5].join(", "))
        .record("child", "NS", "\"ns.child\"")
        .record("ns.child", "A", "\"192.0.2.53\"")
        .clusters(&[("frankfurt", 50.11, 8.68), ("tokyo", 35.68, 139.77)])
        .gateway("shop", &["shop.gslb.example"], "", &[("frankfurt", "192.0.2.1"), ("tokyo", "192.0.2.2")]);
    Meridian::serve(config.with(more).text())
}

fn good() -> Ask {
    Ask::new("static.gslb.example.", RecordType::A)
}
