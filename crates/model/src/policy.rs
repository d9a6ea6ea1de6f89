//! Policies: how a gateway's eligible endpoints are put in order.

use std::fmt;

use ipnet::IpNet;

use crate::{ClusterId, Continent, CountryCode, JurisdictionId, LatencyTableId, PrefixId};

//----------- Policy ---------------------------------------------------------

/// How eligible endpoints are put in order. Policies nest as data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The cluster nearest to the client by great-circle distance, then the next nearest.
    Nearest(Nearest),
    /// By rules about where the client is.
    Geo(Box<Geo>),
    /// The cluster of the least measured latency, then the next.
    Latency(Latency),
    /// All endpoints in one tier, picked by weight.
    Weighted,
    /// All endpoints in one tier, answered together.
    All,
    /// One tier after the other.
    Failover(Vec<Tier>),
}

impl Default for Policy {
    fn default() -> Self {
        Self::Nearest(Nearest::default())
    }
}

/// By distance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nearest {
    /// Clusters not further than this beyond the nearest of a tier share its clients.
    pub within_km: u32,
    /// Clusters further from the client come only after all that any tier takes.
    pub max_km: Option<u32>,
    /// -99 to 99, as in Route 53 geoproximity: a positive bias makes a cluster count as nearer
    /// (distance × (1 - bias/100)), a negative one as further (distance ÷ (1 + bias/100)). Clusters
    /// that are not named have 0; none twice.
    pub bias: Vec<(ClusterId, i8)>,
}

/// By rules, the first that holds for a client first; then, should all of its clusters be
/// unhealthy, the next that holds; in the end the default.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Geo {
    /// Most specific first.
    pub rules: Vec<GeoRule>,
    /// For everyone.
    pub default: Tier,
}

/// Who gets what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GeoRule {
    /// Holds when one of them does; at least one.
    pub clients: Vec<ClientMatch>,
    /// What they get.
    pub tier: Tier,
}

/// A condition on where a client is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientMatch {
    /// Its address is in this prefix.
    Prefix(PrefixId),
    /// Its network is announced by this autonomous system.
    Asn(u32),
    /// It is in this part of a country (ISO 3166-2).
    Subdivision(CountryCode, Box<str>),
    /// It is in this country.
    Country(CountryCode),
    /// It is on this continent.
    Continent(Continent),
    /// It is in this jurisdiction.
    Jurisdiction(JurisdictionId),
}

/// By a measured table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Latency {
    /// Which one.
    pub table: LatencyTableId,
    /// Clusters not slower than this beyond the fastest of a tier share its clients.
    pub within_ms: u32,
}

/// Some of a gateway's clusters, with the policy among them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tier {
    /// At least one, in catalog order; the file's globs are already resolved.
    pub clusters: Vec<ClusterId>,
    /// The order within the tier.
    pub policy: Policy,
    /// With fewer healthy endpoints than this on a client's track the tier is skipped, while another has
    /// any.
    pub min_healthy: u16,
    /// Under this healthy share of its endpoints, of every track, all of them count as healthy.
    pub panic_below: Share,
}

impl Tier {
    /// A tier that takes these clusters while any of them is healthy.
    #[must_use]
    pub fn new(clusters: Vec<ClusterId>, policy: Policy) -> Self {
        Self { clusters, policy, min_healthy: 0, panic_below: Share::NONE }
    }
}

//----------- LatencyTable ---------------------------------------------------

/// Measured latencies between clients and clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyTable {
    /// As the file calls it.
    pub name: Box<str>,
    /// No two with the same `clients` and cluster.
    pub rows: Vec<LatencyRow>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyRow {
    /// A prefix, an ASN or a country.
    pub clients: ClientMatch,
    /// To where.
    pub cluster: ClusterId,
    /// The round trip, in microseconds.
    pub rtt_us: u32,
}

//----------- Prefix ---------------------------------------------------------

/// A prefix that a policy or a table names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Host bits are zero.
    pub net: IpNet,
    /// The longest of the others that holds it.
    pub parent: Option<PrefixId>,
}

//----------- Share ----------------------------------------------------------

/// A part of a whole, kept in millionths so that equal shares are equal.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(1_000_000);

    /// Takes a fraction from 0 to 1; `None` for what is not.
    #[must_use]
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to a million")]
        (0.0..=1.0).contains(&fraction).then(|| Self((fraction * 1e6).round() as u32))
    }

    /// Millionths, 0 to 1,000,000.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// Whether `part` of `whole` is less than this share; never of an empty whole.
    #[must_use]
    pub fn is_above(self, part: usize, whole: usize) -> bool {
        (part as u128) * 1_000_000 < u128::from(self.0) * (whole as u128)
    }

    /// Whether a number drawn evenly from all of 64 bits is within the share. What is within a share
    /// is within every larger one.
    #[must_use]
    pub fn takes(self, drawn: u64) -> bool {
        // The high half of the product is `drawn` scaled down to millionths.
        (u128::from(drawn) * 1_000_000) >> 64 < u128::from(self.0)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// In percent, without needless zeros: `12.5 %`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 1e4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_and_monotone() {
        let tenth = Share::from_fraction(0.1).unwrap();
        assert_eq!(tenth.to_string(), "10 %");
        assert_eq!(Share::from_fraction(1.5), None);
        assert_eq!(Share::from_fraction(f64::NAN), None);
        assert!(Share::ALL.takes(u64::MAX) && !Share::NONE.takes(0));
        let edge = u64::MAX / 10;
        assert!(tenth.takes(edge - 1) && !tenth.takes(edge + 2));
        assert!(tenth.is_above(0, 3) && !tenth.is_above(1, 10) && !tenth.is_above(0, 0));
    }
}
