//! Zones from zone files, served by the binary: what they say is answered, a changed file takes effect by
//! itself, and a broken one does nothing.

use std::path::PathBuf;
use std::process::Command;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use meridian_tests::{Ask, Asked, Config, Meridian, ask_udp, binary, says, scratch};

/// A folder with `z.example.zone`, removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(zone: &str) -> Self {
        let folder = Self(scratch());
        folder.write(zone);
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("z.example.zone")
    }

    /// Puts the file there whole, as an editor does.
    fn write(&self, zone: &str) {
        let next = self.0.join("next");
        std::fs::write(&next, zone).unwrap();
        std::fs::rename(next, self.file()).unwrap();
    }

    fn config(&self) -> String {
        let zone = format!("[[zones]]\nname = \"z.example\"\nfile = {:?}\n", self.file());
        let local = "[server]\nlisten = [\"127.0.0.1:0\"]\n";
        let gateway = [("eu-west", "192.0.2.10")];
        let clusters = [("eu-west", 53.0, -6.0)];
        let config = Config::new().with(local).with(&zone).clusters(&clusters);
        config.gateway("shop", &["shop.z.example"], "", &gateway).text().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind among the temporary files harms nobody.
        let _kept = std::fs::remove_dir_all(&self.0);
    }
}

const ZONE: &str = "$TTL 300\n\
    @ SOA ns1 host\\.master.z.example. 41 7200 1800 1209600 120\n\
    @ NS ns1\n\
    ns1 A 192.0.2.53\n\
    *.wild TXT \"any\"\n\
    www 60 IN CNAME web\n\
    web A 192.0.2.80\n";

fn ask(server: &Meridian, name: &str, question_type: RecordType) -> Asked {
    ask_udp(server.address(), &Ask::new(name, question_type)).unwrap()
}

fn answers(asked: &Asked) -> Vec<String> {
    asked.message.answers.iter().map(ToString::to_string).collect()
}

#[test]
fn a_zone_file_is_served_beside_gateways() {
    let folder = Folder::new(ZONE);
    let server = Meridian::serve(&folder.config());
    let soa = "z.example. 300 IN SOA ns1.z.example. host\\.master.z.example. 41 7200 1800 1209600 120";
    assert_eq!(answers(&ask(&server, "z.example.", RecordType::SOA)), [soa]);
    let aliased = ask(&server, "www.z.example.", RecordType::A);
    assert_eq!(
        answers(&aliased),
        ["www.z.example. 60 IN CNAME web.z.example.", "web.z.example. 300 IN A 192.0.2.80"]
    );
    assert_eq!(
        answers(&ask(&server, "a.b.wild.z.example.", RecordType::TXT)),
        ["a.b.wild.z.example. 300 IN TXT any"]
    );
    // RFC 2308 §3: the lesser of the SOA's TTL and its MINIMUM.
    let missing = ask(&server, "missing.z.example.", RecordType::A);
    assert_eq!(missing.message.response_code, ResponseCode::NXDomain);
    assert_eq!(missing.message.authorities[0].ttl, 120);
    assert_eq!(ask(&server, "shop.z.example.", RecordType::A).addresses(), ["192.0.2.10"]);
}

/// RFC 6672.
#[test]
fn dname() {
    let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(31));
    let zone = format!(
        "{ZONE}old 77 DNAME new\nold TXT \"itself\"\nnew TXT \"target\"\n*.new A 192.0.2.7\nloop DNAME x.loop\n\
         away DNAME elsewhere.example.\nmoved DNAME z.example.\nalias CNAME www.old\ntwice DNAME old\nlong DNAME {long}\n"
    );
    let folder = Folder::new(&zone);
    let server = Meridian::serve(&folder.config());
    let get = |name: &str, question_type| {
        let asked = ask(&server, &format!("{name}.z.example."), question_type);
        assert!(asked.message.authoritative, "{name}");
        let records =
            answers(&asked).iter().map(|record| record.replace(".z.example.", "")).collect::<Vec<_>>();
        (asked.message.response_code, records)
    };
    let dname = RecordType::DNAME;
    // At its owner it is data as any other.
    assert_eq!(get("old", RecordType::TXT), (ResponseCode::NoError, vec!["old 300 IN TXT itself".into()]));
    let (_, itself) = get("old", dname);
    assert_eq!(itself.len(), 1);
    assert!(itself[0].starts_with("old 77 IN DNAME "), "{itself:?}");
    // Below it there is a CNAME for each name, with the DNAME's TTL, and what stands at its end.
    let below =
        [itself[0].clone(), "a.B.old 77 IN CNAME a.B.new".into(), "a.B.new 300 IN A 192.0.2.7".into()];
    assert_eq!(get("a.B.old", RecordType::A), (ResponseCode::NoError, below.to_vec()));
    assert_eq!(get("a.old", RecordType::AAAA).1.len(), 2);
    // Through a CNAME, and from one DNAME to another.
    assert_eq!(get("alias", RecordType::A).1.len(), 4);
    assert_eq!(get("a.twice", RecordType::A).1.len(), 5);
    // To the hostname of a gateway, which explain sees too.
    assert_eq!(ask(&server, "shop.moved.z.example.", RecordType::A).addresses(), ["192.0.2.10"]);
    let explained = Command::new(binary())
        .args(["explain", "--config"])
        .arg(server.config())
        .args(["shop.moved.z.example", "--client", "192.0.2.200"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(text.contains("shop.z.example") && text.contains("192.0.2.10"), "{text}");
    // Out of the zone; the resolver goes on.
    let (code, away) = get("a.away", RecordType::A);
    assert_eq!((code, away[1].as_str()), (ResponseCode::NoError, "a.away 300 IN CNAME a.elsewhere.example."));
    // A loop grows until it is too long a chain; the DNAME is there once.
    let (code, looping) = get("a.loop", RecordType::A);
    assert_eq!(
        (code, looping.iter().filter(|record| record.contains("DNAME")).count()),
        (ResponseCode::NoError, 1)
    );
    // §2.2: a name that would be too long.
    let (code, too_long) = get(&format!("{}.long", "b".repeat(40)), RecordType::A);
    assert_eq!((code, too_long.len()), (ResponseCode::YXDomain, 1));
}

#[test]
fn a_changed_file_takes_effect_and_a_broken_one_does_nothing() {
    let folder = Folder::new(ZONE);
    let mut server = Meridian::serve(&folder.config());
    let serial = |server: &Meridian| {
        let asked = ask(server, "z.example.", RecordType::SOA);
        let RData::SOA(soa) = &asked.message.answers[0].data else { panic!("{asked:?}") };
        soa.serial
    };
    folder.write(&ZONE.replace(" 41 ", " 42 "));
    server.wait_for("a new view", |line| line["message"] == "view published");
    assert_eq!(serial(&server), 42);
    folder.write(&format!("{}web A 192.0.2.81\nweb AAAA nonsense\n", ZONE.replace(" 41 ", " 43 ")));
    let issue = server.wait_for("the issue", |line| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.contains("z.example.zone:9:10: data: expected AAAA"))
    });
    assert_eq!(issue["level"], "ERROR");
    server.wait_for("what stays", |line| says(line, "reload refused"));
    assert_eq!(serial(&server), 42);
    assert_eq!(ask(&server, "web.z.example.", RecordType::A).addresses(), ["192.0.2.80"]);
    folder.write(&format!("{}web A 192.0.2.81\n", ZONE.replace(" 41 ", " 44 ")));
    server.wait_for("a new view", |line| line["message"] == "view published");
    assert_eq!(serial(&server), 44);
    assert_eq!(ask(&server, "web.z.example.", RecordType::A).addresses(), ["192.0.2.80", "192.0.2.81"]);
}

#[test]
fn check_reports_a_gateway_hostname_that_the_file_has() {
    let folder = Folder::new(&format!("{ZONE}shop A 192.0.2.1\n"));
    let config = folder.0.join("meridian.toml");
    std::fs::write(&config, folder.config()).unwrap();
    let checked = Command::new(binary()).arg("check").arg(&config).output().unwrap();
    assert_eq!(checked.status.code(), Some(64));
    let issues = String::from_utf8(checked.stderr).unwrap();
    let wanted = format!(
        "{}:8:1: name: expected no A record at a name that a gateway steers, found shop.z.example, a hostname of \
         the gateway \"shop\" (line ",
        folder.file().display()
    );
    assert!(issues.starts_with(&wanted), "{issues}");
    assert!(issues.trim_end().ends_with("meridian.toml)"), "{issues}");
}
