//! One lookup of one name: what is asked, and what may come back.

use std::net::IpAddr;

use ipnet::IpNet;
use meridian_model::DomainName;
use thiserror::Error;
use tokio::time::timeout;

use super::refused::{is_nobody, is_refused};
use crate::limits::{ADDRESSES_MAX, CAUSE_OCTETS_MAX, LOOKUP_MAX, TTL_MAX};

//----------- Lookup ---------------------------------------------------------

/// What asks the DNS: a resolver, or a script in tests.
pub trait Lookup: Send + Sync + 'static {
    /// Looks up the addresses of one family. The name is absolute.
    ///
    /// The caller drops the future after [`LOOKUP_MAX`].
    fn lookup(
        &self,
        name: &DomainName,
        family: Family,
    ) -> impl Future<Output = Result<Found, NotFound>> + Send;
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A records (RFC 1035 §3.4.1).
    V4,
    /// AAAA records (RFC 3596 §2.1).
    V6,
}

impl Family {
    fn has(self, address: IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Addresses, as a resolver gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In any order.
    pub addresses: Vec<IpAddr>,
    /// Seconds: the least of the address records and of the CNAME records that led to them.
    pub ttl: u32,
}

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotFound {
    /// The name does not exist (RFC 2308 §2.1).
    #[error("NXDOMAIN")]
    NoName,
    /// The name exists and has no address of this family (RFC 2308 §2.2).
    #[error("no data")]
    NoData,
    /// Nothing can be said: SERVFAIL, a timeout, an answer that makes no sense. In words a person can
    /// act on.
    #[error("{0}")]
    Failed(String),
}

//----------- Both families --------------------------------------------------

/// What a lookup of both families brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) v4: Result<Found, NotFound>,
    pub(crate) v6: Result<Found, NotFound>,
    /// Addresses that nobody allowed (see [`super::refused`]); sorted, at most [`ADDRESSES_MAX`] of a family.
    pub(crate) refused: Vec<IpAddr>,
}

impl Answers {
    /// The same failure for both.
    pub(crate) fn failed(cause: &str) -> Self {
        let failed = || Err(NotFound::Failed(shorten(cause)));
        Self { v4: failed(), v6: failed(), refused: Vec::new() }
    }

    /// Why, where a family failed or neither has an address.
    pub(crate) fn cause(&self) -> String {
        let text = |answer: &Result<Found, NotFound>| match answer {
            Ok(found) if found.addresses.len() == 1 => "1 address".to_owned(),
            Ok(found) => format!("{} addresses", found.addresses.len()),
            Err(error) => error.to_string(),
        };
        let (v4, v6) = (text(&self.v4), text(&self.v6));
        if v4 == v6 { v4 } else { format!("A: {v4}; AAAA: {v6}") }
    }
}

/// Asks for both families at once, and makes of the answers what may be used of them.
pub(crate) async fn run<L: Lookup>(lookup: &L, name: &DomainName, allow: &[IpNet]) -> Answers {
    let both = async { tokio::join!(lookup.lookup(name, Family::V4), lookup.lookup(name, Family::V6)) };
    match timeout(LOOKUP_MAX, both).await {
        Ok((v4, v6)) => {
            let mut refused = Vec::new();
            let mut use_of = |answer, family| usable(answer, family, allow, &mut refused);
            let (v4, v6) = (use_of(v4, Family::V4), use_of(v6, Family::V6));
            Answers { v4, v6, refused }
        }
        Err(_elapsed) => Answers::failed(&format!("no answer within {LOOKUP_MAX:?}")),
    }
}

/// Addresses that a client can be sent to: sorted, each once, at most [`ADDRESSES_MAX`]. Those that are
/// refused are put aside.
fn usable(
    answer: Result<Found, NotFound>,
    family: Family,
    allow: &[IpNet],
    refused: &mut Vec<IpAddr>,
) -> Result<Found, NotFound> {
    let Found { mut addresses, ttl } = answer.map_err(|error| match error {
        NotFound::Failed(cause) => NotFound::Failed(shorten(&cause)),
        NotFound::NoName | NotFound::NoData => error,
    })?;
    addresses.retain(|address| family.has(*address) && !is_nobody(*address));
    addresses.sort_unstable();
    addresses.dedup();
    let (mut bad, mut addresses): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.into_iter().partition(|address| is_refused(*address, allow));
    addresses.truncate(ADDRESSES_MAX);
    bad.truncate(ADDRESSES_MAX);
    let refuses = bad.first().copied();
    refused.append(&mut bad);
    if addresses.is_empty() {
        if let Some(address) = refuses {
            return Err(NotFound::Failed(format!("{address} is refused; resolver.allow would let it")));
        }
        // A resolver that blocks a name answers 0.0.0.0: that is no statement of the name's owner.
        return Err(NotFound::Failed("an answer without a usable address".to_owned()));
    }
    Ok(Found { addresses, ttl: if ttl > TTL_MAX { 0 } else { ttl } })
}

/// At most [`CAUSE_OCTETS_MAX`] octets on one line, whatever a resolver put into them.
fn shorten(cause: &str) -> String {
    let end = cause.floor_char_boundary(CAUSE_OCTETS_MAX);
    cause.get(..end).unwrap_or_default().replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable(answer: Result<Found, NotFound>, family: Family) -> Result<Found, NotFound> {
        super::usable(answer, family, &[], &mut Vec::new())
    }

    fn found(addresses: &[&str]) -> Result<Found, NotFound> {
        Ok(Found { addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(), ttl: 60 })
    }

    #[test]
    fn addresses_are_sorted_and_each_stands_once() {
        let answer = found(&["192.0.2.9", "10.0.0.1", "172.16.0.1", "192.0.2.9"]);
        assert_eq!(usable(answer, Family::V4), found(&["10.0.0.1", "172.16.0.1", "192.0.2.9"]));
    }

    #[test]
    fn what_no_client_can_be_sent_to_is_dropped() {
        let v4 = found(&["0.0.0.0", "224.0.0.1", "255.255.255.255", "2001:db8::1", "192.0.2.1"]);
        assert_eq!(usable(v4, Family::V4), found(&["192.0.2.1"]));
        assert_eq!(
            usable(found(&["::", "ff02::1", "fd00::1", "2001:db8::1"]), Family::V6),
            found(&["2001:db8::1", "fd00::1"])
        );
        for nothing in [found(&[]), found(&["0.0.0.0"])] {
            assert!(matches!(usable(nothing, Family::V4), Err(NotFound::Failed(_))));
        }
    }

    #[test]
    fn what_is_refused_is_put_aside_and_alone_it_is_a_failure() {
        let mut refused = Vec::new();
        let mixed = found(&["192.0.2.1", "169.254.169.254", "127.0.0.1"]);
        assert_eq!(super::usable(mixed, Family::V4, &[], &mut refused), found(&["192.0.2.1"]));
        assert_eq!(refused, ["127.0.0.1", "169.254.169.254"].map(|a| a.parse::<IpAddr>().unwrap()));
        let Err(NotFound::Failed(cause)) = usable(found(&["127.0.0.1"]), Family::V4) else { panic!("found") };
        assert_eq!(cause, "127.0.0.1 is refused; resolver.allow would let it");
        let allowed = super::usable(
            found(&["127.0.0.1"]),
            Family::V4,
            &["127.0.0.0/8".parse().unwrap()],
            &mut Vec::new(),
        );
        assert_eq!(allowed, found(&["127.0.0.1"]));
    }

    #[test]
    fn addresses_ttls_and_causes_are_bounded() {
        let many =
            (0..500_u16).map(|n| IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]])).collect();
        let cut = usable(Ok(Found { addresses: many, ttl: TTL_MAX + 1 }), Family::V4).unwrap();
        assert_eq!((cut.addresses.len(), cut.ttl), (ADDRESSES_MAX, 0));
        let cause = shorten(&format!("a\nb{}", "ä".repeat(500)));
        assert!(cause.len() <= CAUSE_OCTETS_MAX && cause.starts_with("a bä"), "{cause}");
    }
}
