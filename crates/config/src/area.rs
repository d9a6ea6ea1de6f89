//! The clients that earlier rules take, so that a rule which nobody reaches is found.

use std::collections::HashMap;

use ipnet::IpNet;
use meridian_model::{ClientMatch, Continent, CountryCode, Jurisdiction, country};

use crate::findings::Spot;
use crate::shared::Shared;

/// What rules take, each with the place of the condition that takes it.
#[derive(Default)]
pub(crate) struct Area {
    prefixes: HashMap<IpNet, Spot>,
    asns: HashMap<u32, Spot>,
    parts: HashMap<(CountryCode, Box<str>), Spot>,
    countries: HashMap<CountryCode, Spot>,
    continents: HashMap<Continent, Spot>,
}

impl Area {
    /// The place of what takes all clients of a condition already.
    pub(crate) fn covering(&self, client: &ClientMatch, shared: &Shared) -> Option<&Spot> {
        match client {
            ClientMatch::Prefix(id) => {
                let net = shared.prefixes.get(*id)?;
                std::iter::successors(Some(net), IpNet::supernet).find_map(|net| self.prefixes.get(&net))
            }
            ClientMatch::Asn(asn) => self.asns.get(asn),
            ClientMatch::Subdivision(of, part) => self.part(*of, part),
            ClientMatch::Country(code) => self.country(*code),
            ClientMatch::Continent(continent) => self.continents.get(continent),
            ClientMatch::Jurisdiction(id) => self.jurisdiction(shared.jurisdictions.get(*id)?),
        }
    }

    /// The place of what takes a part of a jurisdiction, if all of it is taken.
    pub(crate) fn jurisdiction(&self, one: &Jurisdiction) -> Option<&Spot> {
        let countries = one.countries.iter().map(|code| self.country(*code));
        let parts = one.subdivisions.iter().map(|(of, part)| self.part(*of, part));
        // Nothing of a jurisdiction of nothing is taken.
        countries.chain(parts).try_fold(None, |first, spot| Some(first.or(Some(spot?)))).flatten()
    }

    /// Takes the clients of a condition. What was taken before keeps its place.
    pub(crate) fn take(&mut self, client: &ClientMatch, spot: &Spot, shared: &Shared) {
        let spot = || spot.clone();
        match client {
            ClientMatch::Prefix(id) => {
                if let Some(net) = shared.prefixes.get(*id) {
                    self.prefixes.entry(net).or_insert_with(spot);
                }
            }
            ClientMatch::Asn(asn) => {
                self.asns.entry(*asn).or_insert_with(spot);
            }
            ClientMatch::Subdivision(of, part) => {
                self.parts.entry((*of, part.clone())).or_insert_with(spot);
            }
            ClientMatch::Country(code) => {
                self.countries.entry(*code).or_insert_with(spot);
            }
            ClientMatch::Continent(one) => {
                self.continents.entry(*one).or_insert_with(spot);
            }
            ClientMatch::Jurisdiction(id) => {
                if let Some(one) = shared.jurisdictions.get(*id) {
                    self.take_jurisdiction(one, &spot());
                }
            }
        }
    }

    /// Takes all of a jurisdiction.
    pub(crate) fn take_jurisdiction(&mut self, one: &Jurisdiction, spot: &Spot) {
        for code in &one.countries {
            self.countries.entry(*code).or_insert_with(|| spot.clone());
        }
        for part in &one.subdivisions {
            self.parts.entry(part.clone()).or_insert_with(|| spot.clone());
        }
    }

    fn country(&self, code: CountryCode) -> Option<&Spot> {
        let continent = || self.continents.get(&country(code)?.continent);
        self.countries.get(&code).or_else(continent)
    }

    fn part(&self, of: CountryCode, part: &str) -> Option<&Spot> {
        self.parts.get(&(of, part.into())).or_else(|| self.country(of))
    }
}
