//! Times of zone files: seconds, or with units as BIND writes them.

/// The longest time: a TTL is at most 2³¹ − 1 (RFC 2181 §8).
pub(crate) const SECONDS_MAX: u32 = i32::MAX as u32;

/// For messages.
pub(crate) const EXPECTED: &str =
    "a time in seconds, or with units as in 1h30m (w d h m s), at most 2147483647";

/// Parses `3600` or `1h30m`; each unit once, in any order.
pub(crate) fn parse(text: &str) -> Option<u32> {
    let mut total = 0_u32;
    let mut rest = text;
    let mut used = 0_u8;
    if rest.bytes().all(|octet| octet.is_ascii_digit()) {
        return rest.parse().ok().filter(|seconds| *seconds <= SECONDS_MAX);
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits)?;
        let unit = behind.bytes().next()?.to_ascii_lowercase();
        let (bit, seconds) = match unit {
            b'w' => (1, 604_800),
            b'd' => (2, 86400),
            b'h' => (4, 3600),
            b'm' => (8, 60),
            b's' => (16, 1),
            _ => return None,
        };
        if used & bit != 0 {
            return None;
        }
        used |= bit;
        total = number.parse::<u32>().ok()?.checked_mul(seconds)?.checked_add(total)?;
        rest = behind.get(1..)?;
    }
    Some(total).filter(|seconds| !text.is_empty() && *seconds <= SECONDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("3600", Some(3600)),
            ("1h30m", Some(5400)),
            ("1W2D3H4M5S", Some(604_800 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5)),
            ("30s1m", Some(90)),
            ("2147483647", Some(SECONDS_MAX)),
            ("2147483648", None),
            ("4000w", None),
            ("", None),
            ("h", None),
            ("1h1h", None),
            ("1h30", None),
            ("1x", None),
            ("-1", None),
            ("1é", None),
        ] {
            assert_eq!(parse(text), seconds, "{text}");
        }
    }
}
