//! Numbers that stand for chance: drawn one after the other, or hashed from a client's network.
//!
//! All of it is exact integer arithmetic, so that every server, whatever its processor, gives a
//! client the same answer.

use meridian_model::Share;

/// What chooses between candidates that the policy holds for equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// A random number: every query by itself.
    Random(u64),
    /// [`client_hash`]: always the same for one client network (`sticky`).
    Client(u64),
}

/// The hash of a client's network for one gateway.
///
/// `salt` is the gateway's, so that the clients that are first to get a trial, or share an endpoint,
/// are others at every gateway. `network` is the address of the network, IPv4 and IPv6 apart.
#[must_use]
pub fn client_hash(salt: u64, network: u128) -> u64 {
    let (high, low) = ((network >> 64) as u64, network as u64);
    mix(mix(mix(salt).wrapping_add(high)).wrapping_add(low))
}

/// Whether a client, by its [`client_hash`], is in the share that gets a trial. A client that is in a
/// share is in every larger one.
#[must_use]
pub fn in_trial(share: Share, client_hash: u64) -> bool {
    share.takes(trial_draw(client_hash))
}

/// Where in the whole of all clients one is, for [`in_trial`]: independent of what `sticky` makes of
/// the same hash.
#[must_use]
pub fn trial_draw(client_hash: u64) -> u64 {
    const TRIAL: u64 = 0x7472_6961_6c00_0000;
    mix(client_hash ^ TRIAL)
}

/// A number for a text that does not change between versions: FNV-1a, mixed.
#[must_use]
pub fn text_hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        // The end mark keeps "ab","c" from "a","bc".
        for octet in part.as_bytes().iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mix(hash)
}

/// The score of one of several in a rendezvous (Thaler and Ravishankar 1998; weighted as Mosharaf and
/// Resch: -log(u) / weight, the least wins), as a fraction: compare with [`Score::before`].
#[derive(Clone, Copy)]
pub(crate) struct Score {
    /// -log2 of a number in (0, 1), in 2⁻³².
    cost: u64,
    weight: u64,
}

impl Score {
    /// Of something with an identity and a weight, for a client. Equal weights all around can be 1.
    pub(crate) fn new(client_hash: u64, identity: u64, weight: u32) -> Self {
        Self { cost: minus_log2(mix(client_hash ^ mix(identity))), weight: u64::from(weight.max(1)) }
    }

    pub(crate) fn cmp(self, other: Self) -> std::cmp::Ordering {
        // Below 2³⁹ times at most 2²⁰.
        (self.cost * other.weight).cmp(&(other.cost * self.weight))
    }
}

/// -log2(number / 2⁶⁴) in units of 2⁻³², from 1 to 64 · 2³²: bit by bit, by repeated squaring.
fn minus_log2(number: u64) -> u64 {
    let number = number.max(1);
    let zeros = number.leading_zeros();
    // From 1 to 2, in 2⁻⁶³.
    let mut x = number << zeros;
    let mut fraction = 0_u64;
    for _ in 0..32 {
        let square = (u128::from(x) * u128::from(x)) >> 63;
        let above_two = square >> 64;
        fraction = fraction << 1 | above_two as u64;
        x = (square >> above_two) as u64;
    }
    (u64::from(zeros + 1) << 32) - fraction
}

/// The finaliser of SplitMix64 (Steele et al.): every bit of the input reaches every bit of the output.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// Numbers drawn one after the other from a single random number (SplitMix64).
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, each as likely up to one part in 2⁶⁴ / bound; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let drawn = mix(self.0);
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        // The high half of a 128-bit product: below `bound`, without a division.
        ((u128::from(drawn) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
    fn logarithms_are_right_to_nine_digits() {
        for number in [1, 2, 3, 1 << 20, 0x0123_4567_89ab_cdef, 1 << 63, u64::MAX / 3, u64::MAX] {
            let exact = 64.0 - (number as f64).log2();
            let ours = minus_log2(number) as f64 / 2_f64.powi(32);
            assert!((exact - ours).abs() < 1e-9, "{number}: {ours}, not {exact}");
        }
        assert!(minus_log2(0) > 0 && minus_log2(u64::MAX) > 0);
    }

    /// Clients must stay where they are through an upgrade: these numbers never change.
    #[test]
    fn hashes_are_for_ever() {
        assert_eq!(text_hash(&["shop"]), 0x8774_61f6_4e12_e478);
        assert_eq!(client_hash(text_hash(&["shop"]), 0xc000_0200), 0xf84c_efd2_e1ca_a1bd);
        assert_eq!(trial_draw(1), 0x03e0_3698_c87f_44c7);
    }
}
