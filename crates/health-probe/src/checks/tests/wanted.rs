//! What is wanted of a response, and redirects.

use meridian_model::TextMatch;

use super::*;

fn contains(text: &str) -> Option<TextMatch> {
    Some(TextMatch::Contains(text.into()))
}

fn regex(pattern: &str) -> Option<TextMatch> {
    Some(TextMatch::Regex(pattern.into()))
}

/// The failure of a check against a server that sends this, after the address; empty: a success.
async fn found(sends: &'static str, check: HttpCheck) -> String {
    let server = serve("127.0.0.1:0", Behaviour::Send(sends)).await;
    found_at(server.address, check).await
}

async fn found_at(at: SocketAddr, check: HttpCheck) -> String {
    let probe = probe(at.port(), Check::Http(Box::new(check)));
    match run(&probe, at).await.finding {
        Finding::Good => String::new(),
        Finding::Failed(cause) => {
            cause.split_once(&format!("{at}/: ")).map_or(cause.clone(), |(_, found)| found.to_owned())
        }
        other => panic!("{other:?}"),
    }
}

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nX-Release: v42\r\nContent-Type: text/plain\r\n\
                        Content-Length: 17\r\n\r\nall is ready now\n";

#[tokio::test]
async fn statuses_as_sets_and_ranges() {
    let status = |status: &[(u16, u16)]| HttpCheck { status: status.to_vec(), ..HttpCheck::default() };
    assert_eq!(found(RESPONSE, status(&[(301, 301), (200, 204)])).await, "");
    assert_eq!(found(RESPONSE, status(&[(301, 301), (404, 499)])).await, "200, wanted 301 or 404-499");
}

#[tokio::test]
async fn bodies_by_text_and_by_pattern() {
    let body = |body| HttpCheck { body, ..HttpCheck::default() };
    assert_eq!(found(RESPONSE, body(contains("ready"))).await, "");
    assert_eq!(found(RESPONSE, body(regex(r"^all is \w+ now\s*$"))).await, "");
    let wanted = r#"200, body "all is ready now\n", wanted "READY" in it"#;
    assert_eq!(found(RESPONSE, body(contains("READY"))).await, wanted);
    let wanted = r#"200, body "all is ready now\n", wanted a match of "^ready""#;
    assert_eq!(found(RESPONSE, body(regex("^ready"))).await, wanted);
    // Only so much of it is looked at, and the answer says so.
    let short = HttpCheck { body: contains("now"), max_body: 6, ..HttpCheck::default() };
    assert_eq!(found(RESPONSE, short).await, r#"200, body "all is" in 6 octets, wanted "now" in it"#);
}

/// What is compressed is not unpacked: a gzip bomb is as large as it is on the wire.
#[tokio::test]
async fn an_endless_body_is_read_up_to_its_limit_and_not_unpacked() {
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = "10\r\n\u{1f}aaaaaaaaaaaaaaa\r\n";
    let server = serve("127.0.0.1:0", Behaviour::Repeat(head, chunk, 0)).await;
    let check = HttpCheck { body: contains("b"), ..HttpCheck::default() };
    let found = found_at(server.address, check).await;
    assert!(found.starts_with("200, body ") && found.contains("in 65536 octets"), "{found}");
}

#[tokio::test]
async fn header_fields() {
    let field = |name: &str, value| HttpCheck {
        response_headers: vec![(name.into(), value)],
        ..HttpCheck::default()
    };
    assert_eq!(found(RESPONSE, field("x-release", None)).await, "");
    assert_eq!(found(RESPONSE, field("X-RELEASE", regex("^v[0-9]+$"))).await, "");
    assert_eq!(found(RESPONSE, field("x-ready", None)).await, "200 without the header field x-ready");
    let wanted = r#"200, content-type is "text/plain", wanted "json" in it"#;
    assert_eq!(found(RESPONSE, field("content-type", contains("json"))).await, wanted);
}

#[tokio::test]
async fn the_request_has_the_method_and_the_header_fields() {
    let mut server = serve("127.0.0.1:0", Behaviour::Send(RESPONSE)).await;
    let check = HttpCheck {
        method: "HEAD".into(),
        headers: vec![("x-probe".into(), "1".into()), ("user-agent".into(), "mine".into())],
        ..HttpCheck::default()
    };
    assert_eq!(found_at(server.address, check).await, "");
    let head = server.requests.recv().await.unwrap();
    assert!(head.starts_with("HEAD / HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-probe: 1\r\n") && head.contains("user-agent: mine\r\n"), "{head}");
    assert!(!head.contains("meridian-probe"), "{head}");
}

#[tokio::test]
async fn redirects_are_followed_here_and_nowhere_else() {
    let follow = |redirects| HttpCheck { redirects, ..HttpCheck::default() };
    let away = "HTTP/1.1 302 Found\r\nLocation: http://203.0.113.1/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(found(away, follow(0)).await, "302, wanted 200-299");
    assert_eq!(found(away, follow(5)).await, r#"302 to "http://203.0.113.1/", which is elsewhere"#);
    let other_scheme = "HTTP/1.1 301 Moved\r\nLocation: //203.0.113.1/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(found(other_scheme, follow(5)).await, r#"301 to "//203.0.113.1/", which is elsewhere"#);

    let round = "HTTP/1.1 302 Found\r\nLocation: /next#top\r\nContent-Length: 0\r\n\r\n";
    let mut server = serve("127.0.0.1:0", Behaviour::Send(round)).await;
    assert_eq!(found_at(server.address, follow(3)).await, "302, wanted 200-299");
    let mut asked = Vec::new();
    for _ in 0..4 {
        asked.push(server.requests.recv().await.unwrap().lines().next().unwrap().to_owned());
    }
    let next = "GET /next HTTP/1.1";
    assert_eq!(asked, ["GET / HTTP/1.1", next, next, next]);
}
