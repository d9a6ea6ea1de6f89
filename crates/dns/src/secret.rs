//! Comparing what a stranger must not find out octet by octet.

/// Whether octets differ within their common length; how long that takes says nothing of where.
pub(crate) fn differs(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).fold(0, |all, (one, other)| all | (one ^ other)) != 0
}
