//! Statements 14 and 78: signed messages, and zones that are transferred.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::stream::connect_from;
use meridian_tests::{
    Ask, Config, FIRST_UNLESS_DOWN, Meridian, Site, Wire, WireRecord, ask_tcp, ask_udp, scratch,
};
use nix::sys::signal::Signal;

use crate::world::{both, config, first_over_tcp_from, receive, send, unix_s};

const FORMERR: u16 = 1;
const NOTAUTH: u16 = 9;
const TSIG: u16 = 250;

/// What is wrong with a signature (RFC 8945 §3).
const BADSIG: u16 = 16;
const BADKEY: u16 = 17;

/// A TSIG record: the key's and the algorithm's name, and a MAC.
fn tsig(key: &str, algorithm: &str, mac: &[u8]) -> Vec<u8> {
    let name = |text: &str| {
        let labels = text
            .split('.')
            .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
        labels.chain([0]).collect::<Vec<u8>>()
    };
    let mut data = name(algorithm);
    data.extend_from_slice(&[0, 0, 0x69, 0, 0, 0, 1, 44]);
    data.extend_from_slice(&u16::try_from(mac.len()).unwrap().to_be_bytes());
    data.extend_from_slice(mac);
    data.extend_from_slice(&[0x4d, 0x52, 0, 0, 0, 0]);
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&name(key)[..], &[0, 250, 0, 255, 0, 0, 0, 0], &length, &data].concat()
}

/// A question with records in Additional.
fn with(name: &str, count: u8, records: &[u8]) -> Vec<u8> {
    let mut query = Ask::new(name, RecordType::A).octets();
    query[11] = count;
    query.extend_from_slice(records);
    query
}

/// The error in the reply's TSIG record, and the size of its MAC.
fn error(reply: &Wire) -> Option<(u16, usize)> {
    let record = reply.records.iter().find(|record| record.record_type == TSIG)?;
    assert_eq!((record.section, record.class, record.ttl), (3, 255, 0));
    let algorithm = record.data.iter().position(|&octet| octet == 0)? + 1;
    let size = usize::from(u16::from_be_bytes([record.data[algorithm + 8], record.data[algorithm + 9]]));
    let error = algorithm + 10 + size + 2;
    Some((u16::from_be_bytes([record.data[error], record.data[error + 1]]), size))
}

fn with_key() -> Meridian {
    let file = scratch().join("transfer.secret");
    std::fs::write(&file, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n").unwrap();
    let key = format!("[[keys]]\nname = \"transfer.example\"\nsecret_file = {:?}\n", file.to_str().unwrap());
    let meridian = Meridian::serve(config().with(&key).text());
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    meridian
}

#[test]
fn s14_rfc8945_5_2_signatures_that_are_not_ours_are_not_taken() {
    let meridian = with_key();
    let mac = [7; 32];
    for (key, algorithm, mac, wanted) in [
        ("unknown.example", "hmac-sha256", &mac[..], BADKEY),
        ("transfer.example", "hmac-sha512", &mac, BADKEY),
        ("transfer.example", "hmac-md5.sig-alg.reg.int", &mac[..16], BADKEY),
        ("transfer.example", "hmac-sha256", &mac, BADSIG),
        ("TRANSFER.example", "HMAC-SHA256", &mac[..16], BADSIG),
    ] {
        for name in ["static.gslb.example.", "shop.gslb.example.", "www.elsewhere.example."] {
            for reply in both(meridian.address(), &with(name, 1, &tsig(key, algorithm, mac))) {
                assert_eq!((reply.rcode(), reply.authoritative()), (NOTAUTH, false), "{key} {algorithm}");
                assert_eq!(reply.counts, [1, 0, 0, 1]);
                assert_eq!(error(&reply), Some((wanted, 0)), "{key} {algorithm}");
            }
        }
    }
}

/// dnspython writes a key's name that ends as the question's does with a pointer to that.
#[test]
fn s14_rfc8945_4_2_the_name_of_a_key_may_be_compressed() {
    let meridian = with_key();
    for (pointer, wanted) in [(12, (NOTAUTH, 1)), (255, (FORMERR, 0))] {
        let whole = tsig("x", "hmac-sha256", &[7; 32]);
        let record = [&[1, b'x', 0xc0, pointer], &whole[3..]].concat();
        for reply in both(meridian.address(), &with("static.gslb.example.", 1, &record)) {
            assert_eq!((reply.rcode(), reply.counts[3]), wanted, "{pointer}");
        }
    }
}

#[test]
fn s14_rfc8945_5_2_2_1_signatures_that_are_none_are_format_errors() {
    let meridian = with_key();
    let good = tsig("transfer.example", "hmac-sha256", &[7; 32]);
    let changed = |at: usize, octet| {
        let mut record = good.clone();
        record[at] = octet;
        record
    };
    let owner = "transfer.example".len() + 2;
    let opt = [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0];
    for (what, count, records) in [
        ("before another", 2, [&good[..], &opt].concat()),
        ("twice", 2, [&good[..], &good].concat()),
        ("of class IN", 1, changed(owner + 3, 1)),
        ("with a TTL", 1, changed(owner + 7, 1)),
        ("a MAC past the end", 1, changed(good.len() - 6 - 32 - 1, 33)),
        ("other data past the end", 1, changed(good.len() - 1, 1)),
        ("a MAC that is too long", 1, tsig("transfer.example", "hmac-sha256", &[7; 33])),
        ("a MAC that is too short", 1, tsig("transfer.example", "hmac-sha256", &[7; 15])),
    ] {
        for reply in both(meridian.address(), &with("static.gslb.example.", count, &records)) {
            assert_eq!((reply.rcode(), reply.counts[1], error(&reply)), (FORMERR, 0, None), "{what}");
        }
    }
}

//----------- Transfers ------------------------------------------------------

/// All records of a zone as they come, and the number of messages.
fn transfer(server: SocketAddr, from: &str, query: &[u8]) -> (Vec<WireRecord>, usize) {
    let mut stream = connect_from(from.parse().unwrap(), server).unwrap();
    send(&mut stream, query);
    let (mut records, mut messages) = (Vec::new(), 0);
    while records.iter().filter(|record: &&WireRecord| record.record_type == 6).count() < 2 {
        let message = receive(&mut stream);
        assert_eq!((message.rcode(), message.authoritative()), (0, true));
        assert_eq!(message.counts[0], u16::from(messages == 0), "the question comes once");
        records.extend(message.records.into_iter().filter(|record| record.record_type != 41));
        messages += 1;
    }
    (records, messages)
}

fn axfr() -> Ask {
    Ask::new("gslb.example.", RecordType::AXFR)
}

/// The world, with a table of its zone: it belongs behind the zone's own keys.
fn with_transfer(config: &Config, table: &str) -> String {
    let (before, after) = config.text().split_once("serial = 7\n").unwrap();
    format!("{before}serial = 7\n{table}{after}")
}

fn data_dir(folder: &Path) -> String {
    format!("workers = 2\ndata_dir = {:?}\n", folder.to_str().unwrap())
}

#[test]
fn s78_rfc5936_5_transfers_are_refused_unless_allowed() {
    let nobody = Meridian::serve(config().text());
    let [udp, tcp] = both(nobody.address(), &axfr().edns(1232).octets());
    // RFC 5936 §4.2: it is not defined over UDP.
    assert_eq!((udp.rcode(), tcp.rcode()), (FORMERR, 5));
    assert_eq!(tcp.option(15), Some(vec![0, 18]));
    let folder = scratch();
    let table = "[zones.transfer]\nallow = [\"127.0.9.0/24\"]\n";
    let some = with_transfer(&config(), table).replace("workers = 2\n", &data_dir(&folder));
    let some = Meridian::serve(&some);
    for (from, name, wanted) in [
        ("127.0.0.1", "gslb.example.", 18),
        ("127.0.9.1", "shop.gslb.example.", 20),
        ("127.0.9.1", "elsewhere.example.", 20),
    ] {
        let ask = Ask::new(name, RecordType::AXFR).edns(1232).octets();
        let reply = first_over_tcp_from(from, some.address(), &[&ask]);
        assert_eq!((reply.rcode(), reply.counts[1]), (5, 0), "{from} {name}");
        assert_eq!(reply.option(15), Some(vec![0, wanted]), "{from} {name}");
    }
    let (records, _) = transfer(some.address(), "127.0.9.1", &axfr().octets());
    assert!(records.len() > 20, "{records:?}");
    drop(some);
    std::fs::remove_dir_all(folder).unwrap();
}

/// What a secondary would serve from the copy is what the server itself says, a steered name's default included.
#[test]
fn s78_rfc5936_2_2_the_whole_zone_once_between_two_soas() {
    let folder = scratch();
    let texts: Vec<String> = (0..200).map(|number| format!("\"\\\"{number:0>100}\\\"\"")).collect();
    let texts = texts.join(", ");
    let many: Vec<String> = (0..10)
        .map(|at| format!("[[zones.records]]\nname = \"many{at}\"\ntype = \"TXT\"\ndata = [{texts}]\n"))
        .collect();
    let many = many.concat();
    let table = format!("[zones.transfer]\nallow = [\"127.0.0.0/8\"]\n{many}");
    let text = with_transfer(&config(), &table)
        .replace("workers = 2\n", &data_dir(&folder))
        .replace("\"shop.gslb.example\"", "\"shop.gslb.example\", \"*.shop.gslb.example\"");
    let meridian = Meridian::serve(&text);
    let (records, messages) = transfer(meridian.address(), "127.0.0.1", &axfr().octets());
    assert!(messages > 10, "{messages} messages");
    let (first, last) = (&records[0], &records[records.len() - 1]);
    // But for the names, which may be compressed in different ways.
    let numbers = |soa: &WireRecord| soa.data[soa.data.len() - 20..].to_vec();
    assert_eq!((first.record_type, &first.owner, numbers(first)), (6, &last.owner, numbers(last)));
    let has = |owner: &str, record_type: u16| {
        records.iter().filter(|r| r.owner == owner && r.record_type == record_type).count()
    };
    for (owner, record_type, wanted) in [
        ("gslb.example.", 2, 2),
        ("static.gslb.example.", 1, 2),
        ("alias.gslb.example.", 5, 1),
        ("*.wild.gslb.example.", 16, 1),
        ("child.gslb.example.", 2, 1),
        ("ns.child.gslb.example.", 1, 1),
        ("b.ent.gslb.example.", 1, 0),
        ("many7.gslb.example.", 16, 200),
        ("shop.gslb.example.", 1, 1),
        ("shop.gslb.example.", 28, 1),
        ("*.shop.gslb.example.", 1, 1),
        ("frankfurt.shop.site.gslb.example.", 1, 1),
        ("tokyo.shop.site.gslb.example.", 28, 1),
    ] {
        assert_eq!(has(owner, record_type), wanted, "{owner} {record_type}");
    }
    // No record twice, all within the zone, one TTL an RRset.
    for (at, one) in records[1..].iter().enumerate() {
        assert!(one.owner.ends_with("gslb.example."), "{}", one.owner);
        for other in &records[at + 2..] {
            let same_set = one.owner == other.owner && one.record_type == other.record_type;
            assert!(!same_set || one.data != other.data && one.ttl == other.ttl, "{one:?} {other:?}");
        }
    }
    drop(meridian);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A question for what is newer gets all of it, or the SOA alone when there is nothing (RFC 1995 §2, §4).
#[test]
fn s78_rfc1995_4_incremental_questions() {
    let folder = scratch();
    let table = "[zones.transfer]\nallow = [\"127.0.0.0/8\"]\n";
    let text = with_transfer(&config(), table).replace("workers = 2\n", &data_dir(&folder));
    let meridian = Meridian::serve(&text);
    let serial = serial(meridian.address());
    let ixfr = |has: u32| {
        let mut query = Ask::new("gslb.example.", RecordType::IXFR).octets();
        query[9] = 1;
        query.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
        query.extend_from_slice(&has.to_be_bytes());
        query.extend_from_slice(&[0; 16]);
        query
    };
    let (all, _) = transfer(meridian.address(), "127.0.0.1", &axfr().octets());
    let (older, _) = transfer(meridian.address(), "127.0.0.1", &ixfr(serial.wrapping_sub(1)));
    assert_eq!(older.len(), all.len());
    let [udp, _] = both(meridian.address(), &ixfr(serial));
    for (has, reply) in [
        (serial, udp),
        (serial, first_over_tcp_from("127.0.0.1", meridian.address(), &[&ixfr(serial)])),
        (serial + 5, first_over_tcp_from("127.0.0.1", meridian.address(), &[&ixfr(serial + 5)])),
    ] {
        assert_eq!((reply.rcode(), reply.counts[1]), (0, 1), "{has}");
        assert_eq!(reply.section(1).next().unwrap().record_type, 6);
    }
    drop(meridian);
    std::fs::remove_dir_all(folder).unwrap();
}

fn serial(server: SocketAddr) -> u32 {
    let ask = Ask::new("gslb.example.", RecordType::SOA);
    let [udp, tcp] = [ask_udp(server, &ask).unwrap(), ask_tcp(server, &ask).unwrap()];
    let serial = |wire: &Wire| {
        let data = &wire.section(1).next().unwrap().data;
        u32::from_be_bytes(data[data.len() - 20..data.len() - 16].try_into().unwrap())
    };
    assert_eq!(serial(&udp.wire), serial(&tcp.wire));
    serial(&udp.wire)
}

/// It rises when a steered name's choice changes, and whoever asked for it is told; a restart keeps it, also
/// with a file that was lost.
#[test]
fn s78_rfc1982_the_serial_rises_and_never_goes_back() {
    let (site, folder) = (Site::new(), scratch());
    let (mut first, _second) = (site.cluster(1), site.cluster(2));
    let secondary = UdpSocket::bind("127.0.0.1:0").unwrap();
    secondary.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let listening = secondary.local_addr().unwrap();
    let table = format!("[zones.transfer]\nallow = [\"127.0.0.0/8\"]\nnotify = [\"{listening}\"]\n");
    let base = Config::new().with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n").watched(
        &site,
        "1s",
        FIRST_UNLESS_DOWN,
    );
    let text = with_transfer(&base, &table).replace("workers = 2\n", &data_dir(&folder));

    let told = || {
        let mut octets = [0; 512];
        let (length, from) = secondary.recv_from(&mut octets).expect("a NOTIFY");
        let notice = Wire::read(&octets[..length]).unwrap();
        assert_eq!((notice.opcode(), notice.flags & 0x8400, notice.counts), (4, 0x0400, [1, 1, 0, 0]));
        octets[2] |= 0x80;
        secondary.send_to(&octets[..length], from).unwrap();
        let data = &notice.records[0].data;
        u32::from_be_bytes(data[data.len() - 20..data.len() - 16].try_into().unwrap())
    };
    let mut meridian = Meridian::serve(&text);
    let begin = serial(meridian.address());
    assert_eq!(told(), begin);
    let address = |meridian: &Meridian| {
        let (records, _) = transfer(meridian.address(), "127.0.0.1", &axfr().octets());
        let shop = |r: &&WireRecord| r.owner == "shop.gslb.example." && r.record_type == 1;
        records.iter().find(shop).unwrap().data.clone()
    };
    let before = address(&meridian);
    first.kill();
    meridian.wait_for_verdict(&site.address(1).to_string(), "unhealthy");
    let after = serial(meridian.address());
    assert!(after > begin, "{begin} {after}");
    assert_ne!(address(&meridian), before);
    // It is told at once; one in between may have been told as well.
    while told() != after {}

    meridian.signal(Signal::SIGTERM);
    meridian.wait();
    drop(meridian);
    let again = Meridian::serve(&text);
    assert_eq!(serial(again.address()), after, "the same content");
    drop(again);
    std::fs::write(folder.join("serials.json"), "broken").unwrap();
    // Serials are times of day, and this one may be of a second that is yet to come.
    while unix_s() < after {
        std::thread::sleep(Duration::from_millis(50));
    }
    let without = Meridian::serve(&text);
    assert!(serial(without.address()) >= after);
    assert!(folder.join("serials.json.unreadable").exists());
    drop(without);
    std::fs::remove_dir_all(folder).unwrap();
}
