//! Others take zones from us: Knot as a secondary, and dig.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{
    Ask, Authority, Config, FIRST_UNLESS_DOWN, Meridian, Site, ask_udp, dig_text, free_port, now, scratch,
};

const KEY: &str = "transfer.example";
const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A zone with a static name, and one whose first cluster is asked for unless it is down.
fn config(site: &Site, listen: SocketAddr, notify: Option<SocketAddr>, folder: &std::path::Path) -> String {
    let secret = folder.join("transfer.secret");
    std::fs::write(&secret, SECRET).unwrap();
    let notify = notify.map_or(String::new(), |server| format!("notify = [\"{server}\"]\n"));
    let text = Config::new()
        .record("www", "TXT", "\"hello\"")
        .with(&format!("[server]\nlisten = [\"{listen}\"]\ndata_dir = {:?}\n", folder.join("data")))
        .with(&format!("[[keys]]\nname = \"{KEY}\"\nsecret_file = {secret:?}\n"))
        .watched(site, "1s", FIRST_UNLESS_DOWN);
    let table = format!("[zones.transfer]\nkeys = [\"{KEY}\"]\n{notify}");
    text.text().replacen("serial = 7\n", &format!("serial = 7\n{table}"), 1)
}

/// Asks until the answer is as wanted.
fn until(server: SocketAddr, ask: &Ask, wanted: &[&str]) {
    let end = now() + Duration::from_secs(30);
    let mut last = None;
    while now() < end {
        if let Ok(reply) = ask_udp(server, ask) {
            if reply.addresses() == wanted {
                return;
            }
            last = Some(reply.message);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{wanted:?} did not come: {last:?}");
}

#[test]
fn a_secondary_follows_what_is_healthy() {
    let (site, folder) = (Site::new(), scratch());
    let (mut first, _second) = (site.cluster(1), site.cluster(2));
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port([127, 0, 0, 1].into())));
    let knot = Authority::secondary("gslb.example", listen, (KEY, SECRET));
    let mut meridian = Meridian::serve(&config(&site, listen, Some(knot.address), &folder));
    let [one, two] = [1, 2].map(|host| site.address(host).to_string());
    let shop = Ask::new("shop.gslb.example.", RecordType::A);
    until(knot.address, &shop, &[&one]);
    let text = ask_udp(knot.address, &Ask::new("www.gslb.example.", RecordType::TXT)).unwrap();
    assert_eq!((text.message.answers.len(), text.wire.authoritative()), (1, true));
    let killed = now();
    first.kill();
    until(knot.address, &shop, &[&two]);
    println!("a secondary answers without a killed cluster after {:?}", killed.elapsed());
    first.mend();
    meridian.wait_for_verdict(&one, "healthy");
    until(knot.address, &shop, &[&one]);
    drop(meridian);
    std::fs::remove_dir_all(folder).unwrap();
}

/// dig checks the signatures of all messages.
#[test]
fn dig_takes_the_zone_with_the_key_alone() {
    let (site, folder) = (Site::new(), scratch());
    let meridian = Meridian::serve(&config(&site, "127.0.0.1:0".parse().unwrap(), None, &folder));
    let server = meridian.address();
    let key = |secret: &str| format!("hmac-sha256:{KEY}:{secret}");
    let signed = dig_text(server, &format!("-y {} gslb.example AXFR", key(SECRET)));
    for wanted in ["shop.gslb.example.", "www.gslb.example.", "TSIG", "XFR size:"] {
        assert!(signed.contains(wanted), "{wanted}: {signed}");
    }
    assert!(!signed.contains("verify"), "{signed}");
    let other = SECRET.replace("MDEy", "NDEy");
    for arguments in [
        "gslb.example AXFR".to_owned(),
        format!("-y {} gslb.example AXFR", key(&other)),
        format!("-y {} shop.gslb.example AXFR", key(SECRET)),
    ] {
        let refused = dig_text(server, &arguments);
        assert!(refused.contains("Transfer failed.") && !refused.contains("TXT"), "{refused}");
    }
    // An answer to a signed question is signed.
    let soa = dig_text(server, &format!("-y {} gslb.example SOA", key(SECRET)));
    assert!(soa.contains("status: NOERROR") && soa.contains("TSIG PSEUDOSECTION"), "{soa}");
    assert!(!soa.to_lowercase().contains("couldn't verify"), "{soa}");
    let wrong = dig_text(server, &format!("-y {} gslb.example SOA", key(&other)));
    assert!(wrong.contains("status: NOTAUTH") && wrong.contains("BADSIG"), "{wrong}");
    std::fs::remove_dir_all(folder).unwrap();
}
