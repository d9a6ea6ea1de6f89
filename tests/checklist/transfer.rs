//! Statements 14 and 78: signed messages, and zones that are transferred.

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Meridian, Wire, scratch};

use crate::world::{both, config};

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
