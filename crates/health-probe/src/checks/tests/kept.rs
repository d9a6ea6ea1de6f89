//! `keep_alive`: one connection from check to check, and what may happen to it meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use meridian_model::{HttpVersion, TextMatch, Tls};

use super::tls::{Authority, https, trusting};
use super::*;
use crate::limits::CONNECTION_KEPT_FOR_MAX;

//----------- Servers -----------------------------------------------------------

/// What a server does with the next request of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    Answers(&'static str),
    /// And closes.
    Ends(&'static str),
}

pub(super) struct Counting {
    pub(super) at: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Counting {
    /// On every address of 127.0.0.0/8. Does the first with the first request of a connection, and so on; the last with all after it.
    pub(super) async fn start(does: &'static [Does]) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let at = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    for next in does.iter().chain(std::iter::repeat(does.last().unwrap())) {
                        if read_head(&mut stream).await.is_empty() {
                            return;
                        }
                        let (Does::Answers(text) | Does::Ends(text)) = next;
                        let sent = stream.write_all(text.as_bytes()).await;
                        if sent.is_err() || matches!(next, Does::Ends(_)) {
                            return;
                        }
                    }
                });
            }
        });
        Self { at, accepted }
    }

    /// Passes what comes on to another server.
    async fn before(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut behind = TcpStream::connect(behind).await.unwrap();
                    let _ended = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        Self { at, accepted }
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// What each of so many checks in a row found, one made ready.
async fn findings(at: SocketAddr, check: HttpCheck, count: usize) -> Vec<Finding> {
    let probe = probe(at.port(), Check::Http(Box::new(check)));
    let prepared = Prepared::new(&NetworkChecker, Arc::new(probe));
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(check::run(&NetworkChecker, &prepared, at).await.finding);
    }
    found
}

fn keep_alive() -> HttpCheck {
    HttpCheck { keep_alive: true, ..HttpCheck::default() }
}

/// The findings of so many checks, and how many connections they took.
async fn kept(does: &'static [Does], check: HttpCheck, count: usize) -> (Vec<Finding>, usize) {
    let server = Counting::start(does).await;
    let found = findings(server.at, check, count).await;
    (found, server.accepted())
}

const BODY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
const DOWN: &str = "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nno\n";

//----------- Over and over ------------------------------------------------------

#[tokio::test]
async fn checks_share_a_connection_if_they_may() {
    let good = |count| vec![Finding::Good; count];
    for text in [OK, BODY, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n"] {
        let does: &'static [Does] = vec![Does::Answers(text)].leak();
        assert_eq!(kept(does, keep_alive(), 5).await, (good(5), 1), "{text:?}");
        assert_eq!(kept(does, HttpCheck::default(), 5).await, (good(5), 5), "by default none is kept");
    }
    let wants_body = HttpCheck { body: Some(TextMatch::Contains("ok".into())), ..keep_alive() };
    assert_eq!(kept(&[Does::Answers(BODY)], wants_body, 5).await, (good(5), 1));
}

#[tokio::test]
async fn failures_share_it_too() {
    let (found, accepted) = kept(&[Does::Answers(DOWN), Does::Answers(OK)], keep_alive(), 3).await;
    assert!(
        matches!(&found[0], Finding::Failed(cause) if cause.ends_with("503, wanted 200-299")),
        "{found:?}"
    );
    assert_eq!((&found[1..], accepted), (&[Finding::Good, Finding::Good][..], 1));
}

#[tokio::test]
async fn over_tls_and_http2_and_the_certificate_is_looked_at_each_time() {
    let ours = Authority::new();
    let server = https(&ours.issue("shop.example", |_| {}), None).await;
    for (version, word) in [(HttpVersion::Http1, "HTTP/1.1"), (HttpVersion::Http2, "HTTP/2.0")] {
        let proxy = Counting::before(server).await;
        let tls = Tls { certificate_days: 1_000_000, ..trusting(&ours, Some("shop.example")) };
        let body = Some(TextMatch::Contains(word.into()));
        let check = HttpCheck { version, tls: Some(tls), body, ..keep_alive() };
        let found = findings(proxy.at, check, 3).await;
        assert!(found.iter().all(|found| matches!(found, Finding::Degraded(_))), "{found:?}");
        assert_eq!(proxy.accepted(), 1, "{word}");
    }
}

//----------- Ends ---------------------------------------------------------------

#[tokio::test]
async fn a_server_that_closes_meanwhile_is_asked_over_a_new_one() {
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    for does in [
        // With a word, without one, and when the next request comes.
        &[Does::Ends(close)][..],
        &[Does::Ends(OK)][..],
        &[Does::Answers(OK), Does::Ends("")][..],
    ] {
        let does: &'static [Does] = does.to_vec().leak();
        let (found, accepted) = kept(does, keep_alive(), 4).await;
        assert_eq!((found, accepted), (vec![Finding::Good; 4], 4), "{does:?}");
    }
}

#[tokio::test]
async fn a_new_connection_that_fails_is_a_failure_and_so_is_half_an_answer() {
    let (found, accepted) = kept(&[Does::Ends("")], keep_alive(), 2).await;
    assert!(found.iter().all(|found| matches!(found, Finding::Failed(_))), "{found:?}");
    assert_eq!(accepted, 2, "one try a check");
    let half = &[Does::Answers(OK), Does::Ends("HTTP/1.1 2")];
    let (found, accepted) = kept(half, keep_alive(), 2).await;
    assert!(matches!(&found[..], [Finding::Good, Finding::Failed(_)]), "{found:?}");
    assert_eq!(accepted, 1, "it had begun to answer");
}

#[tokio::test]
async fn a_rest_that_does_not_come_costs_the_connection_and_not_the_check() {
    let (found, accepted) =
        kept(&[Does::Answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")], keep_alive(), 2).await;
    assert_eq!((found, accepted), (vec![Finding::Good; 2], 2));
    let long: &'static str =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)).leak();
    let (found, accepted) = kept(vec![Does::Answers(long)].leak(), keep_alive(), 2).await;
    assert_eq!((found, accepted), (vec![Finding::Good; 2], 2));
}

/// Also where the probe has hardly more time than the response took.
#[tokio::test]
async fn a_rest_that_does_not_come_is_not_waited_for_up_to_the_deadline() {
    let server = Counting::start(&[Does::Answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")]).await;
    let probe = Probe {
        timeout: Duration::from_millis(120),
        ..probe(server.at.port(), Check::Http(Box::new(keep_alive())))
    };
    let outcome = run(&probe, server.at).await;
    assert!(outcome.latency < Duration::from_millis(120) || outcome.finding == Finding::Good, "{outcome:?}");
}

#[tokio::test]
async fn a_connection_is_not_kept_for_ever() {
    let server = Counting::start(&[Does::Answers(OK)]).await;
    let probe = probe(server.at.port(), Check::Http(Box::new(keep_alive())));
    let prepared = Prepared::new(&NetworkChecker, Arc::new(probe));
    for (wait, accepted) in [
        (Duration::ZERO, 1),
        (CONNECTION_KEPT_FOR_MAX - Duration::from_secs(1), 1),
        (CONNECTION_KEPT_FOR_MAX, 2),
    ] {
        tokio::time::pause();
        tokio::time::advance(wait).await;
        tokio::time::resume();
        assert_eq!(check::run(&NetworkChecker, &prepared, server.at).await.finding, Finding::Good);
        assert_eq!(server.accepted(), accepted, "after {wait:?}");
    }
}
