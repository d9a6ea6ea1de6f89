//! The catalog: everything we were told.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::{
    Check, Coordinates, CountryCode, EndpointAddress, EndpointName, Gateway, Isolation, Jurisdiction,
    LatencyTable, Prefix, Probe, Zone,
};

//----------- Ids ------------------------------------------------------------

// Kept from 1, so that an Option of an id is no larger than the id: these lie in hot tables.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The id of the item at this index of the catalog's list.
            ///
            /// # Panics
            /// Over 2³² − 2 items, far above what a catalog may hold.
            #[must_use]
            pub fn from_index(index: usize) -> Self {
                let number = u32::try_from(index).ok().and_then(|index| NonZeroU32::MIN.checked_add(index));
                Self(number.expect("a catalog has fewer than 2^32 - 1 items"))
            }

            /// The index in the catalog's list.
            #[must_use]
            pub fn index(self) -> usize {
                (self.0.get() - 1) as usize
            }
        }
    };
}

id! {
    /// A cluster, by its place in [`Catalog::clusters`].
    ClusterId
}
id! {
    /// A probe, by its place in [`Catalog::probes`].
    ProbeId
}
id! {
    /// A zone, by its place in [`Catalog::zones`].
    ZoneId
}
id! {
    /// A gateway, by its place in [`Catalog::gateways`].
    GatewayId
}
id! {
    /// A target, by its place in [`Catalog::targets`].
    TargetId
}
id! {
    /// A jurisdiction, by its place in [`Catalog::jurisdictions`].
    JurisdictionId
}
id! {
    /// A latency table, by its place in [`Catalog::latency_tables`].
    LatencyTableId
}
id! {
    /// A prefix, by its place in [`Catalog::prefixes`].
    PrefixId
}

//----------- Cluster --------------------------------------------------------

/// A Kubernetes cluster, or any site that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Unique in the catalog.
    pub name: Box<str>,
    /// Where it is.
    pub coordinates: Coordinates,
    /// The country it is in.
    pub country: Option<CountryCode>,
    /// All that it is in: those that its country implies, and those that it names; ascending.
    pub jurisdictions: Vec<JurisdictionId>,
}

//----------- Target ---------------------------------------------------------

/// One address under one probe: checked once, however many gateways use it. Under a combined probe it is
/// not checked itself, but its [`Catalog::members`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// How it is checked.
    pub probe: ProbeId,
    /// What is checked.
    pub address: IpAddr,
    /// On which port; 0 where the probe has none.
    pub port: u16,
}

//----------- Catalog --------------------------------------------------------

/// Everything we were told, resolved: names have become ids, and all ids are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    parts: CatalogParts,
    targets: Vec<Target>,
    /// By the targets of combined probes.
    members: HashMap<TargetId, Box<[TargetId]>>,
}

/// What a catalog is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogParts {
    /// In the file's order, which decides between equally near clusters.
    pub clusters: Vec<Cluster>,
    /// In the file's order.
    pub probes: Vec<Probe>,
    /// Those of the file and, of the built-in ones, those that it uses.
    pub jurisdictions: Vec<Jurisdiction>,
    /// Each once, however many policies name it.
    pub latency_tables: Vec<LatencyTable>,
    /// All that policies and tables name, each once; what holds a prefix comes before it.
    pub prefixes: Vec<Prefix>,
    /// No two with the same name.
    pub zones: Vec<Zone>,
    /// Every hostname lies within one of the zones.
    pub gateways: Vec<Gateway>,
    /// When the prober suspects itself; `None`: never.
    pub isolation: Option<Isolation>,
}

impl Catalog {
    /// Numbers the targets and links every endpoint address to its own.
    #[must_use]
    pub fn new(mut parts: CatalogParts) -> Self {
        let mut numbering = Numbering::default();
        for gateway in &mut parts.gateways {
            let Some(probe) = gateway.probe else { continue };
            for endpoint in &mut gateway.endpoints {
                for (index, address) in endpoint.addresses.iter_mut().enumerate() {
                    let at =
                        |id: ProbeId, probe: &Probe| endpoint.probe_at.target(id, probe, index, address.ip);
                    address.target = Some(numbering.number(probe, &parts.probes, &at, &mut HashMap::new()));
                }
            }
        }
        let Numbering { targets, members, .. } = numbering;
        Self { parts, targets, members }
    }

    /// The catalog with other addresses for the endpoints that are hostnames: `resolve` is asked for
    /// each of them, and answers with its addresses, none twice, and the hostname's new state;
    /// `None` leaves it as it is.
    #[must_use]
    pub fn with_names(
        &self,
        mut resolve: impl FnMut(&EndpointName) -> Option<(Vec<IpAddr>, EndpointName)>,
    ) -> Self {
        let mut parts = self.parts.clone();
        for endpoint in parts.gateways.iter_mut().flat_map(|gateway| &mut gateway.endpoints) {
            if let Some((addresses, name)) = endpoint.name.as_ref().and_then(&mut resolve) {
                endpoint.addresses =
                    addresses.into_iter().map(|ip| EndpointAddress { ip, target: None }).collect();
                endpoint.name = Some(name);
            }
        }
        Self::new(parts)
    }

    /// All clusters.
    #[must_use]
    pub fn clusters(&self) -> &[Cluster] {
        &self.parts.clusters
    }

    /// All probes.
    #[must_use]
    pub fn probes(&self) -> &[Probe] {
        &self.parts.probes
    }

    /// All jurisdictions.
    #[must_use]
    pub fn jurisdictions(&self) -> &[Jurisdiction] {
        &self.parts.jurisdictions
    }

    /// All latency tables.
    #[must_use]
    pub fn latency_tables(&self) -> &[LatencyTable] {
        &self.parts.latency_tables
    }

    /// All prefixes that policies and tables name.
    #[must_use]
    pub fn prefixes(&self) -> &[Prefix] {
        &self.parts.prefixes
    }

    /// All zones.
    #[must_use]
    pub fn zones(&self) -> &[Zone] {
        &self.parts.zones
    }

    /// All gateways.
    #[must_use]
    pub fn gateways(&self) -> &[Gateway] {
        &self.parts.gateways
    }

    /// When the prober suspects itself; `None`: never.
    #[must_use]
    pub fn isolation(&self) -> Option<Isolation> {
        self.parts.isolation
    }

    /// All targets, each once.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The targets whose verdicts make that of this one, each before it in [`Catalog::targets`]; empty for one
    /// that is checked itself.
    #[must_use]
    pub fn members(&self, id: TargetId) -> &[TargetId] {
        self.members.get(&id).map_or(&[], |members| members)
    }

    /// One cluster.
    #[must_use]
    pub fn cluster(&self, id: ClusterId) -> &Cluster {
        &self.parts.clusters[id.index()]
    }

    /// One jurisdiction.
    #[must_use]
    pub fn jurisdiction(&self, id: JurisdictionId) -> &Jurisdiction {
        &self.parts.jurisdictions[id.index()]
    }

    /// One latency table.
    #[must_use]
    pub fn latency_table(&self, id: LatencyTableId) -> &LatencyTable {
        &self.parts.latency_tables[id.index()]
    }

    /// One prefix.
    #[must_use]
    pub fn prefix(&self, id: PrefixId) -> &Prefix {
        &self.parts.prefixes[id.index()]
    }

    /// One probe.
    #[must_use]
    pub fn probe(&self, id: ProbeId) -> &Probe {
        &self.parts.probes[id.index()]
    }

    /// One gateway.
    #[must_use]
    pub fn gateway(&self, id: GatewayId) -> &Gateway {
        &self.parts.gateways[id.index()]
    }
}

//----------- Numbering ------------------------------------------------------

/// The targets so far.
#[derive(Default)]
struct Numbering {
    targets: Vec<Target>,
    members: HashMap<TargetId, Box<[TargetId]>>,
    /// The members are part of what a target is: the same address can stand for others elsewhere.
    ids: HashMap<(Target, Box<[TargetId]>), TargetId>,
}

impl Numbering {
    /// The number of an address under a probe, those of its members first. `known`: the probes that this was
    /// done for at this address.
    fn number(
        &mut self,
        id: ProbeId,
        probes: &[Probe],
        at: &impl Fn(ProbeId, &Probe) -> Target,
        known: &mut HashMap<ProbeId, TargetId>,
    ) -> TargetId {
        if let Some(known) = known.get(&id) {
            return *known;
        }
        let probe = &probes[id.index()];
        let members: Box<[TargetId]> = match &probe.check {
            Check::Combined(combined) => {
                combined.probes.iter().map(|&member| self.number(member, probes, at, known)).collect()
            }
            _ => Box::default(),
        };
        let target = at(id, probe);
        let number = match self.ids.get(&(target, members.clone())) {
            Some(known) => *known,
            None => {
                self.targets.push(target);
                let number = TargetId::from_index(self.targets.len() - 1);
                if !members.is_empty() {
                    self.members.insert(number, members.clone());
                }
                self.ids.insert((target, members), number);
                number
            }
        };
        known.insert(id, number);
        number
    }
}
