//! Spans, and whose they are.

use std::time::SystemTime;

/// Which span of which trace (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Of the trace; not zero.
    pub trace_id: [u8; 16],
    /// Of the span; not zero.
    pub span_id: [u8; 8],
}

impl Context {
    /// Reads the value of a `traceparent` header field: version, trace, parent and flags in hexadecimal digits.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (trace_id, span_id) = (octets::<16>(trace)?, octets::<8>(span)?);
        let [version] = octets::<1>(version)?;
        octets::<1>(flags)?;
        // A later version may have more behind it, this one not.
        let is_good = version != 0xff && (version != 0 || parts.next().is_none());
        (is_good && trace_id != [0; 16] && span_id != [0; 8]).then_some(Self { trace_id, span_id })
    }
}

/// Lower case alone (W3C Trace Context §3.2).
fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut octets = [0; N];
    let is_lower = |octet: u8| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet);
    if text.len() != 2 * N || !text.bytes().all(is_lower) {
        return None;
    }
    for (octet, at) in octets.iter_mut().zip((0..2 * N).step_by(2)) {
        *octet = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(octets)
}

/// What took its time, or happened.
#[derive(Clone, Debug)]
pub struct Span {
    /// Itself.
    pub context: Context,
    /// The span it is part of, in the same trace.
    pub parent: Option<[u8; 8]>,
    /// What it is: few different ones.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened at its end, in this order: name and text.
    pub events: Vec<(String, String)>,
    /// Other spans that it is about.
    pub links: Vec<Context>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// `SpanKind`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Within the server.
    Internal = 1,
    /// An answer to somebody.
    Server = 2,
    /// A question to somebody.
    Client = 3,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// Yes or no.
    Flag(bool),
    /// Several texts.
    Texts(Vec<String>),
}

impl<T: ToString + ?Sized> From<&T> for Value {
    fn from(text: &T) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = Context::parse(good).unwrap();
        assert_eq!((context.trace_id[0], context.span_id[7]), (0x0a, 0x31));
        assert!(Context::parse(&format!("01{}-more", &good[2..])).is_some());
        for wrong in [
            "",
            "00",
            &good.to_uppercase(),
            &good[..good.len() - 1],
            &format!("{good}-more"),
            &format!("ff{}", &good[2..]),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333\u{e9}-01",
        ] {
            assert_eq!(Context::parse(wrong), None, "{wrong}");
        }
    }
}
