//! The EDNS Client Subnet option (RFC 7871).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The option's code.
pub(crate) const OPTION_CODE: u16 = 8;

/// A client subnet as it came in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientSubnet {
    /// The FAMILY as it came: 1, 2, or 0 with nothing else.
    family: u16,
    source: u8,
    /// The first `octets()` of these are the ADDRESS; the others are zero.
    address: [u8; 16],
    /// Whether the resolver's word counts.
    believed: bool,
}

impl ClientSubnet {
    /// Reads the option's data from a query.
    ///
    /// # Errors
    /// `()` for every form that RFC 7871 §7.1.2 and §7.2.1 answer with FORMERR: an unknown family, a
    /// SOURCE over 32 or 128, an ADDRESS longer or shorter than SOURCE needs, set bits beyond SOURCE,
    /// a SCOPE other than 0.
    pub(crate) fn read(data: &[u8]) -> Result<Self, ()> {
        let [family_high, family_low, source, scope, ref octets @ ..] = *data else {
            return Err(());
        };
        let family = u16::from_be_bytes([family_high, family_low]);
        let bits = match family {
            // "dig +subnet=0" sends family 0 with no address: no subnet is disclosed.
            0 => 0,
            1 => 32,
            2 => 128,
            _ => return Err(()),
        };
        if scope != 0 || source > bits || octets.len() != usize::from(source.div_ceil(8)) {
            return Err(());
        }
        let mut address = [0; 16];
        address[..octets.len()].copy_from_slice(octets);
        let used_in_last = source % 8;
        if used_in_last != 0 && octets.last().is_some_and(|last| last << used_in_last != 0) {
            return Err(());
        }
        Ok(Self { family, source, address, believed: true })
    }

    /// Of a resolver whose word does not count: it comes back, with scope 0, and places nobody.
    pub(crate) fn disbelieved(self) -> Self {
        Self { believed: false, ..self }
    }

    /// The client's network; `None` with SOURCE 0, which asks not to use one (RFC 7871 §7.1.2).
    pub(crate) fn network(&self) -> Option<IpAddr> {
        match (self.source, self.family) {
            _ if !self.believed => None,
            (0, _) => None,
            (_, 1) => {
                let [a, b, c, d, ..] = self.address;
                Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
            }
            _ => Some(IpAddr::V6(Ipv6Addr::from(self.address))),
        }
    }

    /// SOURCE PREFIX-LENGTH.
    pub(crate) fn source(&self) -> u8 {
        self.source
    }

    /// How many octets [`ClientSubnet::write`] appends.
    pub(crate) fn option_size(&self) -> u16 {
        8 + u16::from(self.source.div_ceil(8))
    }

    /// Appends the option of a reply: all as it came, with `scope` (RFC 7871 §7.2.1).
    pub(crate) fn write(&self, scope: u8, out: &mut Vec<u8>) {
        let octets = usize::from(self.source.div_ceil(8));
        out.extend_from_slice(&OPTION_CODE.to_be_bytes());
        // 4 octets of header and at most 16 of address.
        out.extend_from_slice(&[0, 4 + self.source.div_ceil(8)]);
        out.extend_from_slice(&self.family.to_be_bytes());
        out.extend_from_slice(&[self.source, scope]);
        out.extend_from_slice(&self.address[..octets]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_written_back() {
        let data = [0, 1, 22, 0, 192, 0, 0];
        let subnet = ClientSubnet::read(&data).unwrap();
        assert_eq!(subnet.network(), Some("192.0.0.0".parse().unwrap()));
        let mut out = Vec::new();
        subnet.write(18, &mut out);
        assert_eq!(out, [0, 8, 0, 7, 0, 1, 22, 18, 192, 0, 0]);
        assert_eq!(usize::from(subnet.option_size()), out.len());
        let six = ClientSubnet::read(&[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8]).unwrap();
        assert_eq!(six.network(), Some("2001:db8::".parse().unwrap()));
    }

    #[test]
    fn source_zero_discloses_nothing() {
        for data in [[0, 0, 0, 0], [0, 1, 0, 0], [0, 2, 0, 0]] {
            assert_eq!(ClientSubnet::read(&data).unwrap().network(), None);
        }
    }

    #[test]
    fn malformed() {
        for (what, data) in [
            ("short", &[0, 1, 0][..]),
            ("family 3", &[0, 3, 8, 0, 10]),
            ("family 0 with a source", &[0, 0, 8, 0, 10]),
            ("source 33", &[0, 1, 33, 0, 1, 2, 3, 4, 5]),
            ("source 129", &[0, 2, 129, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]),
            ("too few octets", &[0, 1, 24, 0, 192, 0]),
            ("too many octets", &[0, 1, 16, 0, 192, 0, 2]),
            ("bits beyond source", &[0, 1, 23, 0, 192, 0, 3]),
            ("scope set", &[0, 1, 24, 24, 192, 0, 2]),
        ] {
            assert_eq!(ClientSubnet::read(data), Err(()), "{what}");
        }
    }
}
