//! The prefixes that policies and tables name: each once, and in the end in order.

use std::collections::HashMap;

use ipnet::IpNet;
use meridian_model::{ClientMatch, Policy, Prefix, PrefixId, Tier, ipv4_block_of};

use crate::forms;
use crate::geoip::{PREFIX, no_client_in, parse_prefix};
use crate::kinds::Parsed;

/// A prefix that clients can be in.
pub(crate) const CLIENT_PREFIX: Parsed<IpNet> =
    Parsed { what: PREFIX.what, pattern: forms::PREFIX, parse: parse_client_prefix };

/// A prefix, or why no client is in it.
pub(crate) fn parse_client_prefix(text: &str) -> Result<IpNet, String> {
    let prefix = parse_prefix(text)?;
    if ipv4_block_of(prefix).is_some() { Err(no_client_in(prefix)) } else { Ok(prefix) }
}

//----------- Prefixes -------------------------------------------------------

/// Numbers prefixes as they come; [`Prefixes::finish`] gives them their places in the catalog.
#[derive(Default)]
pub(crate) struct Prefixes {
    list: Vec<IpNet>,
    ids: HashMap<IpNet, PrefixId>,
}

impl Prefixes {
    /// The number of a prefix, which holds until [`Prefixes::finish`].
    pub(crate) fn intern(&mut self, net: IpNet) -> PrefixId {
        *self.ids.entry(net).or_insert_with(|| {
            self.list.push(net);
            PrefixId::from_index(self.list.len() - 1)
        })
    }

    /// The prefix of a number.
    pub(crate) fn get(&self, id: PrefixId) -> Option<IpNet> {
        self.list.get(id.index()).copied()
    }

    /// The catalog's list, what holds a prefix before it, and the places of the numbers in it.
    pub(crate) fn finish(self) -> (Vec<Prefix>, Places) {
        let mut order: Vec<usize> = (0..self.list.len()).collect();
        order.sort_by_key(|&index| self.list.get(index).map(|net| (net.network(), net.prefix_len())));
        let mut places = vec![PrefixId::from_index(0); order.len()];
        let mut prefixes: Vec<Prefix> = Vec::with_capacity(order.len());
        // The prefixes that hold the one before, the longest last.
        let mut holders: Vec<(IpNet, PrefixId)> = Vec::new();
        for index in order {
            let Some(&net) = self.list.get(index) else { continue };
            while holders.last().is_some_and(|(holder, _)| !holder.contains(&net)) {
                holders.pop();
            }
            let id = PrefixId::from_index(prefixes.len());
            prefixes.push(Prefix { net, parent: holders.last().map(|(_, id)| *id) });
            holders.push((net, id));
            if let Some(place) = places.get_mut(index) {
                *place = id;
            }
        }
        (prefixes, Places(places))
    }
}

//----------- Places ---------------------------------------------------------

/// The catalog's id of each prefix by the number it had before.
pub(crate) struct Places(Vec<PrefixId>);

impl Places {
    /// Puts the catalog's ids into a policy.
    pub(crate) fn settle_policy(&self, policy: &mut Policy) {
        match policy {
            Policy::Geo(geo) => {
                for rule in &mut geo.rules {
                    rule.clients.iter_mut().for_each(|client| self.settle(client));
                    self.settle_tier(&mut rule.tier);
                }
                self.settle_tier(&mut geo.default);
            }
            Policy::Failover(tiers) => tiers.iter_mut().for_each(|tier| self.settle_tier(tier)),
            Policy::Nearest(_) | Policy::Latency(_) | Policy::Weighted | Policy::All => {}
        }
    }

    /// Puts the catalog's id into a condition.
    pub(crate) fn settle(&self, client: &mut ClientMatch) {
        if let ClientMatch::Prefix(id) = client
            && let Some(place) = self.0.get(id.index())
        {
            *id = *place;
        }
    }

    fn settle_tier(&self, tier: &mut Tier) {
        self.settle_policy(&mut tier.policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_prefix_comes_before_it() {
        let mut all = Prefixes::default();
        let texts = ["10.1.2.0/24", "2001:db8::/32", "10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "::/0"];
        let ids: Vec<PrefixId> = texts.iter().map(|text| all.intern(text.parse().unwrap())).collect();
        assert_eq!(all.intern("10.0.0.0/8".parse().unwrap()), ids[2]);
        let (prefixes, places) = all.finish();
        let shown: Vec<(String, Option<usize>)> = prefixes
            .iter()
            .map(|prefix| (prefix.net.to_string(), prefix.parent.map(PrefixId::index)))
            .collect();
        let wanted = [
            ("10.0.0.0/8", None),
            ("10.1.0.0/16", Some(0)),
            ("10.1.2.0/24", Some(1)),
            ("10.2.0.0/16", Some(0)),
            ("::/0", None),
            ("2001:db8::/32", Some(4)),
        ];
        assert_eq!(shown, wanted.map(|(net, parent)| (net.to_owned(), parent)));
        for (id, text) in ids.into_iter().zip(texts) {
            let mut client = ClientMatch::Prefix(id);
            places.settle(&mut client);
            let ClientMatch::Prefix(id) = client else { panic!("a prefix") };
            assert_eq!(prefixes[id.index()].net.to_string(), text);
        }
    }
}
