//! The OPT record of a reply (RFC 6891).

use crate::cookie::Checked;
use crate::ecs;
use crate::edns::{Edns, OPTION_COOKIE, OPTION_EDE, OPTION_KEEPALIVE, OPTION_NSID, OPTION_PADDING};
use crate::limits::UDP_PAYLOAD_SIZE;
use crate::message::{Rcode, TYPE_OPT};
use crate::reply::{Ending, ExtendedError};
use crate::tsig::Signing;

/// Padded replies are a multiple of so many octets (RFC 8467 §4.1).
const PADDED_BLOCK: usize = 468;
/// The fixed part: root, type, class, TTL, length.
const FIXED_SIZE: u16 = 11;

//----------- Extras ---------------------------------------------------------

/// What a reply's OPT record has beside what the query's had, where there is an OPT record.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extras<'i> {
    /// The cookie that goes back.
    pub(crate) checked: Option<Checked>,
    pub(crate) nsid: Option<&'i [u8]>,
    /// How long a connection may idle, in tenths of a second (RFC 7828 §3.1).
    pub(crate) keepalive: Option<u16>,
    /// Whether the length is hidden.
    pub(crate) padded: bool,
    /// How the reply is signed, behind the OPT record.
    pub(crate) signing: Option<Signing<'i>>,
}

impl Extras<'_> {
    /// The rcode in place of one reply too many: with a cookie in it, or with TC.
    pub(crate) fn slipped(&self) -> Rcode {
        if self.checked.is_some() { Rcode::BadCookie } else { Rcode::NoError }
    }

    /// How many octets the TSIG record needs.
    pub(crate) fn signing_size(&self) -> u16 {
        let size = self.signing.map_or(0, |signing| signing.size());
        // Two names of at most 255 octets, and less than 200 beside them.
        u16::try_from(size).unwrap_or(u16::MAX)
    }

    /// The octets of the options, but for the padding, which takes what is left.
    fn size(&self) -> usize {
        let cookie = self.checked.map_or(0, |checked| 4 + checked.octets.len());
        let nsid = self.nsid.map_or(0, |nsid| 4 + nsid.len());
        cookie + nsid + self.keepalive.map_or(0, |_| 6)
    }

    fn write(&self, options: &mut Vec<u8>) {
        if let Some(checked) = &self.checked {
            option(options, OPTION_COOKIE, &checked.octets);
        }
        if let Some(nsid) = self.nsid {
            option(options, OPTION_NSID, nsid);
        }
        if let Some(tenths) = self.keepalive {
            option(options, OPTION_KEEPALIVE, &tenths.to_be_bytes());
        }
    }
}

//----------- The record -----------------------------------------------------

/// How many octets the record needs without an Extended DNS Error and padding.
pub(crate) fn size(edns: Option<&Edns>, extras: &Extras<'_>) -> u16 {
    let Some(edns) = edns else { return 0 };
    let subnet = edns.subnet.map_or(0, |subnet| subnet.option_size());
    FIXED_SIZE + subnet + u16::try_from(extras.size()).unwrap_or(u16::MAX - 2 * FIXED_SIZE)
}

/// The room for a record.
#[derive(Clone, Copy)]
pub(crate) struct Space {
    /// The octets of the reply that stand before it.
    pub(crate) before: usize,
    /// Those of the signature, which stands behind it.
    pub(crate) behind: u16,
    /// Those of the whole reply, at most.
    pub(crate) limit: u16,
}

/// Appends the record (RFC 6891 §6.1.2): DO copied, unknown flags not. An Extended DNS Error is left out where there
/// is no room for it, without TC (RFC 8914 §3).
pub(crate) fn write(
    edns: &Edns,
    extras: &Extras<'_>,
    rcode: Rcode,
    ending: &Ending,
    space: Space,
    out: &mut Vec<u8>,
) {
    let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
    let [type_high, type_low] = TYPE_OPT.to_be_bytes();
    let [size_high, size_low] = UDP_PAYLOAD_SIZE.to_be_bytes();
    let extended = (rcode as u16 >> 4) as u8;
    let start = out.len();
    let options = start + usize::from(FIXED_SIZE);
    let mut begin = [0; FIXED_SIZE as usize + ecs::OPTION_SIZE_MOST];
    let (fixed, subnet) = begin.split_at_mut(FIXED_SIZE.into());
    fixed.copy_from_slice(&[0, type_high, type_low, size_high, size_low, extended, 0, dnssec_ok, 0, 0, 0]);
    let subnet = edns.subnet.as_ref().zip(subnet.first_chunk_mut());
    let taken = subnet.map_or(0, |(subnet, into)| subnet.write(ending.scope, into));
    out.extend_from_slice(begin.get(..usize::from(FIXED_SIZE) + taken).unwrap_or_default());
    extras.write(out);
    let size = |out: &Vec<u8>| space.before + out.len() - start;
    if let Some(ExtendedError { code, text }) = ending.error
        && size(out) + 6 + text.len() <= usize::from(space.limit.saturating_sub(space.behind))
    {
        option(out, OPTION_EDE, &[&code.to_be_bytes(), text.as_bytes()].concat());
    }
    // What follows counts: the length of all is what is hidden.
    let unpadded = size(out) + 4 + usize::from(space.behind);
    let padded = unpadded.next_multiple_of(PADDED_BLOCK);
    if extras.padded && padded <= usize::from(space.limit) {
        option(out, OPTION_PADDING, &vec![0; padded - unpadded]);
    }
    // A cookie, an identifier of a limited length, an error, padding: far under 65,535 octets.
    let length = u16::try_from(out.len() - options).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(options - 2..options) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends one option (RFC 6891 §6.1.2). All of ours are far under 65,535 octets.
fn option(options: &mut Vec<u8>, code: u16, data: &[u8]) {
    options.extend_from_slice(&code.to_be_bytes());
    options.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    options.extend_from_slice(data);
}
