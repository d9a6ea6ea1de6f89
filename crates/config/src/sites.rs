//! The test names `<cluster>.<gateway>.site.<zone>`: nothing else may stand at them.

use std::collections::HashMap;

use meridian_model::{DomainName, Hostname};

use crate::findings::{Findings, Spot, Spotted};
use crate::issue::quote;
use crate::policy::Candidates;
use crate::zones::{RecordType, Set, Zones};

/// The label between a gateway's name and its zone.
pub(crate) const SITE: &str = "site";

/// The gateways that have test names, by name.
#[derive(Default)]
pub(crate) struct Sites(HashMap<Box<str>, Site>);

/// Where the test names of a gateway are.
struct Site {
    clusters: Vec<Box<str>>,
    /// The zones of its hostnames, by number.
    zones: Vec<usize>,
}

impl Sites {
    /// Notes a gateway with its clusters.
    pub(crate) fn add(
        &mut self,
        gateway: &str,
        clusters: &Candidates<'_>,
        hostnames: &[Spotted<Hostname>],
        zones: &Zones,
    ) {
        let mut zones: Vec<usize> =
            hostnames.iter().filter_map(|hostname| zones.of(hostname.value.name())).collect();
        zones.sort_unstable();
        zones.dedup();
        let clusters = clusters.clusters.iter().map(|candidate| Box::from(candidate.name)).collect();
        self.0.insert(gateway.into(), Site { clusters, zones });
    }

    /// Reports the hostnames and records that stand at a test name, and the delegations and DNAMEs above.
    pub(crate) fn check<'h>(
        &self,
        hostnames: impl Iterator<Item = (&'h Hostname, &'h Spot)>,
        zones: &Zones,
        findings: &Findings<'_>,
    ) {
        let exact = hostnames.filter_map(|(hostname, spot)| match hostname {
            Hostname::Exact(name) => Some((name, spot)),
            // What it covers is below it, where a test name goes first.
            Hostname::Wildcard(_) => None,
        });
        let owners = zones.sets().map(|set| (&set.owner, &set.spot));
        for (name, spot) in exact.chain(owners) {
            if let Some(gateway) = self.gateway_of(name, zones) {
                let found = format_args!(
                    "{}, a test name of the gateway {gateway:?}; rename it, or set site_names = false there",
                    quote(name.as_str())
                );
                findings.mistake(spot, "a name that is no <cluster>.<gateway>.site.<zone>", found);
            }
        }
        for set in zones.sets() {
            if let Some(gateway) = self.gateway_below(set, zones) {
                let expected = format_args!(
                    "no {} record above the test names of the gateway {gateway:?}",
                    set.record_type
                );
                let found = format_args!("{}; move it, or set site_names = false there", set.owner);
                findings.mistake(&set.spot, expected, found);
            }
        }
    }

    /// The gateway, one of them, whose test names a delegation or DNAME hides.
    fn gateway_below<'s>(&'s self, set: &'s Set, zones: &Zones) -> Option<&'s str> {
        let hides = [RecordType::NS, RecordType::DNAME].contains(&set.record_type);
        let zone = zones.of(&set.owner).filter(|_| hides)?;
        let mut labels = set.owner.labels();
        let below_apex = labels.clone().count().checked_sub(zones.apex(zone)?.labels().count())?;
        let gateway = match (below_apex, labels.next(), labels.next()) {
            (0, ..) | (1, Some(SITE), _) => self
                .0
                .iter()
                .filter(|(_, site)| site.zones.contains(&zone))
                .map(|(gateway, _)| &**gateway)
                .min(),
            (2, Some(gateway), Some(SITE)) => Some(gateway),
            _ => None,
        }?;
        self.0.get(gateway)?.zones.contains(&zone).then_some(gateway)
    }

    /// The gateway whose test name this is.
    fn gateway_of<'n>(&self, name: &'n DomainName, zones: &Zones) -> Option<&'n str> {
        let mut labels = name.labels();
        let (cluster, gateway, site) = (labels.next()?, labels.next()?, labels.next()?);
        if site != SITE {
            return None;
        }
        let Site { clusters, zones: own } = self.0.get(gateway)?;
        let zone = zones.of(name)?;
        let within = own.contains(&zone) && clusters.iter().any(|own| **own == *cluster);
        let apex = name.parent()?.parent()?.parent()?;
        (within && zones.apex(zone) == Some(&apex)).then_some(gateway)
    }
}
