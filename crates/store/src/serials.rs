//! `serials.json`: the serials of zones that others may have, and of what content.

use meridian_model::DomainName;
use serde::{Deserialize, Serialize};

/// The version of the file that is written, and the only one there is.
const VERSION: u32 = 1;

/// The serial that a zone had last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSerial {
    /// The zone.
    pub zone: DomainName,
    /// A hash of its content; another content has another serial.
    pub digest: u64,
    /// The serial (RFC 1982).
    pub serial: u32,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    serials: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    zone: String,
    /// 16 hexadecimal digits: JSON's numbers are not so large.
    digest: String,
    serial: u32,
}

pub(crate) fn render(all: &[KeptSerial]) -> Vec<u8> {
    let entry = |kept: &KeptSerial| Entry {
        zone: kept.zone.as_str().to_owned(),
        digest: format!("{:016x}", kept.digest),
        serial: kept.serial,
    };
    let file = File { version: VERSION, serials: all.iter().map(entry).collect() };
    let mut octets = serde_json::to_vec_pretty(&file).unwrap_or_default();
    octets.push(b'\n');
    octets
}

/// # Errors
/// What is wrong, and where.
pub(crate) fn parse(octets: &[u8]) -> Result<Vec<KeptSerial>, String> {
    let file: File = serde_json::from_slice(octets).map_err(|error| error.to_string())?;
    if file.version != VERSION {
        return Err(format!("version: expected {VERSION}, found {}", file.version));
    }
    let kept = |(index, entry): (usize, Entry)| {
        let zone =
            DomainName::parse(&entry.zone).map_err(|error| format!("serials[{index}].zone: {error}"))?;
        let digest = u64::from_str_radix(&entry.digest, 16)
            .map_err(|error| format!("serials[{index}].digest: {error}"))?;
        Ok(KeptSerial { zone, digest, serial: entry.serial })
    };
    file.serials.into_iter().enumerate().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let zone = DomainName::parse("gslb.example").unwrap();
        let all = vec![KeptSerial { zone, digest: u64::MAX - 1, serial: 4_294_967_295 }];
        assert_eq!(parse(&render(&all)).unwrap(), all);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, wanted) in [
            (r#"{"version":2,"serials":[]}"#, "version: expected 1, found 2"),
            (r#"{"version":1,"serials":[{"zone":"a b","digest":"0","serial":1}]}"#, "serials[0].zone: "),
            (r#"{"version":1,"serials":[{"zone":"a.b","digest":"x","serial":1}]}"#, "serials[0].digest: "),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
