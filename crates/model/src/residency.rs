//! Residency: which clusters may serve which clients.

use crate::{ClusterId, CountryCode, JurisdictionId, Place};

//----------- Jurisdiction ---------------------------------------------------

/// A named set of countries, or parts of them, with a legal meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jurisdiction {
    /// `EU`, `DE`, `US-CA`; unique in the catalog.
    pub name: Box<str>,
    /// Whole countries, ascending.
    pub countries: Vec<CountryCode>,
    /// Parts of countries (ISO 3166-2), ascending.
    pub subdivisions: Vec<(CountryCode, Box<str>)>,
}

impl Jurisdiction {
    /// Whether a place lies in it; `None` when the place is not known well enough to say: no
    /// country, or a country of which a part belongs to it and the part is not known.
    #[must_use]
    pub fn holds(&self, place: &Place) -> Option<bool> {
        let country = place.country?;
        if self.countries.binary_search(&country).is_ok() {
            return Some(true);
        }
        if !self.subdivisions.iter().any(|(of, _)| *of == country) {
            return Some(false);
        }
        let part = place.subdivision.as_deref()?;
        Some(self.subdivisions.iter().any(|(of, name)| *of == country && **name == *part))
    }
}

//----------- Residency ------------------------------------------------------

/// Where the data of a gateway's clients may go. What no rule allows is denied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Residency {
    /// The first that holds for a client counts.
    pub rules: Vec<ResidencyRule>,
    /// What becomes of clients that cannot be placed.
    pub unknown: UnknownClients,
    /// What counts when the client and its resolver are in different jurisdictions.
    pub conflict: Conflict,
}

/// Some clients, and the clusters that may serve them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResidencyRule {
    /// The clients it is for.
    pub clients: ResidencyClients,
    /// All that may serve them, of all the catalog's; ascending.
    pub clusters: Vec<ClusterId>,
}

/// The clients of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResidencyClients {
    /// Everyone who can be placed.
    Everyone,
    /// Those in one of these.
    In(Vec<JurisdictionId>),
}

/// What becomes of clients that cannot be placed well enough to choose their rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownClients {
    /// Nothing serves them.
    #[default]
    Deny,
    /// They count as being in this jurisdiction.
    TreatAs(JurisdictionId),
}

/// What counts when the client (ECS) and its resolver are in different jurisdictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// Only clusters that may serve both. A resolver that cannot be placed says nothing.
    #[default]
    Strictest,
    /// The client's subnet as disclosed.
    Ecs,
    /// The resolver's address.
    Resolver,
}
