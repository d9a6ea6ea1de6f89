//! Statements 40 to 44: cookies, and the rate that they are exempt from.

use std::net::UdpSocket;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Meridian, Wire, ask_tcp, scratch};

use crate::world::{both, config, first_over_tcp_from, serve, udp, unix_s};

const FORMERR: u16 = 1;
const BADCOOKIE: u16 = 23;
const COOKIE: u16 = 10;
const CLIENT: &[u8; 8] = b"\x01\x02\x03\x04\x05\x06\x07\x08";

fn ask() -> Ask {
    Ask::new("static.gslb.example.", RecordType::A)
}

fn with(cookie: &[u8]) -> Vec<u8> {
    ask().option(COOKIE, cookie).octets()
}

#[test]
fn s40_rfc7873_5_2_2_lengths() {
    let meridian = serve("");
    for length in 0..=64 {
        let good = length == 8 || (16..=40).contains(&length);
        for reply in both(meridian.address(), &with(&vec![1; length])) {
            let wanted = if good { (0, Some(24)) } else { (FORMERR, None) };
            assert_eq!((reply.rcode(), reply.option(COOKIE).map(|data| data.len())), wanted, "{length}");
        }
    }
}

#[test]
fn s41_rfc7873_5_2_3_a_client_cookie_brings_a_server_cookie() {
    let meridian = serve("");
    for (what, ask) in crate::world::questions() {
        for reply in both(meridian.address(), &ask.clone().option(COOKIE, CLIENT).octets()) {
            let cookie = reply.option(COOKIE).unwrap_or_else(|| panic!("{what}"));
            assert_eq!((&cookie[..8], cookie.len()), (&CLIENT[..], 24), "{what}");
            assert_ne!(reply.rcode(), BADCOOKIE, "{what}");
        }
    }
    // Switched off it is an option like any that the server does not know.
    let without = serve("[server.cookies]\nenabled = false\n");
    for reply in both(without.address(), &with(CLIENT)) {
        assert_eq!((reply.rcode(), reply.option(COOKIE)), (0, None));
    }
}

/// The form; that age and address count, with the vectors of RFC 9018, is in the tests beside the code.
#[test]
fn s42_rfc9018_4_version_zeros_time_and_hash() {
    let meridian = serve("");
    for reply in both(meridian.address(), &with(CLIENT)) {
        let cookie = reply.option(COOKIE).unwrap();
        assert_eq!(cookie[8..12], [1, 0, 0, 0]);
        let made = u32::from_be_bytes(cookie[12..16].try_into().unwrap());
        assert!(unix_s().wrapping_sub(made) < 60, "{made}");
        // It is good, and so comes back as it is; changed anywhere it is replaced.
        for again in both(meridian.address(), &with(&cookie)) {
            assert_eq!(again.option(COOKIE).as_deref(), Some(&cookie[..]));
        }
        for at in 8..24 {
            let mut changed = cookie.clone();
            changed[at] ^= 1;
            for again in both(meridian.address(), &with(&changed)) {
                assert_ne!(again.option(COOKIE).unwrap(), changed, "{at}");
                assert_eq!(again.rcode(), 0);
            }
        }
    }
}

#[test]
fn s43_rfc9018_5_servers_share_secrets_and_roll_them() {
    let folder = scratch();
    let file = |name: &str, secrets: &[&str]| {
        let path = folder.join(name);
        std::fs::write(&path, secrets.join("\n")).unwrap();
        let text = format!("[server.cookies]\nsecret_file = {:?}\n", path.to_str().unwrap());
        Meridian::serve(config().with(&text).text())
    };
    let (one, two) = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100");
    // Before the roll, in the midst of it (two steps), after it, and a server of somebody else.
    let fleet =
        [&[one][..], &[one, two], &[two, one], &[two]].map(|secrets| file(&secrets.join("+"), secrets));
    let takes = |server: usize, cookie: &[u8]| {
        // A secret on its way out is still good; that its cookie is replaced shows nothing. What shows it is
        // the rate, from which only good ones are exempt.
        udp(fleet[server].address(), "127.0.0.1", &with(cookie)).option(COOKIE).unwrap() == cookie
    };
    let cookies = [0, 1, 2, 3].map(|server: usize| {
        udp(fleet[server].address(), "127.0.0.1", &with(CLIENT)).option(COOKIE).unwrap()
    });
    for (maker, server, kept) in [(0, 0, true), (0, 1, true), (1, 0, true), (2, 3, true), (3, 2, true)]
        .into_iter()
        .chain([(0, 3, false), (3, 0, false), (0, 2, false), (2, 1, false)])
    {
        assert_eq!(takes(server, &cookies[maker]), kept, "made by {maker}, shown to {server}");
    }
    // From another address it is none.
    let elsewhere = udp(fleet[0].address(), "127.0.0.2", &with(&cookies[0])).option(COOKIE).unwrap();
    assert_ne!(elsewhere, cookies[0]);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Asks without waiting, and counts the replies: answers, truncated ones, BADCOOKIE ones.
fn burst(meridian: &Meridian, from: &str, queries: &[Vec<u8>]) -> [usize; 3] {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(meridian.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut kinds = [0; 3];
    let mut reply = [0; 2048];
    let mut receive = |wait: bool| {
        socket.set_nonblocking(!wait).unwrap();
        let length = socket.recv(&mut reply).ok()?;
        let reply = Wire::read(&reply[..length]).unwrap();
        match (reply.id, reply.truncated(), reply.rcode()) {
            (0xe0d, ..) => return None,
            (_, true, _) => kinds[1] += 1,
            (_, _, BADCOOKIE) => kinds[2] += 1,
            _ => kinds[0] += 1,
        }
        Some(())
    };
    for query in queries {
        socket.send(query).unwrap();
        while receive(false).is_some() {}
    }
    // One that is not limited ends it: replies come in order.
    let cookie = first_over_tcp_from(from, meridian.address(), &[&with(CLIENT)]).option(COOKIE).unwrap();
    socket.send(&Ask { id: 0xe0d, ..ask().option(COOKIE, &cookie) }.octets()).unwrap();
    while receive(true).is_some() {}
    kinds
}

const LIMIT: &str = "[server.rate_limit]\nper_client = 1000\nper_name = 10\nerrors = 5\n";

#[test]
fn s44_rfc7873_1_good_cookies_are_exempt_from_the_rate() {
    let meridian = serve(LIMIT);
    let plain = vec![ask().octets(); 200];
    let [answers, truncated, _] = burst(&meridian, "127.0.0.1", &plain);
    // A second's worth at once and what a second brings meanwhile; of the others about every second slips.
    assert!((10..60).contains(&answers), "{answers}");
    assert!((40..160).contains(&truncated), "{truncated}");
    // Another network of the same server is not touched, nor is TCP from this one.
    assert_eq!(burst(&meridian, "127.0.1.1", &plain[..10]), [10, 0, 0]);
    assert!(!ask_tcp(meridian.address(), &ask()).unwrap().wire.truncated());
    // Who shows that it speaks cookies is given one in place of what slips, and with it all answers.
    let [_, truncated, bad] = burst(&meridian, "127.0.0.1", &vec![with(CLIENT); 50]);
    assert!(truncated == 0 && bad > 0, "{truncated} {bad}");
    let cookie = ask_tcp(meridian.address(), &ask().option(COOKIE, CLIENT)).unwrap().wire.option(COOKIE);
    assert_eq!(burst(&meridian, "127.0.0.1", &vec![with(&cookie.unwrap()); 200]), [200, 0, 0]);
}

/// Names that nobody has count as one: a flood of random ones is limited as one name is.
#[test]
fn s44_random_names_and_errors_are_limited_too() {
    let meridian = serve(&format!("{LIMIT}slip = 0\nexempt = [\"127.0.9.0/24\"]\n"));
    let mut random = fastrand::Rng::with_seed(44);
    for (from, limited) in [("127.0.0.1", true), ("127.0.9.1", false)] {
        let names: Vec<Vec<u8>> = (0..200)
            .map(|_| format!("{:x}.gslb.example.", random.u64(..)))
            .map(|name| Ask::new(&name, RecordType::A).octets())
            .collect();
        let refused = vec![Ask::new("www.elsewhere.example.", RecordType::A).octets(); 200];
        for queries in [names, refused] {
            let [answers, truncated, _] = burst(&meridian, from, &queries);
            assert_eq!((answers < 100, truncated), (limited, 0), "{answers} of 200");
        }
    }
}
