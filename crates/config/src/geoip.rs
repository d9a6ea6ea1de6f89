//! `[geoip]`: where clients are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use meridian_model::{Continent, Coordinates, CountryCode, Network, Place, ipv4_block_of, meant_network};

use crate::countries::COUNTRY;
use crate::findings::{Findings, Spotted};
use crate::forms;
use crate::issue::Located;
use crate::kinds::{At, FilePath, List, Parsed, Section, Sections, Whole};
use crate::limits;
use crate::networks_file;
use crate::places::{CONTINENT, LATITUDE, LONGITUDE, SUBDIVISION};
use crate::reader::Table;
use crate::settings::Geoip;

/// A prefix of either family without host bits.
pub(crate) const ANY_PREFIX: Parsed<IpNet> = Parsed {
    what: "a prefix, such as \"192.0.2.0/24\" or \"2001:db8::/32\"",
    pattern: forms::PREFIX,
    parse: parse_prefix,
};

/// A prefix without host bits.
pub(crate) const PREFIX: Parsed<IpNet> =
    Parsed { what: "a prefix, such as \"10.20.0.0/16\"", pattern: forms::PREFIX, parse: parse_network };

/// The number of an autonomous system; RFC 7607: 0 is none.
pub(crate) const ASN: Whole<u32> = Whole { min: 1, max: u32::MAX, unit: "" };

//----------- GeoipSpec ------------------------------------------------------

/// `[geoip]` as written.
#[derive(Default)]
pub(crate) struct GeoipSpec {
    databases: Vec<Spotted<PathBuf>>,
    networks_file: Option<Spotted<PathBuf>>,
    networks: Vec<NetworkSpec>,
}

impl GeoipSpec {
    /// The databases with their places in the file.
    pub(crate) fn databases(&self, findings: &Findings<'_>) -> Vec<Located<PathBuf>> {
        self.databases.iter().cloned().map(|database| findings.located(database)).collect()
    }

    /// The files that are read beside the configuration.
    pub(crate) fn data_files(&self) -> Vec<PathBuf> {
        self.networks_file.iter().map(|file| file.value.clone()).collect()
    }
}

/// A network as written.
struct NetworkSpec {
    prefix: Option<Spotted<IpNet>>,
    country: Option<CountryCode>,
    continent: Option<Continent>,
    subdivision: Option<Box<str>>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    asn: Option<u32>,
}

/// Reads `[geoip]`; relative paths begin at the folder of `file`.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> GeoipSpec {
    let read = |table: &mut Table<'_>| {
        let path = At(FilePath { file, what: "the path of an MMDB file" });
        let databases = List { of: path, what: "paths", min: 0, max: limits::DATABASES };
        let networks_file = At(FilePath { file, what: "the path of a CSV file" });
        let networks =
            Sections { header: "[[geoip.networks]]", min: 0, max: limits::NETWORKS, read: read_network };
        GeoipSpec {
            databases: table.or("databases", Vec::new(), &databases),
            networks_file: table.optional("networks_file", &networks_file),
            networks: table.many("networks", &networks).list,
        }
    };
    root.or("geoip", GeoipSpec::default(), &Section { header: "[geoip]", read })
}

fn read_network(table: &mut Table<'_>) -> NetworkSpec {
    const PLACES: [&str; 6] = ["country", "continent", "subdivision", "latitude", "longitude", "asn"];
    table.any_of(&PLACES, "a country, coordinates, a continent or an asn for the prefix");
    table.needs("latitude", "longitude", "a longitude beside the latitude");
    table.needs("longitude", "latitude", "a latitude beside the longitude");
    table.needs("subdivision", "country", "the country of the subdivision");
    NetworkSpec {
        prefix: table.required("prefix", &At(PREFIX)),
        country: table.optional("country", &COUNTRY),
        continent: table.optional("continent", &CONTINENT),
        subdivision: table.optional("subdivision", &SUBDIVISION),
        latitude: table.optional("latitude", &LATITUDE),
        longitude: table.optional("longitude", &LONGITUDE),
        asn: table.optional("asn", &ASN),
    }
}

/// A prefix of a network of the operator's, or why no client is in it.
fn parse_network(text: &str) -> Result<IpNet, String> {
    let prefix = parse_prefix(text)?;
    if meant_network(prefix).is_some() { Ok(prefix) } else { Err(no_client_in(prefix)) }
}

/// Why no client is in an IPv6 prefix that stands for IPv4 addresses, or for a part of one.
pub(crate) fn no_client_in(prefix: IpNet) -> String {
    let of = ipv4_block_of(prefix).map_or_else(|| prefix.to_string(), |block| block.to_string());
    format!("clients in {of} are found by the IPv4 address they hold; write its prefix")
}

/// A prefix, or why it is none.
pub(crate) fn parse_prefix(text: &str) -> Result<IpNet, String> {
    let prefix: IpNet = text.parse().map_err(|_| String::new())?;
    if prefix != prefix.trunc() {
        return Err(format!("its host bits are not zero; write {}", prefix.trunc()));
    }
    Ok(prefix)
}

//----------- Geoip ----------------------------------------------------------

/// Builds the section with the networks of its file, and checks that no prefix stands twice.
pub(crate) fn build(spec: GeoipSpec, findings: &Findings<'_>) -> Option<Geoip> {
    let databases = spec.databases(findings);
    let GeoipSpec { databases: _, networks_file, networks } = spec;
    let mut first_spots = HashMap::new();
    let mut built = Vec::with_capacity(networks.len());
    for network in networks {
        let Some(prefix) = network.prefix.as_ref() else { continue };
        // IPv4 networks have several names.
        let meant = meant_network(prefix.value).unwrap_or(prefix.value);
        if let Some(first) = first_spots.insert(meant, prefix.spot.clone()) {
            let found = format_args!("{}: line {} has it already", prefix.value, findings.line(&first));
            findings.mistake(&prefix.spot, "each prefix once", found);
        }
        built.push(build_network(network));
    }
    if let Some(file) = &networks_file {
        let of_file = networks_file::read(file, &first_spots, findings);
        built.extend(of_file.into_iter().map(Some));
    }
    Some(Geoip { databases, networks: built.into_iter().collect::<Option<_>>()? })
}

fn build_network(spec: NetworkSpec) -> Option<Network> {
    let NetworkSpec { prefix, country, continent, subdivision, latitude, longitude, asn } = spec;
    let coordinates = match (latitude, longitude) {
        (Some(latitude), Some(longitude)) => Some(Coordinates::new(latitude, longitude).ok()?),
        _ => None,
    };
    let place = Place { continent, country, subdivision, coordinates, asn };
    Some(Network { prefix: prefix?.value, place })
}
