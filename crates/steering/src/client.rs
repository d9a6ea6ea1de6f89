//! Where a client is, as far as policies can ask.

use meridian_model::{Catalog, ClientMatch, Place, PrefixId};

/// A client as policies and residency see it: no address, only where it is.
#[derive(Clone, Copy, Debug)]
pub struct Client<'p> {
    /// What the databases and the operator's networks say.
    pub place: &'p Place,
    /// The longest of the catalog's prefixes that holds its address.
    pub prefix: Option<PrefixId>,
}

impl Client<'_> {
    /// The catalog's prefixes that hold the client, the longest first.
    pub(crate) fn prefixes(self, catalog: &Catalog) -> impl Iterator<Item = PrefixId> {
        std::iter::successors(self.prefix, |&id| catalog.prefix(id).parent)
    }

    /// Whether a condition holds. What is not known of a client does not hold.
    pub(crate) fn is(self, wanted: &ClientMatch, catalog: &Catalog) -> bool {
        let place = self.place;
        match wanted {
            ClientMatch::Prefix(prefix) => self.prefixes(catalog).any(|id| id == *prefix),
            ClientMatch::Asn(asn) => place.asn == Some(*asn),
            ClientMatch::Subdivision(country, part) => {
                place.country == Some(*country) && place.subdivision.as_deref() == Some(part)
            }
            ClientMatch::Country(country) => place.country == Some(*country),
            ClientMatch::Continent(continent) => place.continent == Some(*continent),
            ClientMatch::Jurisdiction(id) => catalog.jurisdiction(*id).holds(place) == Some(true),
        }
    }
}
