//! Record data against hickory-proto, which reads the octets, and against the RFCs' own examples.

use hickory_proto::rr::{RData, RecordType as TheirType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};
use meridian_model::DomainName;

use super::super::types::RecordType;
use super::{doubt, to_wire};

fn wire(record_type: &str, text: &str) -> Vec<u8> {
    let origin = DomainName::parse("z.example").unwrap();
    let record_type = RecordType::parse(record_type).unwrap();
    to_wire(record_type, text, &origin).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")).into_vec()
}

/// What another implementation makes of the octets, in presentation format.
fn read_back(record_type: &str, wire: &[u8]) -> String {
    let number = RecordType::parse(record_type).unwrap().0;
    let length = Restrict::new(u16::try_from(wire.len()).unwrap());
    RData::read(&mut BinDecoder::new(wire), TheirType::from(number), length).unwrap().to_string()
}

#[test]
fn another_implementation_reads_what_was_written() {
    for (record_type, text, wanted) in [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:DB8::1", "2001:db8::1"),
        ("NS", "ns1.example.", "ns1.example."),
        ("CNAME", "Www.Example.", "www.example."),
        ("PTR", "host", "host.z.example."),
        ("MX", "10 mail.example.", "10 mail.example."),
        ("MX", "0 .", "0 ."),
        ("TXT", "\"v=spf1 mx -all\"", "v=spf1 mx -all"),
        ("SRV", "10 60 5060 sip.example.", "10 60 5060 sip.example."),
        ("CAA", "0 issue \"ca.example; policy=ev\"", "0 issue \"ca.example; policy=ev\""),
        ("HINFO", "DEC-2060 TOPS20", "DEC-2060 TOPS20"),
        (
            "NAPTR",
            "100 50 \"s\" \"http\" \"\" _http._tcp.example.",
            "100 50 \"s\" \"http\" \"\" _http._tcp.example.",
        ),
        ("HTTPS", "1 . alpn=\"h2,h3\" port=8443", "1 . alpn=h2,h3, port=8443"),
        ("SVCB", "0 alias.example.", "0 alias.example. "),
    ] {
        let read = read_back(record_type, &wire(record_type, text));
        assert_eq!(read.trim(), wanted.trim(), "{record_type} {text}");
    }
}

#[test]
fn names_without_a_final_dot_are_below_the_zone() {
    let relative = wire("MX", "10 mail");
    assert_eq!(relative, wire("MX", "10 mail.z.example."));
    assert_eq!(wire("CNAME", "@"), wire("CNAME", "z.example."));
    assert_eq!(wire("CNAME", "a.b"), wire("CNAME", "a.b.z.example."));
    assert_eq!(wire("HTTPS", "1 svc"), wire("HTTPS", "1 svc.z.example."));
    assert_eq!(wire("SRV", "0 0 0 ."), [0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn escapes_are_octets_in_decimal() {
    assert_eq!(wire("TXT", r#""a\"b\\c""#), b"\x05a\"b\\c");
    assert_eq!(wire("TXT", r"\065\000\255"), [3, 65, 0, 255]);
    assert_eq!(wire("TXT", "\"\""), [0]);
    assert_eq!(wire("TXT", "\"é\""), [2, 0xc3, 0xa9]);
    assert_eq!(wire("TXT", "a (b\nc) \"d\""), b"\x01a\x01b\x01c\x01d");
    // An escaped dot is part of its label, as in a mailbox.
    assert_eq!(wire("RP", r"john\.doe.example. ."), b"\x08john.doe\x07example\0\0");
}

#[test]
fn hex_and_base_64_may_be_in_pieces() {
    // RFC 4034 §5.4.
    let ds = wire("DS", "60485 5 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 )");
    assert_eq!(&ds[..6], [0xec, 0x45, 5, 1, 0x2b, 0xb1]);
    assert_eq!(ds.len(), 24);
    assert_eq!(wire("OPENPGPKEY", "Zm9v YmFy"), b"foobar");
    assert_eq!(wire("TLSA", "3 1 1 d2ab\nDEF0"), [3, 1, 1, 0xd2, 0xab, 0xde, 0xf0]);
}

#[test]
fn the_generic_form_is_of_any_type() {
    // RFC 3597 §5.
    assert_eq!(wire("TYPE731", r"\# 6 abcdef (01 23 45)"), [0xab, 0xcd, 0xef, 1, 0x23, 0x45]);
    assert!(wire("TYPE65280", r"\# 0").is_empty());
    assert_eq!(wire("A", r"\# 4 C0000201"), wire("A", "192.0.2.1"));
    assert_eq!(wire("TYPE1", "192.0.2.1"), wire("A", "192.0.2.1"));
    assert_eq!(wire("MX", r"\# 5 000a 01 61 00"), wire("MX", "10 a."));
    assert_eq!(wire("TXT", r"\# 3 02 6162"), wire("TXT", "ab"));
    assert_eq!(wire("HTTPS", r"\# 9 0001 00 0003 0002 01bb"), wire("HTTPS", "1 . port=443"));
}

/// RFC 9460, appendix D: the vectors that a server can meet in a file.
#[test]
fn service_parameters() {
    assert_eq!(wire("HTTPS", "0 foo.example.com."), b"\0\0\x03foo\x07example\x03com\0");
    assert_eq!(wire("SVCB", "1 ."), [0, 1, 0]);
    let foo = b"\0\x10\x03foo\x07example\x03com\0";
    let behind_foo = |text: &str| wire("SVCB", text).strip_prefix(foo).unwrap().to_vec();
    assert_eq!(behind_foo("16 foo.example.com. port=53"), b"\0\x03\0\x02\0\x35");
    assert_eq!(wire("SVCB", "1 foo.example.com. key667=hello")[19..], *b"\x02\x9b\0\x05hello");
    assert_eq!(
        wire("SVCB", r#"1 foo.example.com. key667="hello\210qoo""#)[19..],
        *b"\x02\x9b\0\x09hello\xd2qoo"
    );
    let hints = wire("SVCB", "1 foo.example.com. ipv6hint=\"2001:db8::1,2001:db8::53:1\"");
    assert_eq!(hints[19..23], [0, 6, 0, 32]);
    // Keys are sorted, whatever order they are written in.
    let sorted = wire("SVCB", "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1");
    assert_eq!(sorted[19..], *b"\0\0\0\x04\0\x01\0\x04\0\x01\0\x09\x02h2\x05h3-19\0\x04\0\x04\xc0\0\x02\x01");
    let twice_escaped = wire("SVCB", r#"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#);
    assert_eq!(twice_escaped[19..], *b"\0\x01\0\x0c\x08f\\oo,bar\x02h2");
}

#[test]
fn doubts_are_few() {
    let origin = DomainName::parse("z.example").unwrap();
    let doubt = |record_type: RecordType, text: &str| doubt(record_type, text, &origin);
    assert!(doubt(RecordType::TXT, "v=spf1 -all").is_some());
    assert!(doubt(RecordType::TXT, "\"v=spf1 -all\"").is_none());
    assert!(doubt(RecordType::TXT, r"\# 2 01 61").is_none());
    assert!(doubt(RecordType::CNAME, "www.z.example").is_some());
    assert!(doubt(RecordType::CNAME, "www.z.example.").is_none());
    assert!(doubt(RecordType::CNAME, "xz.example").is_none());
}

/// Whatever is written, the octets are data of their type, or a reason is given.
#[test]
fn any_text_is_read_or_refused() {
    const PARTS: [&str; 24] = [
        " ",
        "\"",
        "\\",
        "\\#",
        "(",
        ")",
        ";",
        "=",
        ",",
        ".",
        "@",
        "1",
        "65536",
        "alpn",
        "key7",
        "port",
        "192.0.2.1",
        "a.",
        "é",
        "\\065",
        "\n",
        "abcd",
        "mandatory=",
        "\0",
    ];
    let origin = DomainName::parse("z.example").unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let types: Vec<RecordType> =
        super::super::types::type_names().iter().map(|name| RecordType::parse(name).unwrap()).collect();
    let mut read = 0;
    for _ in 0..100_000 {
        let text: String = (0..random.usize(..8)).map(|_| PARTS[random.usize(..PARTS.len())]).collect();
        let record_type = types[random.usize(..types.len())];
        let Ok(wire) = to_wire(record_type, &text, &origin) else { continue };
        read += 1;
        let fields = record_type.schema().unwrap().fields;
        assert_eq!(super::check(fields, &wire), Ok(()), "{record_type} {text:?}");
    }
    assert!(read > 1000, "{read} is too few to say anything");
}
