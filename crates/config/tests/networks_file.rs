//! The networks of a CSV file: what they mean, and files that are none.

use std::path::{Path, PathBuf};

use meridian_config::{Loaded, load, parse};
use meridian_model::{Continent, Coordinates, CountryCode, Network, Place};

/// A folder of one test with a configuration and its data file, removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, csv: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("meridian-networks-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder of our own");
        let folder = Self(path);
        std::fs::write(folder.config(), CONFIG).expect("a file of our own");
        std::fs::write(folder.csv(), csv).expect("a file of our own");
        folder
    }

    fn config(&self) -> PathBuf {
        self.0.join("m.toml")
    }

    fn csv(&self) -> PathBuf {
        self.0.join("networks.csv")
    }

    fn load(&self) -> Loaded {
        load(&self.config()).unwrap_or_else(|issues| panic!("{issues}"))
    }

    /// The issues, without the path of the folder.
    fn issues(&self) -> String {
        let issues = load(&self.config()).expect_err("mistakes").to_string();
        issues.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind among the temporary ones harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const CONFIG: &str = r#"
version = 1
[geoip]
networks_file = "networks.csv"
[[geoip.networks]]
prefix = "10.0.0.0/8"
country = "IE"
"#;

fn network(prefix: &str, place: Place) -> Network {
    Network { prefix: prefix.parse().expect("a prefix"), place }
}

fn country(code: &str) -> Option<CountryCode> {
    Some(CountryCode::parse(code).expect("two letters"))
}

#[test]
fn networks_of_the_file_come_behind_those_of_the_configuration() {
    let csv = "\u{feff}# offices\r\n\r\nasn, prefix ,country,subdivision,continent,latitude,longitude\r\n\
               64500,10.1.0.0/16, us ,ca,,,\r\n  # more\r\n,2001:db8::/32,,,,53.35,-6\r\n,11.0.0.0/8,,,EU,,";
    let folder = Folder::new("meaning", csv.as_bytes());
    let settings = folder.load().settings;
    let wanted = [
        network("10.0.0.0/8", Place { country: country("IE"), ..Place::default() }),
        network(
            "10.1.0.0/16",
            Place {
                country: country("US"),
                subdivision: Some("CA".into()),
                asn: Some(64500),
                ..Place::default()
            },
        ),
        network(
            "2001:db8::/32",
            Place { coordinates: Some(Coordinates::new(53.35, -6.0).unwrap()), ..Place::default() },
        ),
        network("11.0.0.0/8", Place { continent: Some(Continent::Europe), ..Place::default() }),
    ];
    assert_eq!(settings.geoip.networks, wanted);
    assert_eq!(settings.data_files, [folder.csv()]);
}

#[test]
fn no_file_no_data_files() {
    let settings = parse("version = 1\n", Path::new("m.toml")).unwrap().settings;
    assert_eq!(settings.data_files, Vec::<PathBuf>::new());
}

/// The text alone is enough for a reload: what has changed beside it is read anew.
#[test]
fn the_file_is_read_at_every_call() {
    let folder = Folder::new("anew", b"prefix,country\n");
    let loaded = folder.load();
    assert_eq!(loaded.settings.geoip.networks.len(), 1);
    std::fs::write(folder.csv(), b"prefix,country\n10.1.0.0/16,DE\n").unwrap();
    let again = parse(&loaded.text, &folder.config()).unwrap();
    assert_eq!(again.settings.geoip.networks.len(), 2);
    std::fs::write(folder.csv(), b"prefix,country\n10.1.0.0/16,DEU\n").unwrap();
    assert!(folder.issues().starts_with("networks.csv:2:13: country: expected "), "{}", folder.issues());
}

#[test]
fn a_file_that_is_no_text() {
    let folder = Folder::new("latin1", b"prefix,country\n10.1.0.0/16,D\xcb\n");
    assert_eq!(folder.issues(), "networks.csv:2:14: syntax: expected text in UTF-8, found the octet 0xcb");
}

#[test]
fn a_line_too_many() {
    let most = "#\n".repeat(499_999);
    let folder = Folder::new("lines", format!("prefix,country\n{most}10.1.0.0/16,DE\n").as_bytes());
    assert_eq!(
        folder.issues(),
        "networks.csv:500001:1: syntax: expected a file of at most 500000 lines, found one more"
    );
    std::fs::write(folder.csv(), format!("{}prefix,country\n10.1.0.0/16,DE\n", &most[..2 * 499_998]))
        .unwrap();
    assert_eq!(folder.load().settings.geoip.networks.len(), 2);
}

#[test]
fn a_file_that_is_too_large() {
    let folder = Folder::new("size", b"");
    std::fs::File::options().write(true).open(folder.csv()).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_eq!(
        folder.issues(),
        "m.toml:4:17: geoip.networks_file: expected a CSV file that can be read, \
         found \"networks.csv\": larger than 64 MiB"
    );
}

#[test]
fn mistakes_without_end_are_counted() {
    let folder = Folder::new("many", format!("prefix,country\n{}", "x,DE\n".repeat(5000)).as_bytes());
    let issues = load(&folder.config()).unwrap_err();
    assert_eq!((issues.iter().count(), issues.len()), (200, 5000));
    assert!(folder.issues().ends_with("\nand 4800 more"));
}

#[test]
fn mutations_of_a_file_never_panic() {
    let good = "# offices\nprefix,country,subdivision,continent,latitude,longitude,asn\n\
                10.1.0.0/16,US,CA,,,,64500\n2001:db8::/32,,,EU,53.35,-6,\n";
    let folder = Folder::new("mutations", good.as_bytes());
    let mut random = fastrand::Rng::with_seed(20_260_102);
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..1000 {
        let mut octets = good.as_bytes().to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..octets.len());
            match random.u8(..4) {
                0 => octets[at] ^= 1 << random.u8(..8),
                1 if octets.len() > 1 => drop(octets.remove(at)),
                2 => octets.insert(at, *random.choice(b",#\n\r \"\0\xe9/:.-").expect("not empty")),
                _ => octets.truncate(at.max(1)),
            }
        }
        std::fs::write(folder.csv(), &octets).unwrap();
        match load(&folder.config()) {
            Ok(_) => accepted += 1,
            Err(issues) => {
                refused += 1;
                let lines = octets.split(|octet| *octet == b'\n').count();
                for issue in &issues {
                    let position = issue.position.expect("a text has positions");
                    assert!((1..=lines).contains(&position.line) && position.column >= 1, "{issue}");
                    assert_eq!(issue.file, folder.csv());
                }
            }
        }
    }
    assert!(refused > 100 && accepted > 10, "{refused} refused, {accepted} accepted");
}

/// As many lines as are promised, so that a slow check would be noticed.
#[test]
fn half_a_million_lines() {
    let lines: String =
        (0..499_999_u32).map(|number| format!("{}/32,DE\n", std::net::Ipv4Addr::from(number << 8))).collect();
    let folder = Folder::new("large", format!("prefix,country\n{lines}").as_bytes());
    assert_eq!(folder.load().settings.geoip.networks.len(), 500_000);
}
