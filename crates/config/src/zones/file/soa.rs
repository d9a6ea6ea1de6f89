//! The SOA record (RFC 1035 §3.3.13).

use meridian_model::{DomainName, Soa};

use super::{Reader, Scope, Words, ttl};
use crate::findings::Spot;
use crate::issue::quote;
use crate::zones::presentation::{Token, name};
use crate::zones::rdata::spaced;
use crate::zones::types::parse_number;

/// The fields as they are written, for messages.
const EXPECTED: &str = "SOA data (server mailbox serial refresh retry expire minimum)";

impl Reader<'_, '_> {
    /// Takes the SOA record of the zone; `None` after reporting what is wrong with it.
    pub(super) fn soa(
        &mut self,
        words: Words<'_, '_>,
        data_spot: &Spot,
        type_spot: &Spot,
        (owner, ttl): (DomainName, u32),
        scope: &Scope,
    ) -> Option<()> {
        let soa = match parse(words.words, ttl, &scope.origin) {
            Ok(soa) => soa,
            Err(reason) => {
                let found = format_args!("{}: {reason}", quote(&spaced(words.words)));
                self.findings.mistake(data_spot, EXPECTED, found);
                return None;
            }
        };
        if owner != self.contents.apex {
            let expected = format_args!("the SOA record at the apex {}", self.contents.apex);
            self.findings.mistake(type_spot, expected, format_args!("it at {owner}"));
            return None;
        }
        if self.soa.is_some() {
            let first = self.soa_spot.as_ref().unwrap_or(type_spot);
            let line = self.findings.line_seen(first, type_spot);
            self.findings.mistake(
                type_spot,
                "one SOA record",
                format_args!("a second beside that in line {line}"),
            );
            return None;
        }
        self.soa = Some(soa);
        Some(())
    }
}

fn parse(words: &[Token<'_>], ttl: u32, origin: &DomainName) -> Result<Soa, String> {
    let [server, hostmaster, serial, refresh, retry, expire, minimum] = words else {
        return Err(format!("{} fields", words.len()));
    };
    let time = |word: &Token<'_>| {
        ttl::parse(word.text)
            .ok_or_else(|| format!("{} is no time of at most 2147483647 seconds", quote(word.text)))
    };
    let serial = parse_number(serial.text)
        .ok_or_else(|| format!("{} is no whole number from 0 to {}", quote(serial.text), u32::MAX))?;
    if hostmaster.text.contains('@') && hostmaster.text != "@" {
        return Err("write a dot for the @ of the mailbox, as in hostmaster.example.".into());
    }
    Ok(Soa {
        ttl,
        server: name(server.text, origin)?.into_boxed_slice(),
        hostmaster: name(hostmaster.text, origin)?.into_boxed_slice(),
        serial: Some(serial),
        refresh: time(refresh)?,
        retry: time(retry)?,
        expire: time(expire)?,
        negative_ttl: time(minimum)?,
    })
}
