//! The nouns of Meridian and their invariants.
//!
//! A [`Catalog`] is everything we were told: clusters, probes, zones and gateways. [`Verdicts`] are
//! what the probes found. A [`Place`] is where a client is. Every other crate speaks in these words.
//!
//! # What this crate does not do
//! It knows no runtime, no Kubernetes and no message format. RDATA is opaque octets (RFC 3597 §4:
//! uncompressed) that `config` makes and `dns` reads. Nothing here is `Serialize`: the edges own
//! their formats and convert.

mod catalog;
mod check;
mod country;
mod forms;
mod gateway;
mod glob;
mod health;
mod name;
mod overrides;
mod place;
mod policy;
mod probe;
mod residency;
mod zone;

pub use catalog::{
    Catalog, CatalogParts, Cluster, ClusterId, GatewayId, JurisdictionId, LatencyTableId, PrefixId, ProbeId,
    Target, TargetId, ZoneId,
};
pub use check::{
    Bounds, Check, CombinedCheck, DnsCheck, DnsTransport, ExecCheck, FileCheck, Finite, GrpcCheck, HttpCheck,
    HttpVersion, Identity, PrometheusCheck, TcpCheck, TextMatch, Tls,
};
pub use country::{Country, EEA, EU, countries, country};
pub use forms::{IPV4_BLOCKS, embedded_ipv4, ipv4_block_of, meant_network};
pub use gateway::{
    AllDown, Endpoint, EndpointAddress, EndpointName, Gateway, Https, ProbeAt, Rollout, Track, Trial,
};
pub use glob::glob_matches;
pub use health::{TargetHealth, Transition, Verdict, Verdicts};
pub use name::{DomainName, Hostname, NameError};
pub use overrides::{Forced, GatewayOrders, Order, Orders, Override, OverrideTarget, OverrideTargetError};
pub use place::{Continent, Coordinates, CoordinatesError, CountryCode, CountryCodeError, Network, Place};
pub use policy::{
    ClientMatch, Geo, GeoRule, Latency, LatencyRow, LatencyTable, Nearest, Policy, Prefix, Share, Tier,
};
pub use probe::{FlapDamping, Isolation, Probe, Thresholds};
pub use residency::{Conflict, Jurisdiction, Residency, ResidencyClients, ResidencyRule, UnknownClients};
pub use zone::{RecordSet, Soa, Transfer, Zone, is_newer_serial};
