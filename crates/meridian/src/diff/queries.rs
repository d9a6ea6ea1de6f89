//! Weighing by real traffic: every query of a log counts once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::rc::Rc;

use anyhow::Context;
use hickory_proto::rr::RecordType;
use meridian_dns::View;
use meridian_model::{DomainName, GatewayId};
use meridian_steering::Family;

use super::Row;
use super::space::named;
use super::tally::{Change, Mix, Tally};

/// Wrong lines that are shown: a file of another format has nothing else.
const ISSUES_SHOWN: usize = 20;

//----------- Queries --------------------------------------------------------

/// What moves of the queries in a log.
pub(super) struct Queries<'v> {
    /// By name.
    pub(super) rows: Vec<Row<'v>>,
    /// Of all that were compared.
    pub(super) total: Tally<'v>,
    pub(super) not_compared: NotCompared,
}

/// How many queries do not count, and why.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NotCompared {
    /// Only the new file steers their answer.
    pub(super) added: u64,
    /// Only the old file does.
    pub(super) removed: u64,
    /// Neither does: static records, test names, and names of others.
    pub(super) not_steered: u64,
}

impl<'v> Queries<'v> {
    /// Reads a log and asks both views; `Err`: what is wrong with the log.
    pub(super) fn weigh(old: &'v View, new: &'v View, file: &Path) -> anyhow::Result<Result<Self, String>> {
        let opened = match File::open(file) {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(format!("{}: {error}", file.display()))),
        };
        let mut weighing = Weighing {
            views: [old, new],
            total: Tally::default(),
            not_compared: NotCompared::default(),
            by_name: HashMap::new(),
            tallies: Vec::new(),
        };
        let (mut wrong, mut issues) = (0_usize, String::new());
        for (index, line) in BufReader::new(opened).split(b'\n').enumerate() {
            let line = line.with_context(|| file.display().to_string())?;
            match Query::parse(&String::from_utf8_lossy(&line)) {
                Ok(None) => {}
                Ok(Some(query)) => weighing.add(query),
                Err(problem) => {
                    wrong += 1;
                    if wrong <= ISSUES_SHOWN {
                        let end = if wrong > 1 { "\n" } else { "" };
                        // A String takes everything.
                        let _written = write!(issues, "{end}{}:{}: {problem}", file.display(), index + 1);
                    }
                }
            }
        }
        if wrong > ISSUES_SHOWN {
            let _written = write!(issues, "\n{}: {} more", file.display(), wrong - ISSUES_SHOWN);
        }
        let Weighing { total, not_compared, tallies, .. } = weighing;
        let rows = tallies
            .into_iter()
            .map(|(name, tally)| Row { hostname: name.as_str().to_owned(), tally: Rc::new(tally) });
        Ok(if wrong > 0 { Err(issues) } else { Ok(Self { rows: rows.collect(), total, not_compared }) })
    }
}

struct Weighing<'v> {
    views: [&'v View; 2],
    total: Tally<'v>,
    not_compared: NotCompared,
    by_name: HashMap<DomainName, usize>,
    tallies: Vec<(DomainName, Tally<'v>)>,
}

impl<'v> Weighing<'v> {
    fn add(&mut self, query: Query) {
        let [old, new] = self.views;
        let gateways = self.views.map(|view| view.gateway_of(&query.name, query.question_type.into()));
        let count = match gateways {
            [Some(before), Some(after)] => return self.compare(query, [(old, before), (new, after)]),
            [None, Some(_)] => &mut self.not_compared.added,
            [Some(_), None] => &mut self.not_compared.removed,
            [None, None] => &mut self.not_compared.not_steered,
        };
        *count += 1;
    }

    fn compare(&mut self, query: Query, sides: [(&'v View, GatewayId); 2]) {
        let [old, new] = sides.map(|(view, gateway)| {
            Family::ALL.map(|family| -> Mix<'v> {
                let mix = view.mix(gateway, family, query.client, query.client);
                mix.map_or_else(Vec::new, |mix| named(view, &mix))
            })
        });
        let change = match query.question_type {
            RecordType::A => Change::between(&old[0], &new[0]),
            RecordType::AAAA => Change::between(&old[1], &new[1]),
            _ => Change::of_families(old.each_ref(), new.each_ref()),
        };
        let locality = self.views[1].ground().locality();
        let (place, _) = locality.lookup(query.client);
        let country = locality.places().get(place.index()).and_then(|place| place.country);
        let tallies = &mut self.tallies;
        let index = *self.by_name.entry(query.name).or_insert_with_key(|name| {
            tallies.push((name.clone(), Tally::default()));
            tallies.len() - 1
        });
        self.total.add(country, 0, 1.0, &change);
        self.tallies[index].1.add(country, 0, 1.0, &change);
    }
}

//----------- Query ----------------------------------------------------------

/// One line.
#[derive(Debug, PartialEq)]
struct Query {
    client: IpAddr,
    name: DomainName,
    question_type: RecordType,
}

impl Query {
    /// `None` for a line without a query.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(client) = words.next() else { return Ok(None) };
        let Some(name) = words.next() else {
            return Err(format!("expected CLIENT NAME [TYPE], found only {client:?}"));
        };
        let question_type = match words.next() {
            None => RecordType::A,
            Some(word) => word
                .to_ascii_uppercase()
                .parse()
                .map_err(|_unknown| format!("expected an RR type such as AAAA, found {word:?}"))?,
        };
        if let Some(word) = words.next() {
            return Err(format!("expected CLIENT NAME [TYPE], found {word:?} behind it"));
        }
        let client =
            address(client).ok_or_else(|| format!("expected an address or a prefix, found {client:?}"))?;
        let name = DomainName::parse(name)
            .map_err(|error| format!("expected a domain name, found {name:?}: {error}"))?;
        Ok(Some(Self { client, name, question_type }))
    }
}

/// An address, or the first of a prefix: a disclosed subnet has no other bits (RFC 7871 §6).
fn address(text: &str) -> Option<IpAddr> {
    let Some((address, length)) = text.split_once('/') else { return text.parse().ok() };
    let length: u32 = length.parse().ok()?;
    Some(match address.parse().ok()? {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(length)?).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(length)?).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let query = |line: &str| Query::parse(line).unwrap().unwrap();
        let plain = query("192.0.2.1 Shop.gslb.example.");
        assert_eq!(plain.name.as_str(), "shop.gslb.example");
        assert_eq!(plain.question_type, RecordType::A);
        let subnet = query("\t2001:db8:0:7::1/48  shop.gslb.example aaaa # a comment");
        assert_eq!(subnet.client, "2001:db8::".parse::<IpAddr>().unwrap());
        assert_eq!(subnet.question_type, RecordType::AAAA);
        assert_eq!(query("192.0.2.77/24 shop.example").client, IpAddr::from([192, 0, 2, 0]));
        assert_eq!(query("192.0.2.77/0 shop.example").client, IpAddr::from([0, 0, 0, 0]));
        assert_eq!(Query::parse("  # only this"), Ok(None));
        assert_eq!(Query::parse(""), Ok(None));
        for wrong in [
            "192.0.2.1",
            "192.0.2.300 shop.example",
            "192.0.2.0/33 shop.example",
            "192.0.2.0/x shop.example",
            "192.0.2.1 shop..example",
            "192.0.2.1 shop.example NEITHER",
            "192.0.2.1 shop.example A more",
        ] {
            assert!(Query::parse(wrong).is_err(), "{wrong}");
        }
    }
}
