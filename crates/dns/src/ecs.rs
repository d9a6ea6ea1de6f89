//! The EDNS Client Subnet option (RFC 7871).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The option's code.
pub(crate) const OPTION_CODE: u16 = 8;

/// The most octets of an option: its head, and an IPv6 address.
pub(crate) const OPTION_SIZE_MOST: usize = 8 + 16;

/// A client subnet as it came in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientSubnet {
    /// The FAMILY as it came: 1, 2, or 0 with nothing else.
    family: u16,
    source: u8,
    /// ADDRESS, in the highest bits; the others are zero.
    address: u128,
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
        let place = |at: usize| 128 - 8 * (at + 1);
        let address =
            octets.iter().enumerate().fold(0, |bits, (at, octet)| bits | u128::from(*octet) << place(at));
        // In the last octet.
        if address.checked_shl(source.into()).is_some_and(|beyond| beyond != 0) {
            return Err(());
        }
        Ok(Self { family, source, address, believed: true })
    }

    /// Of a resolver whose word does not count: it comes back, with scope 0, and places nobody.
    pub(crate) fn disbelieved(self) -> Self {
        Self { believed: false, ..self }
    }

    /// The first address of the client's network; of use if it [`ClientSubnet::speaks`].
    #[inline]
    pub(crate) fn address(&self) -> IpAddr {
        match self.family {
            1 => IpAddr::V4(Ipv4Addr::from_bits((self.address >> 96) as u32)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(self.address)),
        }
    }

    /// Whether a client is disclosed: not with SOURCE 0, which asks not to use one (RFC 7871 §7.1.2).
    pub(crate) fn speaks(&self) -> bool {
        self.believed && self.source != 0
    }

    /// SOURCE PREFIX-LENGTH.
    pub(crate) fn source(&self) -> u8 {
        self.source
    }

    /// How many octets [`ClientSubnet::write`] appends.
    pub(crate) fn option_size(&self) -> u16 {
        8 + u16::from(self.source.div_ceil(8))
    }

    /// Writes the option of a reply to the front of `into`: all as it came, with `scope` (RFC 7871 §7.2.1). Returns how
    /// many octets there are: [`ClientSubnet::option_size`].
    pub(crate) fn write(&self, scope: u8, into: &mut [u8; OPTION_SIZE_MOST]) -> usize {
        let octets = self.source.div_ceil(8);
        let ([code_high, code_low], [family_high, family_low]) =
            (OPTION_CODE.to_be_bytes(), self.family.to_be_bytes());
        // 4 octets of header and at most 16 of address.
        let length = 4 + octets;
        into[..8].copy_from_slice(&[
            code_high,
            code_low,
            0,
            length,
            family_high,
            family_low,
            self.source,
            scope,
        ]);
        into[8..].copy_from_slice(&self.address.to_be_bytes());
        usize::from(self.option_size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_written_back() {
        let data = [0, 1, 22, 0, 192, 0, 0];
        let subnet = ClientSubnet::read(&data).unwrap();
        assert_eq!(subnet.address(), "192.0.0.0".parse::<IpAddr>().unwrap());
        let mut out = [0; OPTION_SIZE_MOST];
        let size = subnet.write(18, &mut out);
        assert_eq!(out[..size], [0, 8, 0, 7, 0, 1, 22, 18, 192, 0, 0]);
        let six = ClientSubnet::read(&[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8]).unwrap();
        assert_eq!(six.address(), "2001:db8::".parse::<IpAddr>().unwrap());
        assert!(six.speaks() && !six.disbelieved().speaks());
    }

    #[test]
    fn source_zero_discloses_nothing() {
        for data in [[0, 0, 0, 0], [0, 1, 0, 0], [0, 2, 0, 0]] {
            assert!(!ClientSubnet::read(&data).unwrap().speaks());
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
