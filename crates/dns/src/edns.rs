//! The OPT record of a query and its options (RFC 6891).

use crate::cookie::CookieOption;
use crate::ecs::{self, ClientSubnet};
use crate::message::Rcode;

/// NSID (RFC 5001).
pub(crate) const OPTION_NSID: u16 = 3;
/// COOKIE (RFC 7873).
pub(crate) const OPTION_COOKIE: u16 = 10;
/// edns-tcp-keepalive (RFC 7828).
pub(crate) const OPTION_KEEPALIVE: u16 = 11;
/// Padding (RFC 7830).
pub(crate) const OPTION_PADDING: u16 = 12;
/// Extended DNS Error (RFC 8914).
pub(crate) const OPTION_EDE: u16 = 15;

/// What a query's OPT record says (RFC 6891 §6.1).
#[derive(Clone, Copy, Default)]
pub(crate) struct Edns {
    /// The requestor's UDP payload size, as it came.
    pub(crate) payload_size: u16,
    pub(crate) dnssec_ok: bool,
    pub(crate) subnet: Option<ClientSubnet>,
    pub(crate) cookie: Option<CookieOption>,
    /// Whether the server's identifier is asked for.
    pub(crate) nsid: bool,
    /// Whether the client would keep a connection.
    pub(crate) keepalive: bool,
    /// Whether the client hides the length of its query, and so is to have that of the reply hidden.
    pub(crate) padding: bool,
}

impl Edns {
    /// Reads an OPT record from its fixed part behind the type (class, TTL) and its data. The fault is what
    /// one that can be told is answered with.
    pub(crate) fn read(payload_size: u16, version: u8, flags: u8, data: &[u8]) -> (Self, Option<Rcode>) {
        let mut edns = Self::bare(payload_size, flags);
        if version != 0 {
            return (edns, Some(Rcode::BadVers));
        }
        match edns.read_options(data) {
            Ok(()) => (edns, None),
            Err(()) => (Self::bare(payload_size, flags), Some(Rcode::FormErr)),
        }
    }

    /// Without options.
    pub(crate) fn bare(payload_size: u16, flags: u8) -> Self {
        Self { payload_size, dnssec_ok: flags & 0x80 != 0, ..Self::default() }
    }

    /// The subnet of the client that it discloses, if the peer's word counts.
    pub(crate) fn client(&self) -> Option<&ClientSubnet> {
        self.subnet.as_ref().filter(|subnet| subnet.speaks())
    }

    /// Whether it asks for anything that an OPT record does not have by itself.
    pub(crate) fn wants_extras(&self) -> bool {
        self.cookie.is_some() || self.nsid || self.keepalive || self.padding
    }

    /// Walks the options; those we do not know are skipped (RFC 6891 §6.1.2).
    ///
    /// # Errors
    /// `()` where one is broken, for FORMERR.
    pub(crate) fn read_options(&mut self, mut data: &[u8]) -> Result<(), ()> {
        while !data.is_empty() {
            let (&[c0, c1, l0, l1], after) = data.split_first_chunk::<4>().ok_or(())?;
            let (value, rest) = after.split_at_checked(usize::from(u16::from_be_bytes([l0, l1]))).ok_or(())?;
            data = rest;
            match u16::from_be_bytes([c0, c1]) {
                ecs::OPTION_CODE => {
                    // Two subnets could only be answered for one of them.
                    let before = self.subnet.replace(ClientSubnet::read(value)?);
                    before.map_or(Ok(()), |_| Err(()))?;
                }
                OPTION_COOKIE => {
                    let cookie = CookieOption::read(value)?;
                    // RFC 7873 §5.2: of several, the first counts.
                    self.cookie = self.cookie.or(Some(cookie));
                }
                // What a query says in it means nothing (RFC 5001 §2.1).
                OPTION_NSID => self.nsid = true,
                OPTION_KEEPALIVE => self.keepalive = true,
                OPTION_PADDING => self.padding = true,
                _ => {}
            }
        }
        Ok(())
    }
}
