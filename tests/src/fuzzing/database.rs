//! A GeoIP database in, places or an error out.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use meridian_geoip::{Locality, PlaceId};

use crate::binary::scratch;
use crate::mmdb::{MmdbWriter, Value};

thread_local! {
    /// Databases are files, also those of a fuzzer; a thread has one that it writes again and again.
    static FILE: PathBuf = scratch().join("fuzz.mmdb");
}

/// Loads octets as a database, and looks addresses up in what comes of it.
///
/// # Errors
/// Places that do not cover all addresses, or that a look-up does not find; an error that is not to be printed.
pub fn database(octets: &[u8]) -> Result<()> {
    let file = FILE.with(PathBuf::clone);
    std::fs::write(&file, octets).context("the database is not written")?;
    let locality = match Locality::load(std::slice::from_ref(&file), &[]) {
        Ok(locality) => locality,
        Err(errors) => {
            ensure!(errors.len() == 1, "{} errors of one database", errors.len());
            let shown = errors[0].to_string();
            ensure!(!shown.chars().any(char::is_control), "not to be printed: {shown:?}");
            // A name of many octets is cut.
            ensure!(shown.len() < 4096, "an error of {} octets", shown.len());
            return Ok(());
        }
    };
    let v4 = |start, end, id| (Ipv4Addr::from_bits(start), Ipv4Addr::from_bits(end), id);
    cover(locality.ranges_v4().map(|(start, end, id)| v4(start, end, id)), Ipv4Addr::BROADCAST, |end| {
        end.to_bits().checked_add(1).map(Ipv4Addr::from_bits)
    })?;
    for (start, end, id) in locality.ranges_v4().take(RANGES) {
        found(&locality, v4(start, end, id))?;
    }
    for (start, end, id) in locality.ranges_v6().take(RANGES) {
        found(&locality, (Ipv6Addr::from_bits(start), Ipv6Addr::from_bits(end), id))?;
    }
    let mut before = None;
    for (start, end, _) in locality.ranges_v6() {
        ensure!(start <= end && before < Some(start), "IPv6 ranges out of order at {start:x}");
        before = Some(end);
    }
    Ok(())
}

/// Ranges of each family that are looked up.
const RANGES: usize = 256;

/// Whether ranges follow each other up to the last address, no two neighbours alike.
fn cover<A: Copy + Debug + PartialEq>(
    ranges: impl Iterator<Item = (A, A, PlaceId)>,
    last: A,
    next: impl Fn(A) -> Option<A>,
) -> Result<()> {
    let mut before: Option<(A, PlaceId)> = None;
    for (start, end, id) in ranges {
        if let Some((end_before, id_before)) = before {
            ensure!(next(end_before) == Some(start), "a gap between {end_before:?} and {start:?}");
            ensure!(id_before != id, "two ranges of one place at {start:?}");
        }
        before = Some((end, id));
    }
    let (end, _) = before.context("no range at all")?;
    ensure!(end == last, "the last range ends at {end:?}");
    Ok(())
}

/// Whether the ends of a range are in its place, each with a prefix that ends within the range.
fn found<A: Into<IpAddr> + Copy>(locality: &Locality, (start, end, id): (A, A, PlaceId)) -> Result<()> {
    ensure!(id.index() < locality.places().len(), "a place that there is not");
    for address in [start.into(), end.into()] {
        let (place, prefix_len) = locality.lookup(address);
        let most = if address.is_ipv4() { 32 } else { 128 };
        ensure!(place == id && prefix_len <= most, "{address}: {place:?}/{prefix_len} and not {id:?}");
    }
    Ok(())
}

/// A database of a few networks, in MaxMind's schema, with an alias of the IPv4 tree.
pub(crate) fn small_database() -> Vec<u8> {
    let mut writer = MmdbWriter::new();
    let place = |code, latitude| {
        let coordinates = vec![("latitude", Value::Double(latitude)), ("longitude", Value::Double(8.5))];
        Value::Map(vec![
            ("country", Value::Map(vec![("iso_code", Value::Text(code))])),
            ("location", Value::Map(coordinates)),
            ("autonomous_system_number", Value::U32(64500)),
        ])
    };
    for (network, code, latitude) in [
        ("10.1.0.0/16", "IE", 53.0),
        ("10.2.0.0/16", "US", 39.0),
        ("10.3.0.0/20", "JP", 35.5),
        ("2001:db8:1::/48", "DE", 50.0),
    ] {
        let record = writer.record(&place(code, latitude));
        writer.insert(network.parse().expect("a network"), record);
    }
    let mut octets = Vec::new();
    writer.write(&mut octets, "Fuzz-City", "A few networks").expect("a vector takes all");
    octets
}
