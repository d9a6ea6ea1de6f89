//! Zone files: what they mean, and for every kind of mistake in one the exact text of its issues.
//!
//! `mistakes/zone_files/*.txt` hold the cases: a title behind `####`, the file, and behind `---->` what is
//! reported. Below each file, except where the title ends in `(alone)`, stands [`APEX`], so that positions
//! are those of the case. Behind `==== name` stands a further file beside it; behind `==== m.toml` what the
//! configuration holds beside the zone. A second zone, whose file is right, is always there.
//! `UPDATE_GOLDEN=1 cargo test -p meridian-config --test zone_files` writes what is reported now; read the
//! difference before keeping it.

mod golden;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use meridian_config::{Loaded, load};
use meridian_model::{RecordSet, Soa};

const CONFIG: &str = "version = 1\n[[zones]]\nname = \"z.example\"\nfile = \"z.zone\"\n[[zones]]\n\
                      name = \"right.example\"\nfile = \"right.zone\"\n";
/// What every zone has.
const APEX: &str = "z.example. 3600 IN SOA ns.elsewhere.example. h.example. 1 2 3 4 5\n\
                    z.example. 3600 IN NS ns.elsewhere.example.\n";
const RIGHT: &str = "@ 60 SOA ns.elsewhere.example. h.example. 1 2 3 4 5\n 60 NS ns.elsewhere.example.\n";

//----------- Folder ---------------------------------------------------------

/// A folder with a configuration and zone files, removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(config: &str, zone: &[u8]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("meridian-zones-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("a folder of our own");
        folder.write("m.toml", format!("{CONFIG}{config}"));
        folder.write("right.zone", RIGHT);
        folder.write("z.zone", zone);
        folder
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), content).expect("a file of our own");
    }

    fn load(&self) -> Result<Loaded, String> {
        load(&self.0.join("m.toml")).map_err(|issues| self.without_path(&issues.to_string()))
    }

    fn issues(&self) -> String {
        self.load().expect_err("mistakes")
    }

    fn without_path(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind among the temporary ones harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

//----------- Meaning --------------------------------------------------------

/// The records of the zone as text: owner, TTL, type, data in hex.
fn shown(loaded: &Loaded) -> Vec<String> {
    let zone = &loaded.catalog.zones()[0];
    let hex = |data: &[u8]| data.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let record = |set: &RecordSet| {
        let data: Vec<String> = set.data.iter().map(|data| hex(data)).collect();
        format!("{} {} {} {}", set.owner.as_str(), set.ttl, set.record_type, data.join(" "))
    };
    zone.records.iter().map(record).collect()
}

/// The example of RFC 1035 §5.3 in its spirit, with what later RFCs and BIND added.
#[test]
fn what_a_file_says() {
    let zone = "\u{feff}; a comment\r\n\
        $TTL 1h30m\n\
        @ IN SOA NS.elsewhere.example. john\\.doe.example. (\n\
             2026112801 ; serial\r\n\
             1d 2h 4w 60 )\n\
        \tNS ns.elsewhere.example.\n\
        \t(\n  ) NS ns1\n\
        ns1 60 IN A 192.0.2.53\n\
        \x20   IN 60 AAAA 2001:db8::53\n\
        *.w A 192.0.2.1\n\
        $ORIGIN sub.z.example.\n\
        @ TXT \"a;b\" c\\\"d ; e\n\
        x MX ( 10\n mail ; relative to sub\n )\n\
        $ORIGIN y\n\
        t TYPE65280 \\# 4 ab cd (\n ef01 )\n\
        \\097 type1 \\# 4 c0000201\n\
        $TTL 30\n\
        U CLASS1 A 192.0.2.7\n\
        h HTTPS 1 . alpn=\"h2,h3\" key667=\"a b\"\n";
    let loaded = Folder::new("", zone.as_bytes()).load().unwrap();
    let of_the_zone = &loaded.catalog.zones()[0];
    assert_eq!(
        of_the_zone.soa,
        Soa {
            ttl: 5400,
            server: Box::from(&b"\x02ns\x09elsewhere\x07example\0"[..]),
            hostmaster: Box::from(&b"\x08john.doe\x07example\0"[..]),
            serial: Some(2_026_112_801),
            refresh: 86400,
            retry: 7200,
            expire: 4 * 604_800,
            negative_ttl: 60,
        }
    );
    let servers: Vec<&str> = of_the_zone.nameservers.iter().map(|name| name.as_str()).collect();
    assert_eq!((servers, of_the_zone.nameservers_ttl), (vec!["ns.elsewhere.example", "ns1.z.example"], 5400));
    assert_eq!(
        shown(&loaded),
        [
            "ns1.z.example 60 1 c0000235",
            "ns1.z.example 60 28 20010db8000000000000000000000053",
            "*.w.z.example 5400 1 c0000201",
            "sub.z.example 5400 16 03613b6203632264",
            "x.sub.z.example 5400 15 000a046d61696c03737562017a076578616d706c6500",
            "t.y.sub.z.example 5400 65280 abcdef01",
            "a.y.sub.z.example 5400 1 c0000201",
            "u.y.sub.z.example 30 1 c0000207",
            "h.y.sub.z.example 30 65 00010000010006026832026833029b0003612062",
        ]
    );
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [""; 0]);
}

/// Origin, TTL and owner of an included file end with it; its path begins at the folder of the file that
/// names it.
#[test]
fn included_and_generated() {
    let zone = format!(
        "{APEX}a 60 A 192.0.2.1\n$INCLUDE sub/one.zone inner\n  60 AAAA ::1\n$INCLUDE \"sub/two.zone\"\n\
         $GENERATE 9-11/2 h${{0,3}} 60 CNAME p$.example.\n"
    );
    let folder = Folder::new("", zone.as_bytes());
    std::fs::create_dir(folder.0.join("sub")).unwrap();
    folder.write("sub/one.zone", "$TTL 5\n@ A 192.0.2.2\n$ORIGIN deep\n$INCLUDE two.zone\n");
    folder.write("sub/two.zone", "t 7 A 192.0.2.3");
    let loaded = folder.load().unwrap();
    assert_eq!(
        shown(&loaded),
        [
            "a.z.example 60 1 c0000201",
            "inner.z.example 5 1 c0000202",
            "t.deep.inner.z.example 7 1 c0000203",
            "a.z.example 60 28 00000000000000000000000000000001",
            "t.z.example 7 1 c0000203",
            "h009.z.example 60 5 027039076578616d706c6500",
            "h011.z.example 60 5 03703131076578616d706c6500",
        ]
    );
    let path = |name: &str| folder.0.join(name);
    assert_eq!(
        loaded.settings.data_files,
        [
            path("z.zone"),
            path("sub/one.zone"),
            path("sub/two.zone"),
            path("sub/two.zone"),
            path("right.zone")
        ]
    );
}

/// What the configuration adds takes the TTL of the SOA where it has none.
#[test]
fn records_beside_the_file() {
    let config = "[[zones.records]]\nname = \"www\"\ntype = \"A\"\ndata = [\"192.0.2.1\"]\n";
    let folder = Folder::new(config, APEX.as_bytes());
    let zones = folder.load().unwrap().catalog.zones().to_vec();
    let [_, right] = zones.as_slice() else { panic!("two zones") };
    assert_eq!((right.records[0].owner.as_str(), right.records[0].ttl), ("www.right.example", 60));
}

//----------- Mistakes -------------------------------------------------------

fn report(title: &str, case: &str) -> String {
    let mut parts = case.split("==== ");
    let zone = parts.next().unwrap_or("");
    let others: Vec<(&str, &str)> = parts.map(|part| part.split_once('\n').expect("a name")).collect();
    let of = |name: &str| others.iter().find(|(other, _)| *other == name).map_or("", |(_, text)| text);
    let apex = if title.ends_with("(alone)") { "" } else { APEX };
    let folder = Folder::new(of("m.toml"), format!("{zone}{apex}").as_bytes());
    for (name, text) in others.iter().filter(|(name, _)| *name != "m.toml") {
        folder.write(name, text);
    }
    match folder.load() {
        Err(issues) => format!("{issues}\n"),
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| format!("{warning}\n")).collect::<String>();
            folder.without_path(&warnings)
        }
    }
}

fn hold(name: &str) {
    golden::hold(&format!("zone_files/{name}"), report);
}

/// What no golden file can hold.
#[test]
fn files_that_are_none() {
    let issues = |zone: &[u8]| Folder::new("", zone).issues();
    assert_eq!(
        issues(b"a 60 A 192.0.2.1\n\xc3\xa9 \xff\xfe"),
        "z.zone:2:3: syntax: expected text in UTF-8, found the octet 0xff"
    );
    let nul = issues(&[b"a 60 A 192.0.2.1\0\n", APEX.as_bytes()].concat());
    assert!(nul.starts_with("z.zone:1:17: syntax: expected text without control characters"), "{nul}");
    // An executable.
    let elf = issues(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0\xc0\x12");
    assert_eq!(elf, "z.zone:1:25: syntax: expected text in UTF-8, found the octet 0xc0");
    // 257 MiB that take no space.
    let folder = Folder::new("", b"");
    std::fs::File::create(folder.0.join("z.zone")).and_then(|file| file.set_len(257 << 20)).unwrap();
    assert_eq!(
        folder.issues(),
        "m.toml:4:8: zones[0].file: expected a zone file that can be read, found \"z.zone\": larger than 256 MiB"
    );
}

/// Words without end in one entry, and issues without end in one file.
#[test]
fn limits_hold() {
    let words = format!("a 60 TXT ({})\n{APEX}", " x".repeat(66_000));
    let issues = Folder::new("", words.as_bytes()).issues();
    assert_eq!(issues, "z.zone:1:132006: syntax: expected an entry of at most 66000 words, found one more");
    let many = format!("{APEX}{}", "a 60 A x\n".repeat(1000));
    let issues = Folder::new("", many.as_bytes()).issues();
    assert_eq!(issues.lines().count(), 201);
    assert!(issues.ends_with("\nand 800 more"), "{issues}");
}

#[test]
fn syntax() {
    hold("syntax.txt");
}

#[test]
fn directives() {
    hold("directives.txt");
}

#[test]
fn records() {
    hold("records.txt");
}

#[test]
fn whole_zones() {
    hold("whole.txt");
}
