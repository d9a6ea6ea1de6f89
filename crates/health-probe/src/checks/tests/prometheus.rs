//! Queries to servers that answer as Prometheus does, or do not; the real one is asked in `tests/`.

use meridian_model::{Bounds, Finite, PrometheusCheck};

use super::*;

//----------- Probes --------------------------------------------------------------

const QUERY: &str = r#"up{instance="{address}:{port}"} > bool 0"#;

fn query(server: SocketAddr, bounds: (Option<f64>, Option<f64>)) -> Check {
    let finite = |bound: Option<f64>| bound.map(|bound| Finite::new(bound).unwrap());
    Check::Prometheus(Box::new(PrometheusCheck {
        url: format!("http://{server}/prom/").into(),
        query: QUERY.into(),
        headers: vec![("x-scope-orgid".into(), "shop".into())],
        tls: meridian_model::Tls::default(),
        wanted: Bounds { min: finite(bounds.0), max: finite(bounds.1) },
        preferred: Bounds::default(),
    }))
}

const TARGET: &str = "192.0.2.10:9100";

/// What is found of the target, behind what was asked.
async fn found(server: SocketAddr, check: Check) -> Finding {
    let outcome = run(&Probe { timeout: SHORT * 10, ..probe(9100, check) }, TARGET.parse().unwrap()).await;
    let prefix = format!("query to http://{server}/prom/ about 192.0.2.10: ");
    outcome.finding.map(|cause| cause.strip_prefix(&prefix).unwrap_or_else(|| panic!("{cause}")).to_owned())
}

const AT_LEAST: (Option<f64>, Option<f64>) = (Some(0.5), None);

/// What is found with at least 0.5 wanted, where the server answers with this status and body.
async fn answered(status: &str, body: &str) -> Finding {
    answered_within(status, body, AT_LEAST).await
}

async fn answered_within(status: &str, body: &str, bounds: (Option<f64>, Option<f64>)) -> Finding {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).leak();
    let server = serve("127.0.0.1:0", Behaviour::Send(response)).await;
    found(server.address, query(server.address, bounds)).await
}

fn vector(values: &[&str]) -> String {
    let sample = |value| format!(r#"{{"metric":{{"instance":"x"}},"value":[1435781451.781,"{value}"]}}"#);
    let samples: Vec<String> = values.iter().map(sample).collect();
    let samples = samples.join(",");
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}},"warnings":[]}}"#)
}

fn failed(why: &str) -> Finding {
    Finding::Failed(why.to_owned())
}

fn no_data(why: &str) -> Finding {
    Finding::NoData(why.to_owned())
}

//----------- Values ---------------------------------------------------------------

#[tokio::test]
async fn a_value_within_its_bounds() {
    let within = async |value, bounds| answered_within("200 OK", &vector(&[value]), bounds).await;
    for value in ["0.5", "1", "1e3", "+Inf"] {
        assert_eq!(within(value, AT_LEAST).await, Finding::Good, "{value}");
    }
    assert_eq!(within("0.25", AT_LEAST).await, failed("0.25, wanted at least 0.5"));
    assert_eq!(within("-Inf", AT_LEAST).await, failed("-inf, wanted at least 0.5"));
    let both = (Some(0.5), Some(2.0));
    assert_eq!(within("2", both).await, Finding::Good, "both ends included");
    assert_eq!(within("2.5", both).await, failed("2.5, wanted 0.5 to 2"));
    assert_eq!(within("3", (None, Some(2.0))).await, failed("3, wanted at most 2"));
}

#[tokio::test]
async fn every_sample_must_be_within_them() {
    assert_eq!(answered("200 OK", &vector(&["1", "0.5"])).await, Finding::Good);
    let some = answered("200 OK", &vector(&["1", "0.1", "NaN", "0.2"])).await;
    assert_eq!(some, failed("0.1 (2 of 4 samples), wanted at least 0.5"));
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"0.75"]}}"#;
    assert_eq!(answered("200 OK", scalar).await, Finding::Good);
}

/// Beyond the bounds that are preferred and within those that are wanted.
#[tokio::test]
async fn a_value_that_makes_others_preferred() {
    let bounds = |min, max| Bounds { min: Finite::new(min), max: Finite::new(max) };
    for (values, wanted) in [
        (&["1.5"][..], Finding::Good),
        (&["2.5"], Finding::Degraded("2.5, wanted 1 to 2".to_owned())),
        (&["2", "0.5"], Finding::Degraded("0.5 (1 of 2 samples), wanted 1 to 2".to_owned())),
        (&["2.5", "9"], failed("9 (1 of 2 samples), wanted 0 to 3")),
        (&["2.5", "NaN"], no_data("NaN, wanted a number")),
    ] {
        let body = vector(values);
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).leak();
        let server = serve("127.0.0.1:0", Behaviour::Send(response)).await;
        let Check::Prometheus(check) = query(server.address, AT_LEAST) else { panic!("another check") };
        let check = PrometheusCheck { wanted: bounds(0.0, 3.0), preferred: bounds(1.0, 2.0), ..*check };
        assert_eq!(found(server.address, Check::Prometheus(Box::new(check))).await, wanted, "{values:?}");
    }
}

/// Whatever is no number says neither one nor the other.
#[tokio::test]
async fn what_says_nothing_is_no_data() {
    for (status, body, wanted) in [
        ("200 OK", &*vector(&[]), "no sample"),
        ("200 OK", &vector(&["1", "NaN"]), "NaN, wanted a number"),
        ("200 OK", &vector(&["one"]), r#""one", wanted a number"#),
        (
            "200 OK",
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#,
            "a histogram, wanted a number",
        ),
        (
            "200 OK",
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            "a range of values, wanted a vector or a scalar",
        ),
        (
            "200 OK",
            r#"{"status":"success","data":{"resultType":"string","result":[1,"1"]}}"#,
            "a string, wanted a vector or a scalar",
        ),
        ("200 OK", r#"{"status":"success"}"#, "no data"),
        ("200 OK", r#"{"status":"error","error":"x"}"#, "error: x"),
        (
            "422 Unprocessable",
            "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"many\\nlines\"}",
            "422, execution: many lines",
        ),
        ("503 Service Unavailable", "no healthy upstream", "503, wanted 200"),
        ("302 Found\r\nLocation: http://203.0.113.1/", "", "302, wanted 200"),
    ] {
        assert_eq!(answered(status, body).await, no_data(wanted), "{body}");
    }
    let Finding::NoData(why) = answered("200 OK", "<html>").await else { panic!("data") };
    assert!(why.starts_with("200 without the result of a query: "), "{why}");
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_says_nothing_of_the_target() {
    let (_socket, at) = refused();
    assert_eq!(found(at, query(at, AT_LEAST)).await, no_data("connection refused"));
    let silent = serve("127.0.0.1:0", Behaviour::Send("")).await;
    assert_eq!(found(silent.address, query(silent.address, AT_LEAST)).await, no_data("no answer within 1s"));
    let chunk: &'static str = "a\r\n          \r\n";
    let endless = Behaviour::Repeat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, 0);
    let endless = serve("127.0.0.1:0", endless).await;
    let wanted = no_data("a response of over 65536 octets");
    assert_eq!(found(endless.address, query(endless.address, AT_LEAST)).await, wanted);
    // A failure is wanted: of no data there is still none.
    let probe = Probe { invert: true, ..probe(9100, query(at, AT_LEAST)) };
    assert!(matches!(run(&probe, TARGET.parse().unwrap()).await.finding, Finding::NoData(_)));
}

//----------- Requests ----------------------------------------------------------------

#[tokio::test]
async fn the_request_names_the_target() {
    let body = vector(&["1"]);
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).leak();
    let mut server = serve("127.0.0.1:0", Behaviour::Send(response)).await;
    assert_eq!(found(server.address, query(server.address, AT_LEAST)).await, Finding::Good);
    let request = server.requests.recv().await.unwrap();
    let line = request.lines().next().unwrap();
    let wanted = "GET /prom/api/v1/query?query=up%7Binstance%3D%22192.0.2.10%3A9100%22%7D+%3E+bool+0\
                  &timeout=1000ms HTTP/1.1";
    assert_eq!(line, wanted);
    let request = request.to_ascii_lowercase();
    for line in ["x-scope-orgid: shop", "user-agent: meridian-probe", &format!("host: {}", server.address)] {
        assert!(request.lines().any(|sent| sent == line), "{line} in {request}");
    }
    assert!(!request.contains("accept-encoding"), "nothing is unpacked: {request}");
}

/// A connection serves the checks of all targets that come one after the other.
#[tokio::test]
async fn connections_are_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (accepted_in, mut accepted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            accepted_in.send(()).unwrap();
            tokio::spawn(async move {
                let body = vector(&["1"]);
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                while !read_head(&mut stream).await.is_empty() {
                    stream.write_all(response.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let prepared = Prepared::new(&NetworkChecker, Arc::new(probe(9100, query(at, AT_LEAST))));
    for target in ["192.0.2.10:9100", "192.0.2.11:9100", "[2001:db8::1]:9100"] {
        let outcome = check::run(&NetworkChecker, &prepared, target.parse().unwrap()).await;
        assert_eq!(outcome.finding, Finding::Good);
    }
    accepted.recv().await.unwrap();
    assert!(accepted.try_recv().is_err(), "one connection");
}

#[tokio::test]
async fn over_tls_who_is_trusted_and_by_its_name() {
    use super::tls::{Authority, terminate};
    let body = vector(&["1"]);
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).leak();
    let server = serve("127.0.0.1:0", Behaviour::Send(response)).await;
    let ours = Authority::new();
    let at = terminate(&ours.issue("localhost", |_| {}), server.address).await;
    let found = async |host: &str, tls| {
        let Check::Prometheus(check) = query(at, AT_LEAST) else { panic!("another check") };
        let url = format!("https://{host}:{}", at.port()).into();
        let check = Check::Prometheus(Box::new(PrometheusCheck { url, tls, ..*check }));
        run(&probe(9100, check), TARGET.parse().unwrap()).await.finding
    };
    let trusting = || super::tls::trusting(&ours, None);
    // Its name is looked up, by the system.
    assert_eq!(found("localhost", trusting()).await, Finding::Good);
    let insecure = meridian_model::Tls { verify: false, ..meridian_model::Tls::default() };
    assert_eq!(found("127.0.0.1", insecure).await, Finding::Good);
    for (host, tls) in [("127.0.0.1", trusting()), ("localhost", meridian_model::Tls::default())] {
        let Finding::NoData(cause) = found(host, tls).await else { panic!("data") };
        assert!(cause.contains("invalid peer certificate"), "{cause}");
    }
}

/// As for HTTP probes: in a process of its own, with a proxy that nobody could reach.
#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let mut tests = Command::new(env::current_exe().unwrap());
    tests.args(["--exact", "checks::tests::prometheus::every_sample_must_be_within_them"]);
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        tests.env(name, "http://127.0.0.1:1");
    }
    let output = tests.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
