//! Restarts and reloads of the built binary: what goes on through them, and what a failing one leaves.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hickory_proto::rr::RecordType;
use http_body_util::Full;
use hyper::Request;
use meridian_tests::stream::{connect_from, exchange, framed, read_framed};
use meridian_tests::tls::{Identity, NAME, connect_tls, every_transport, https};
use meridian_tests::{
    Ask, Config, Load, Meridian, Signal, WORLD, Wire, ask_udp, binary, quic, says, scratch,
};
use quinn::ConnectionError;

const ME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A gateway without probes: `more` stands before it.
fn config(more: &str) -> String {
    let endpoints = [(WORLD[0].0, "192.0.2.10"), (WORLD[1].0, "192.0.2.20")];
    let config = Config::new().with(more).clusters(&WORLD[..2]);
    config.gateway("shop", &["shop.gslb.example"], "", &endpoints).text().to_owned()
}

fn server(keys: &str) -> String {
    config(&format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n{keys}"))
}

/// A server that takes connections and says nothing, and a configuration whose first round lasts until its probe gives up.
fn slow(data_dir: &Path, timeout: &str) -> (TcpListener, String) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let keys = format!(
        "data_dir = \"{}\"\n[health]\nisolation = false\n[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\n\
         interval = \"5s\"\ntimeout = \"{timeout}\"\n",
        data_dir.display(),
        silent.local_addr().unwrap().port()
    );
    let gateway = "[[gateways]]\nname = \"slow\"\nhostnames = [\"slow.gslb.example\"]\nprobe = \"web\"\n\
                   endpoints = [{ cluster = \"eu-west\", addresses = [\"127.0.0.1\"] }]\n";
    (silent, server(&keys) + gateway)
}

fn shop() -> Ask {
    Ask::new("shop.gslb.example.", RecordType::A).subnet("134.226.0.0", 24)
}

/// Runs a command about the server of a folder: exit code, standard output, standard error.
fn run(command: &str, data_dir: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(binary())
        .args([command, "--data-dir"])
        .arg(data_dir)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn is_good(reply: &[u8]) -> bool {
    Wire::read(reply).is_ok_and(|wire| wire.counts[1] == 1)
}

//----------- What goes on ---------------------------------------------------

#[test]
fn no_query_is_lost_by_reloads_and_restarts() {
    let mut meridian = Meridian::serve(&server(""));
    let address = meridian.address();
    let udp = Load::udp(address, 2000, vec![shop().octets()]);
    let tcp = Load::tcp(address, 4, 400, &shop().octets());
    let connecting = Load::connecting(address, 50, &shop().octets());
    for round in 1..=3 {
        let file = server("").replace("192.0.2.20", &format!("192.0.2.{}", 20 + round));
        std::fs::write(meridian.config(), file).unwrap();
        meridian.signal(Signal::SIGHUP);
        meridian.wait_for("the new configuration", |line| line["message"] == "view published");
        meridian.restart();
    }
    for answered in [udp.stop(), tcp.stop(), connecting.stop()] {
        assert!(answered.asked > 20, "{answered:?}");
        assert_eq!((answered.lost, answered.wrong), (0, 0), "{answered:?}");
    }
}

/// Where the file says so, its change is enough; one with a mistake changes nothing, once.
#[test]
fn a_change_of_the_file_is_a_reload_where_it_says_so() {
    let good = server("reload_on_change = true\n");
    let mut meridian = Meridian::serve(&good);
    let address = meridian.address();
    let answer = || ask_udp(address, &shop()).unwrap().addresses();
    assert_eq!(answer(), ["192.0.2.10"]);
    std::fs::write(meridian.config(), good.replace("192.0.2.10", "192.0.2.11")).unwrap();
    meridian.wait_for("the new file", |line| line["message"] == "view published");
    assert_eq!(answer(), ["192.0.2.11"]);
    std::fs::write(meridian.config(), "nonsense").unwrap();
    let refused = |line: &serde_json::Value| says(line, "reload refused: ");
    meridian.wait_for("a refusal", refused);
    // Replaced as a whole, by a rename.
    let next = meridian.config().with_extension("next");
    std::fs::write(&next, good.replace("192.0.2.10", "192.0.2.12")).unwrap();
    std::fs::rename(&next, meridian.config()).unwrap();
    meridian.wait_for("the next file", |line| line["message"] == "view published");
    assert_eq!(answer(), ["192.0.2.12"]);
    assert_eq!(meridian.seen.iter().filter(|line| refused(line)).count(), 1);
}

/// Each connection goes on where it was: also with half a query sent, and with none.
#[test]
fn plain_connections_go_on() {
    let mut meridian = Meridian::serve(&server(""));
    let address = meridian.address();
    let query = framed(&shop().octets());
    let mut connections: Vec<TcpStream> = [0, 1, 2, 20, query.len() - 1]
        .map(|sent| {
            let mut stream = connect_from([127, 0, 0, 1].into(), address).unwrap();
            assert!(is_good(&exchange(&mut stream, &shop().octets()).unwrap()));
            stream.write_all(&query[..sent]).unwrap();
            stream
        })
        .into();
    // A query that is too long is cut, and what is left of it passed over.
    let mut long = connect_from([127, 0, 0, 1].into(), address).unwrap();
    let long_query = framed(&[&shop().octets()[..], &[0; 9000]].concat());
    long.write_all(&long_query[..6000]).unwrap();
    read_framed(&mut long).unwrap();
    for _ in 0..2 {
        meridian.restart();
    }
    for (stream, sent) in connections.iter_mut().zip([0, 1, 2, 20, query.len() - 1]) {
        stream.write_all(&query[sent..]).unwrap();
        assert!(is_good(&read_framed(stream).unwrap()), "{sent}");
        assert!(is_good(&exchange(stream, &shop().octets()).unwrap()));
    }
    long.write_all(&long_query[6000..]).unwrap();
    assert!(is_good(&exchange(&mut long, &shop().octets()).unwrap()));
    // All that this process was asked: nobody had to connect anew.
    let totals = meridian.totals();
    assert_eq!((totals["tcp_accepted"], totals["tcp_received"]), (0, 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_connections_end_well_and_come_again() {
    let identity = Identity::new();
    let mut meridian = Meridian::serve_with_files(&every_transport(""), &identity.files());
    let [dot, doh, doh3, doq] = ["dot", "doh", "doh3", "doq"].map(|name| meridian.address_of(name));
    let query = Ask { id: 0, ..shop() }.octets();
    let request = || {
        let uri = format!("https://{NAME}/dns-query?dns={}", BASE64URL_NOPAD.encode(&query));
        Request::get(uri).body(Full::<Bytes>::default()).unwrap()
    };
    let mut old = connect_tls(ME, dot, identity.client(&["dot"])).unwrap();
    assert!(is_good(&exchange(&mut old, &query).unwrap()));
    let endpoint = quic::endpoint(ME).unwrap();
    let connection = quic::connect(&endpoint, doq, identity.client(&["doq"])).await.unwrap();
    assert!(is_good(&quic::exchange(&connection, &query).await.unwrap()));

    meridian.signal(Signal::SIGUSR2);
    meridian.wait_for("the successor", |line| line["message"] == "another process answers: leaving");
    // The old process serves TLS on, until a second passes without a query; its end is said.
    for _ in 0..3 {
        assert!(is_good(&exchange(&mut old, &query).unwrap()));
    }
    assert_eq!(old.read(&mut [0]).unwrap(), 0);
    // Two processes cannot read one socket of QUIC: its connections are closed, without an error (RFC 9250 §4.3).
    match connection.closed().await {
        ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code.into_inner(), 0),
        other => panic!("{other}"),
    }
    meridian.wait_for("its end", |line| line["message"] == "the process before this one has ended");

    let mut new = connect_tls(ME, dot, identity.client(&["dot"])).unwrap();
    assert!(is_good(&exchange(&mut new, &query).unwrap()));
    let connection = quic::connect(&endpoint, doq, identity.client(&["doq"])).await.unwrap();
    assert!(is_good(&quic::exchange(&connection, &query).await.unwrap()));
    let response = https(ME, doh, identity.client(&["h2"]), request()).await.unwrap();
    assert!(is_good(response.body()));
    let get = Request::get(request().uri().clone()).body(()).unwrap();
    let response = quic::https3(ME, doh3, identity.client(&["h3"]), get, Bytes::new()).await.unwrap();
    assert!(is_good(response.body()));
}

/// What operators said holds, before a restart and while one is under way; and the API answers all the time.
#[test]
fn what_operators_said_goes_on() {
    let folder = scratch();
    let data_dir = folder.join("data");
    let (_silent, config) = slow(&data_dir, "1500ms");
    let mut meridian = Meridian::serve(&config);
    let say = |target: &str, state: &str| {
        let output = Command::new(binary())
            .args(["override", target, state, "--reason", "a drill", "--by", "ann", "--force", "--data-dir"])
            .arg(&data_dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let answer = |meridian: &Meridian| ask_udp(meridian.address(), &shop()).unwrap().addresses();
    say("cluster/eu-*", "down");
    let (code, out, err) = run("restart", &data_dir);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.lines().last().is_some_and(|line| line.contains(" serves, after ")), "{out}");
    meridian.wait_for_successor();
    assert_eq!(answer(&meridian), ["192.0.2.20"]);

    // Said to the old process while the new one gets ready.
    meridian.signal(Signal::SIGUSR2);
    say("cluster/us-*", "down");
    meridian.wait_for_successor();
    assert!(answer(&meridian).is_empty(), "both are out");
    let (code, out, err) = run("status", &data_dir);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out.matches("ann").count(), 2, "{out}");
}

//----------- What a failing one leaves --------------------------------------

#[test]
fn a_process_that_fails_leaves_the_old_one_serving() {
    let folder = scratch();
    let data_dir = folder.join("data");
    let good = server(&format!("data_dir = \"{}\"\n", data_dir.display()));
    let mut meridian = Meridian::serve(&good);
    let id = meridian.id();
    let load = Load::udp(meridian.address(), 1000, vec![shop().octets()]);
    let mut connection = connect_from(ME, meridian.address()).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let listens = format!("listen = [\"127.0.0.1:0\", \"{taken}\"]");
    for (file, why) in [
        (good.replace("ttl", "tll") + "nonsense = 1\n", "nonsense: expected one of the keys"),
        (String::new(), "version: expected"),
        (good.replace("listen = [\"127.0.0.1:0\"]", &listens), "in use by another process"),
    ] {
        std::fs::write(meridian.config(), &file).unwrap();
        let (code, out, err) = run("restart", &data_dir);
        assert_eq!(code, Some(1), "{out}{err}");
        assert!(err.contains(why) && err.contains(&format!("process {id} serves on")), "{err}");
        meridian.wait_for("it goes on", |line| says(line, "this process serves on"));
        assert!(is_good(&exchange(&mut connection, &shop().octets()).unwrap()));
    }
    // Then one that does not.
    std::fs::write(meridian.config(), &good).unwrap();
    assert_eq!(run("restart", &data_dir).0, Some(0));
    meridian.wait_for_successor();
    assert_ne!(meridian.id(), id);
    let answered = load.stop();
    assert_eq!((answered.lost, answered.wrong), (0, 0), "{answered:?}");
}

/// The old one is killed while the new one gets ready: that has its sockets, and goes on.
#[test]
fn what_a_killed_process_leaves_is_taken() {
    let folder = scratch();
    let data_dir = folder.join("data");
    let mut meridian = Meridian::serve(&server(&format!("data_dir = \"{}\"\n", data_dir.display())));
    let address = meridian.address();
    let (_silent, config) = slow(&data_dir, "2s");
    std::fs::write(meridian.config(), config).unwrap();
    meridian.signal(Signal::SIGUSR2);
    meridian.wait_for_killed_predecessor();
    // What came in between waited in the sockets.
    assert_eq!(ask_udp(address, &shop()).unwrap().addresses(), ["192.0.2.10"]);
    let (code, out, err) = run("status", &data_dir);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    // It can be followed as any other.
    meridian.restart();
    assert_eq!(ask_udp(address, &shop()).unwrap().addresses(), ["192.0.2.10"]);
}

/// While one process gets ready no other is started, and the end of the old one is the end of both.
#[test]
fn one_successor_at_a_time() {
    let folder = scratch();
    let data_dir = folder.join("data");
    let mut meridian = Meridian::serve(&server(&format!("data_dir = \"{}\"\n", data_dir.display())));
    let (_silent, config) = slow(&data_dir, "4s");
    std::fs::write(meridian.config(), config).unwrap();
    meridian.signal(Signal::SIGUSR2);
    meridian.wait_for("its start", |line| line["message"] == "a process is started to take over");
    let (code, _, err) = run("restart", &data_dir);
    assert_eq!(code, Some(1));
    assert!(err.contains("is getting ready to take over"), "{err}");
    meridian.signal(Signal::SIGTERM);
    // Nobody holds the pipe of its log any more.
    assert!(meridian.wait().success());
    assert!(!meridian.seen.iter().any(|line| line["message"] == "another process answers: leaving"));
}

/// Every issue goes to who asked, and nothing changes; a good file says what it has.
#[test]
fn a_reload_says_what_came_of_it() {
    let folder = scratch();
    let data_dir = folder.join("data");
    let good = server(&format!("data_dir = \"{}\"\n", data_dir.display()));
    let meridian = Meridian::serve(&good);
    let reloaded = "reloaded: 1 gateways, 0 addresses to probe; in force after the first round of new ones\n";
    assert_eq!(run("reload", &data_dir), (Some(0), reloaded.to_owned(), String::new()));
    std::fs::write(meridian.config(), good.clone() + "one = 1\ntwo = 2\n").unwrap();
    let (code, out, err) = run("reload", &data_dir);
    assert_eq!((code, out.as_str()), (Some(64), ""));
    assert!(err.contains("one: expected") && err.contains("two: expected"), "{err}");
    assert!(err.ends_with("meridian: the configuration before it stays in force\n"), "{err}");
    std::fs::write(meridian.config(), good.replace("workers = 2", "workers = 1")).unwrap();
    let (code, _, err) = run("reload", &data_dir);
    assert_eq!(code, Some(0));
    assert!(err.contains("[server] has changed: that takes effect with `meridian restart`"), "{err}");
    let (code, _, err) = run("reload", &folder.join("nobody"));
    assert_eq!(code, Some(1));
    assert!(err.contains("no server there"), "{err}");
}
