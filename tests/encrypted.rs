//! The encrypted transports of the built binary: TLS (RFC 7858) and HTTPS (RFC 8484), and their certificate.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use http_body_util::Full;
use hyper::{Request, Response};
use meridian_tests::stream::{connect_from, exchange, framed, read_framed};
use meridian_tests::tls::{Identity, NAME, TLS_FILES, connect_tls, https};
use meridian_tests::{Ask, Asked, Config, Meridian, Signal, WORLD, ask_tcp, now};

const ME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A zone with static names and one gateway, over plain DNS, TLS and HTTPS.
fn config() -> String {
    let listen = "dot = [\"127.0.0.1:0\"]\ndoh = [\"127.0.0.1:0\"]\n";
    Config::new()
        .with(&format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n{TLS_FILES}{listen}"))
        .clusters(&WORLD[..2])
        .gateway("shop", &["shop.gslb.example"], "", &[("eu-west", "192.0.2.1"), ("us-east", "192.0.2.2")])
        .text()
        .to_owned()
}

fn serve(identity: &Identity) -> Meridian {
    Meridian::serve_with_files(&config(), &identity.files())
}

fn static_ask() -> Ask {
    Ask::new("ns1.gslb.example.", RecordType::A)
}

fn steered_ask() -> Ask {
    Ask::new("shop.gslb.example.", RecordType::A)
}

//----------- TLS ------------------------------------------------------------

/// Statement 62: the name "dot", and none; another is turned away. TLS 1.2 and 1.3. Pipelined as over TCP.
#[test]
fn s62_rfc7858_3_dot_answers() {
    let identity = Identity::new();
    let meridian = serve(&identity);
    let server = meridian.address_of("dot");
    let plain = ask_tcp(meridian.address(), &steered_ask()).unwrap();
    for protocols in [&["dot"][..], &[]] {
        let mut stream = connect_tls(ME, server, identity.client(protocols)).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), protocols.first().map(|name| name.as_bytes()));
        // Statement 84: as over any other transport.
        assert_eq!(exchange(&mut stream, &steered_ask().octets()).unwrap(), plain.octets);
        let several: Vec<u8> = (0..50).flat_map(|id| framed(&Ask { id, ..static_ask() }.octets())).collect();
        std::io::Write::write_all(&mut stream, &several).unwrap();
        for id in 0..50 {
            assert_eq!(Asked::decode(read_framed(&mut stream).unwrap()).unwrap().message.id, id);
        }
    }
    assert!(connect_tls(ME, server, identity.client(&["h2"])).is_err());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = identity.client_of(&["dot"], &[version]);
        client.enable_early_data = true;
        let mut stream = connect_tls(ME, server, client).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        assert!(exchange(&mut stream, &static_ask().octets()).is_ok());
    }
}

/// Statements 24, 25 and 67: the keepalive option and padding, over TLS and HTTPS, to who asks for it.
#[tokio::test]
async fn s24_s25_s67_rfc8467_4_1_what_only_encrypted_transports_say() {
    let identity = Identity::new();
    let meridian = serve(&identity);
    let query = static_ask().edns(1232).option(12, &[]).octets();
    let mut stream = connect_tls(ME, meridian.address_of("dot"), identity.client(&["dot"])).unwrap();
    let padded = exchange(&mut stream, &query).unwrap();
    assert_eq!(padded.len() % 468, 0);
    let by_https = post(&meridian, &identity, &query).await;
    assert_eq!(by_https.body().len() % 468, 0);
    assert!(meridian_tests::exchange_tcp(meridian.address(), &query).unwrap().len() < 468);
    let unpadded = exchange(&mut stream, &static_ask().edns(1232).octets()).unwrap();
    assert!(unpadded.len() < 468);
    let keepalive = static_ask().edns(1232).option(11, &[]).octets();
    let reply = Asked::decode(exchange(&mut stream, &keepalive).unwrap()).unwrap();
    assert_eq!(reply.option(11), Some(vec![0, 100]));
    let by_https = Asked::decode(post(&meridian, &identity, &keepalive).await.body().to_vec()).unwrap();
    assert_eq!(by_https.option(11), None);
}

/// Statement 62: whoever does not shake hands is let go.
#[test]
fn s62_rfc7858_3_4_a_handshake_takes_no_longer_than_it_may() {
    let mut meridian = serve(&Identity::new());
    let began = now();
    for service in ["dot", "doh"] {
        let mut silent = connect_from(ME, meridian.address_of(service)).unwrap();
        meridian_tests::stream::wait_for_end(&mut silent);
        let mut wrong = connect_from(ME, meridian.address_of(service)).unwrap();
        std::io::Write::write_all(&mut wrong, b"GET / HTTP/1.1\r\n\r\n").unwrap();
        // An alert, and the end.
        let _alert = std::io::Read::read_to_end(&mut wrong, &mut Vec::new());
    }
    assert!(began.elapsed().as_secs() < 20);
    assert_eq!((meridian.total("handshake_timed_out"), meridian.total("handshake_failed")), (2, 2));
}

//----------- The certificate ------------------------------------------------

/// Statement 62: a new certificate is served when its files change, and on SIGHUP; a bad one changes nothing.
#[test]
fn s62_the_certificate_is_read_again() {
    let (first, second, third) = (Identity::new(), Identity::new(), Identity::until(2020));
    let mut meridian = serve(&first);
    let server = meridian.address_of("dot");
    let works = |identity: &Identity| connect_tls(ME, server, identity.client(&["dot"])).is_ok();
    assert!(works(&first) && !works(&second));
    let mut kept = connect_tls(ME, server, first.client(&["dot"])).unwrap();
    let folder = meridian.config().parent().unwrap().to_path_buf();
    let write = |name: &str, content: &str| {
        // Renamed onto its place, as those who renew certificates do.
        std::fs::write(folder.join("new"), content).unwrap();
        std::fs::rename(folder.join("new"), folder.join(name)).unwrap();
    };
    // The certificate without its key: refused, with the line that names the key.
    write("server.pem", &second.certificate);
    meridian.wait_for("the mistake", |line| {
        let message = line["message"].as_str().unwrap_or("");
        message.contains("server.tls.key_file: expected the private key of the certificate in cert_file")
    });
    assert!(works(&first));
    write("server.key", &second.key);
    meridian.wait_for("view published", |line| line["message"] == "view published");
    assert!(works(&second) && !works(&first));
    // Whoever was connected stays so.
    assert!(exchange(&mut kept, &static_ask().octets()).is_ok());
    // One that has expired is served, and said to be.
    write("server.pem", &third.certificate);
    write("server.key", &third.key);
    meridian.signal(Signal::SIGHUP);
    meridian.wait_for("expired", |line| {
        line["level"] == "WARN"
            && line["message"].as_str().is_some_and(|message| {
                message.contains("server.tls.cert_file: warning: expired ") && message.contains(" days ago")
            })
    });
    meridian.wait_for("view published", |line| line["message"] == "view published");
    let error = connect_tls(ME, server, third.client(&["dot"])).unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
}

/// Sockets stay as they are until the next start, and so whoever connects is served until then.
#[test]
fn a_certificate_that_is_no_longer_named_is_served_until_the_next_start() {
    let identity = Identity::new();
    let mut meridian = serve(&identity);
    let server = meridian.address_of("dot");
    let without: Vec<&str> = TLS_FILES.lines().collect();
    let text: String = config()
        .lines()
        .filter(|line| !without.contains(line) && !line.starts_with("dot = ") && !line.starts_with("doh = "))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(meridian.config(), text).unwrap();
    meridian.signal(Signal::SIGHUP);
    meridian.wait_for("the warning", |line| {
        line["message"].as_str().is_some_and(|message| message.starts_with("[server] has changed"))
    });
    meridian.wait_for("view published", |line| line["message"] == "view published");
    let mut stream = connect_tls(ME, server, identity.client(&["dot"])).unwrap();
    assert!(exchange(&mut stream, &static_ask().octets()).is_ok());
}

/// `check` reads both files: each mistake at the line that names the file, and all at once.
#[test]
fn check_reads_the_certificate() {
    let (identity, other) = (Identity::new(), Identity::new());
    let folder = meridian_tests::scratch();
    let write = |name: &str, content: &str| std::fs::write(folder.join(name), content).unwrap();
    write("meridian.toml", &config());
    let check = || {
        let mut command = std::process::Command::new(meridian_tests::binary());
        let output = command.arg("check").arg(folder.join("meridian.toml")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said.replace(&format!("{}/", folder.display()), ""))
    };
    let (code, said) = check();
    assert_eq!(code, Some(64));
    let at = |key: &str, expected: &str, found: &str| {
        let line = if key == "cert_file" { 5 } else { 6 };
        let column = if key == "cert_file" { 13 } else { 12 };
        let line = line + 10;
        format!("meridian.toml:{line}:{column}: server.tls.{key}: expected {expected}, found {found}\n")
    };
    let (chain, key) = ("a file with a certificate in PEM", "a file with a private key in PEM");
    let missing = "No such file or directory (os error 2)";
    assert_eq!(
        said,
        at("cert_file", chain, &format!("server.pem: {missing}"))
            + &at("key_file", key, &format!("server.key: {missing}"))
    );
    write("server.pem", "rubbish");
    write("server.key", &identity.key);
    let found = "server.pem: no certificate: no section \"CERTIFICATE\"";
    assert_eq!(check(), (Some(64), at("cert_file", chain, found)));
    write("server.pem", &identity.certificate);
    write("server.key", &identity.certificate);
    let (code, said) = check();
    assert_eq!(code, Some(64));
    assert!(said.contains(&at("key_file", key, "server.key: no private key: ").trim_end()[..60]), "{said}");
    write("server.key", &other.key);
    let expected = "the private key of the certificate in cert_file";
    let found = "server.key: the private key of another certificate";
    assert_eq!(check(), (Some(64), at("key_file", expected, found)));
    write("server.key", &identity.key);
    assert_eq!(check(), (Some(0), String::new()));
    std::fs::remove_dir_all(&folder).unwrap();
}

//----------- HTTPS ----------------------------------------------------------

fn request(method: &str, uri: &str, content_type: &str, body: &[u8]) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("https://{NAME}{uri}"));
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

const MESSAGE: &str = "application/dns-message";

async fn post(meridian: &Meridian, identity: &Identity, query: &[u8]) -> Response<Bytes> {
    let request = request("POST", "/dns-query", MESSAGE, query);
    https(ME, meridian.address_of("doh"), identity.client(&["h2"]), request).await.unwrap()
}

async fn get(server: SocketAddr, identity: &Identity, protocol: &str, query: &[u8]) -> Response<Bytes> {
    let uri = format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(query));
    https(ME, server, identity.client(&[protocol]), request("GET", &uri, "", &[])).await.unwrap()
}

fn header<'r>(response: &'r Response<Bytes>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Statement 63: POST and GET, by HTTP/2 and HTTP/1.1; 200 whatever DNS says.
#[tokio::test]
async fn s63_rfc8484_4_1_doh_answers() {
    let identity = Identity::new();
    let meridian = serve(&identity);
    let server = meridian.address_of("doh");
    let plain = ask_tcp(meridian.address(), &steered_ask()).unwrap();
    for protocol in ["h2", "http/1.1"] {
        let query = steered_ask().octets();
        let posted = request("POST", "/dns-query", MESSAGE, &query);
        let posted = https(ME, server, identity.client(&[protocol]), posted).await.unwrap();
        for response in [posted, get(server, &identity, protocol, &query).await] {
            assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, MESSAGE));
            assert_eq!(response.body(), &plain.octets);
        }
        let nothing = Ask::new("nothing.gslb.example.", RecordType::A).octets();
        let response = get(server, &identity, protocol, &nothing).await;
        assert_eq!(response.status(), 200);
        let reply = Asked::decode(response.body().to_vec()).unwrap();
        assert_eq!(reply.message.response_code, ResponseCode::NXDomain);
    }
}

/// Statement 64: what is static may be kept as long as its TTL says, what is tailored by nobody.
#[tokio::test]
async fn s64_rfc8484_5_1_no_cache_hands_one_clients_answer_to_another() {
    let identity = Identity::new();
    let meridian = serve(&identity);
    let server = meridian.address_of("doh");
    let nothing = Ask::new("nothing.gslb.example.", RecordType::A);
    let cookie = static_ask().edns(1232).option(10, &[1; 8]).octets();
    let outside = Ask::new("elsewhere.example.", RecordType::A);
    for (query, wanted) in [
        (static_ask().octets(), "max-age=3600"),
        (Ask::new("gslb.example.", RecordType::SOA).octets(), "max-age=3600"),
        (nothing.octets(), "max-age=60"),
        (outside.octets(), "max-age=0"),
        (steered_ask().octets(), "max-age=0, private"),
        (steered_ask().subnet("192.0.2.0", 24).octets(), "max-age=0, private"),
        // What the name has for nobody.
        (Ask::new("shop.gslb.example.", RecordType::TXT).octets(), "max-age=60"),
        (Ask::new("eu-west.shop.site.gslb.example.", RecordType::A).octets(), "max-age=0, private"),
        // The cookie that comes back is this client's.
        (cookie, "max-age=0, private"),
    ] {
        let response = get(server, &identity, "h2", &query).await;
        assert_eq!(header(&response, "cache-control"), wanted, "{query:?}");
    }
}

/// Statement 63: what is no query gets the status that says why.
#[tokio::test]
async fn s63_rfc8484_4_2_doh_refuses() {
    let identity = Identity::new();
    let meridian = serve(&identity);
    let query = static_ask().octets();
    let get = format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&query));
    let mut reply = query.clone();
    reply[2] |= 0x80;
    let long = format!("/dns-query?dns={}", "A".repeat(6000));
    for (request, wanted) in [
        (request("POST", "/dns-query", "text/plain", &query), 415),
        (request("POST", "/dns-query", "", &query), 415),
        (request("POST", "/", MESSAGE, &query), 404),
        (request("GET", &get.replace("dns-query", "dns"), "", &[]), 404),
        (request("GET", "/dns-query", "", &[]), 400),
        (request("GET", "/dns-query?dns=", "", &[]), 400),
        (request("GET", "/dns-query?dns=!!!!", "", &[]), 400),
        (request("GET", &format!("{get}="), "", &[]), 400),
        (request("GET", &long, "", &[]), 414),
        (request("GET", &get.replace("?dns", "?x=1&dns"), "", &[]), 200),
        (request("POST", "/dns-query", MESSAGE, &[0; 70_000]), 413),
        (request("POST", "/dns-query", MESSAGE, &[]), 400),
        // Statement 1: a reply gets none.
        (request("POST", "/dns-query", MESSAGE, &reply), 400),
        (request("DELETE", "/dns-query", "", &[]), 405),
        (request("POST", "/dns-query", "Application/DNS-Message", &query), 200),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let client = identity.client(&["h2"]);
        let response = https(ME, meridian.address_of("doh"), client, request).await.unwrap();
        assert_eq!(response.status().as_u16(), wanted, "{what}");
        assert_eq!(header(&response, "allow"), if wanted == 405 { "GET, POST" } else { "" });
    }
}
