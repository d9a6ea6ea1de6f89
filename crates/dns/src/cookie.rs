//! DNS cookies (RFC 7873) in the form that servers of several makers share (RFC 9018).

use std::hash::Hasher;
use std::net::IpAddr;

use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip::SipHasher24;

use crate::secret::differs;

/// A client's cookie (RFC 7873 §4.1).
const CLIENT_SIZE: usize = 8;
/// Our server cookie: version, three octets that are zero, the time, the hash (RFC 9018 §4).
const SERVER_SIZE: usize = 16;
/// The whole option as we send it.
const COOKIE_SIZE: usize = CLIENT_SIZE + SERVER_SIZE;
/// What a server cookie of others may have (RFC 7873 §4.2).
const SERVER_SIZES: std::ops::RangeInclusive<usize> = 8..=32;

/// RFC 9018 §4.1.
const VERSION: u8 = 1;
/// How old a cookie may be, in seconds (RFC 9018 §4.3).
const AGE_MAX_S: i32 = 3600;
/// How far ahead of our clock another server's may be, in seconds (RFC 9018 §4.3).
const AHEAD_MAX_S: i32 = 300;
/// From which age on a new one is given, in seconds (RFC 9018 §4.3).
const RENEW_S: i32 = 1800;

/// The first secret makes cookies, all of them verify: how a fleet rolls from one to the next (RFC 9018 §5).
#[derive(Clone, PartialEq, Eq)]
pub struct CookieSecrets(Vec<[u8; 16]>);

impl std::fmt::Debug for CookieSecrets {
    /// How many, never which.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CookieSecrets({})", self.0.len())
    }
}

impl CookieSecrets {
    /// The one that makes cookies, and those that are still, or already, accepted.
    #[must_use]
    pub fn new(first: [u8; 16], others: impl IntoIterator<Item = [u8; 16]>) -> Self {
        Self(std::iter::once(first).chain(others).collect())
    }

    /// One that nobody else knows: for a server that shares its address with no other.
    ///
    /// # Errors
    /// The system gives no random octets.
    pub fn random() -> std::io::Result<Self> {
        let mut secret = [0; 16];
        let filled = SystemRandom::new().fill(&mut secret);
        filled.map_err(|_| std::io::Error::other("the system gives no random octets"))?;
        Ok(Self::new(secret, []))
    }

    /// What a client's option is worth, and what goes back.
    pub(crate) fn check(&self, option: &CookieOption, client: IpAddr, now_s: u64) -> Checked {
        // Cookies count modulo 2^32 (RFC 9018 §4.3).
        let [.., a, b, c, d] = now_s.to_be_bytes();
        let now_s = u32::from_be_bytes([a, b, c, d]);
        let server: Option<&[u8; SERVER_SIZE]> = option.server().try_into().ok();
        let good = server.and_then(|server| self.good(&option.client, server, client, now_s));
        let octets = match (server, good) {
            (Some(server), Some(good)) if good.age_s < RENEW_S && good.by_the_first => {
                joined(&option.client, server)
            }
            // One by another secret is replaced at once: that secret is on its way out.
            _ => joined(&option.client, &self.make(&option.client, client, now_s)),
        };
        Checked { valid: good.is_some(), octets }
    }

    /// What is known of a cookie that one of the secrets made.
    fn good(
        &self,
        client: &[u8; CLIENT_SIZE],
        server: &[u8; SERVER_SIZE],
        ip: IpAddr,
        now_s: u32,
    ) -> Option<Good> {
        let (head, hash) = server.split_first_chunk::<8>()?;
        let [version, _, _, _, t0, t1, t2, t3] = *head;
        // Serial numbers (RFC 1982): the clock of cookies wraps.
        let age_s = now_s.wrapping_sub(u32::from_be_bytes([t0, t1, t2, t3])).cast_signed();
        let in_time = version == VERSION && (-AHEAD_MAX_S..=AGE_MAX_S).contains(&age_s);
        // What is found out by guessing is a hash for one address and one hour: the time of a comparison
        // tells a stranger less than an answer to each guess does. It is constant even so.
        let is_ours = |secret: &[u8; 16]| !differs(&digest(secret, client, head, ip), hash);
        let by = self.0.iter().position(is_ours).filter(|_| in_time)?;
        Some(Good { age_s, by_the_first: by == 0 })
    }

    fn make(&self, client: &[u8; CLIENT_SIZE], ip: IpAddr, now_s: u32) -> [u8; SERVER_SIZE] {
        let [t0, t1, t2, t3] = now_s.to_be_bytes();
        let head = [VERSION, 0, 0, 0, t0, t1, t2, t3];
        let mut server = [0; SERVER_SIZE];
        server[..8].copy_from_slice(&head);
        // `new` takes one at least.
        if let Some(secret) = self.0.first() {
            server[8..].copy_from_slice(&digest(secret, client, &head, ip));
        }
        server
    }
}

#[derive(Clone, Copy)]
struct Good {
    age_s: i32,
    /// By the secret that makes cookies now.
    by_the_first: bool,
}

/// RFC 9018 §4.4: SipHash-2-4 over client cookie, version, reserved, time and address.
fn digest(secret: &[u8; 16], client: &[u8; CLIENT_SIZE], head: &[u8; 8], ip: IpAddr) -> [u8; 8] {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(client);
    hasher.write(head);
    match ip {
        IpAddr::V4(ip) => hasher.write(&ip.octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    // The hash's octets stand in the order in which the reference writes them.
    hasher.finish().to_le_bytes()
}

fn joined(client: &[u8; CLIENT_SIZE], server: &[u8; SERVER_SIZE]) -> [u8; COOKIE_SIZE] {
    let mut octets = [0; COOKIE_SIZE];
    octets[..CLIENT_SIZE].copy_from_slice(client);
    octets[CLIENT_SIZE..].copy_from_slice(server);
    octets
}

/// What became of a client's option.
#[derive(Clone, Copy)]
pub(crate) struct Checked {
    /// Whether the client has shown that it receives what is sent to its address.
    pub(crate) valid: bool,
    /// The option's data in the reply.
    pub(crate) octets: [u8; COOKIE_SIZE],
}

/// A COOKIE option as it came in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CookieOption {
    client: [u8; CLIENT_SIZE],
    server: [u8; *SERVER_SIZES.end()],
    server_size: u8,
}

impl CookieOption {
    /// Reads the option's data.
    ///
    /// # Errors
    /// `()` for lengths other than 8 and 16 to 40, which are FORMERR (RFC 7873 §5.2.2).
    pub(crate) fn read(data: &[u8]) -> Result<Self, ()> {
        let (client, rest) = data.split_first_chunk::<CLIENT_SIZE>().ok_or(())?;
        if !rest.is_empty() && !SERVER_SIZES.contains(&rest.len()) {
            return Err(());
        }
        let mut server = [0; *SERVER_SIZES.end()];
        server[..rest.len()].copy_from_slice(rest);
        Ok(Self { client: *client, server, server_size: u8::try_from(rest.len()).map_err(|_| ())? })
    }

    /// Whether the client has none of a server's yet.
    pub(crate) fn is_new(&self) -> bool {
        self.server_size == 0
    }

    fn server(&self) -> &[u8] {
        &self.server[..usize::from(self.server_size)]
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    fn secrets(text: &str) -> CookieSecrets {
        CookieSecrets::new(hex(text), [])
    }

    fn option(text: &str) -> CookieOption {
        CookieOption::read(&HEXLOWER.decode(text.as_bytes()).unwrap()).unwrap()
    }

    /// RFC 9018 appendix A.1 to A.3.
    #[test]
    fn the_vectors_of_the_standard() {
        for (ip, now, came, back, valid) in [
            (
                "198.51.100.100",
                1_559_731_985,
                "2464c4abcf10c957",
                "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
                false,
            ),
            // Forty minutes later it is good, and old enough for a new one.
            (
                "198.51.100.100",
                1_559_734_385,
                "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
                "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
                true,
            ),
            // Over an hour old; another server's reserved octets are part of the hash.
            (
                "203.0.113.203",
                1_559_734_700,
                "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
                "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e",
                false,
            ),
        ] {
            let checked =
                secrets("e5e973e5a6b2a43f48e7dc849e37bfcf").check(&option(came), ip.parse().unwrap(), now);
            assert_eq!(HEXLOWER.encode(&checked.octets), back, "{came}");
            assert_eq!(checked.valid, valid, "{came}");
        }
    }

    /// RFC 9018 appendix A.4: one made with the old secret while the new one makes cookies.
    #[test]
    fn an_old_secret_is_accepted_during_the_roll() {
        let both = CookieSecrets::new(
            hex("445536bcd2513298075a5d379663c962"),
            [hex("dd3bdf9344b678b185a6f5cb60fca715")],
        );
        let came = option("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
        let ip = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let checked = both.check(&came, ip, 1_559_741_961);
        assert!(checked.valid);
        assert_eq!(HEXLOWER.encode(&checked.octets), "22681ab97d52c298010000005cf7c609a6bb79d16625507a");
    }

    #[test]
    fn a_cookie_holds_for_its_address_and_its_time() {
        let secrets = secrets("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let (ip, made) = ("192.0.2.1".parse().unwrap(), 1 << 32 | 100_u64);
        let fresh = secrets.check(&option("0102030405060708"), ip, made);
        let again = CookieOption::read(&fresh.octets).unwrap();
        for (now, valid, renewed) in [
            (made, true, false),
            (made + 1799, true, false),
            (made + 1800, true, true),
            (made + 3600, true, true),
            (made + 3601, false, true),
            (made - 300, true, false),
            (made - 301, false, true),
        ] {
            let checked = secrets.check(&again, ip, now);
            assert_eq!(checked.valid, valid, "{now}");
            assert_eq!(checked.octets != fresh.octets, renewed, "{now}");
        }
        assert!(!secrets.check(&again, "192.0.2.2".parse().unwrap(), made).valid);
    }

    #[test]
    fn lengths() {
        for size in 0..=48 {
            let good = size == 8 || (16..=40).contains(&size);
            assert_eq!(CookieOption::read(&vec![1; size]).is_ok(), good, "{size}");
        }
    }
}
