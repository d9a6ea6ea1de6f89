//! The built binary with clusters that are killed and mended, asked by our own client.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use meridian_tests::{
    Ask, Cluster, Config, Meridian, Process, Signal, Site, WORLD, ask_tcp, ask_udp, says, signal,
};

/// A client near each cluster of [`WORLD`].
const CLIENTS: [&str; 3] = ["134.226.0.0", "8.8.8.0", "133.11.0.0"];

fn config(site: &Site, listen: &str, probe: &str) -> String {
    let addresses = [1, 2, 3].map(|host| site.address(host).to_string());
    let endpoints: Vec<(&str, &str)> =
        WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
    // All are killed faster here than one by one.
    let probe = format!(
        "[health]\nisolation = false\n[[probes]]\nname = \"web\"\ntype = \"{probe}\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\nrise = 2\nhold_down = \"10s\"\n",
        site.port
    );
    Config::new()
        .with(&format!("[server]\nlisten = [{listen}]\nworkers = 2\n"))
        .with(&probe)
        .clusters(&WORLD)
        .gateway("shop", &["shop.gslb.example", "*.shop.gslb.example"], "probe = \"web\"\n", &endpoints)
        .text()
        .to_owned()
}

fn three(site: &Site) -> [Cluster; 3] {
    [site.cluster(1), site.cluster(2), site.cluster(3)]
}

/// Asks for a client, over UDP and TCP, which must agree.
fn answer(server: SocketAddr, client: &str) -> (Vec<String>, Option<u32>) {
    let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(client, 24);
    let udp = ask_udp(server, &ask).unwrap();
    let tcp = ask_tcp(server, &ask).unwrap();
    assert_eq!(udp.octets, tcp.octets);
    (udp.addresses(), udp.ttl())
}

const LOOPBACK: &str = "\"127.0.0.1:0\"";

/// Kill a cluster, the answer moves; mend it, it moves back; kill all, the fallback.
#[test]
fn failover_and_back() {
    for probe in ["http", "tcp"] {
        let site = Site::new();
        let mut clusters = three(&site);
        let ip = |host: u8| site.address(host).to_string();
        let mut meridian = Meridian::serve(&config(&site, LOOPBACK, probe));
        let server = meridian.address();
        for (host, client) in (1..).zip(CLIENTS) {
            assert_eq!(answer(server, client), (vec![ip(host)], Some(30)));
        }

        clusters[0].kill();
        let transition = meridian.wait_for_verdict(&ip(1), "unhealthy");
        let cause = transition["cause"].as_str().unwrap();
        assert!(cause.contains(&ip(1)) && cause.contains("refused") && cause.contains("2nd of 2"), "{cause}");
        assert_eq!(transition["observed"], "unhealthy");
        // Dublin's clients go to Virginia, with the short TTL; Tokyo's notice nothing.
        assert_eq!(answer(server, CLIENTS[0]), (vec![ip(2)], Some(5)));
        assert_eq!(answer(server, CLIENTS[2]), (vec![ip(3)], Some(30)));

        clusters[0].mend();
        meridian.wait_for_verdict(&ip(1), "healthy");
        assert_eq!(answer(server, CLIENTS[0]), (vec![ip(1)], Some(5)));

        for (host, cluster) in (1..).zip(&mut clusters) {
            cluster.kill();
            meridian.wait_for_verdict(&ip(host), "unhealthy");
        }
        // All down: as though all were healthy.
        assert_eq!(answer(server, CLIENTS[2]), (vec![ip(3)], Some(5)));
        meridian.signal(Signal::SIGTERM);
        assert_eq!(meridian.wait().code(), Some(0));
    }
}

/// What is down at the start is known to be before the first answer.
#[test]
fn the_first_round_comes_before_the_first_answer() {
    let site = Site::new();
    let _others = [site.cluster(2), site.cluster(3)];
    let meridian = Meridian::serve(&config(&site, LOOPBACK, "http"));
    let (addresses, ttl) = answer(meridian.address(), CLIENTS[0]);
    assert_eq!((addresses, ttl), (vec![site.address(2).to_string()], Some(30)));
}

/// A file with a mistake, or a broken database, changes nothing; a good one comes into force.
#[test]
fn reload_keeps_the_last_good_state() {
    let site = Site::new();
    let _clusters = three(&site);
    let text = config(&site, LOOPBACK, "http");
    let mut meridian = Meridian::serve(&text);
    let server = meridian.address();
    let database = meridian.config().with_file_name("broken.mmdb");
    std::fs::write(&database, "no database").unwrap();
    let broken = format!("{text}[geoip]\ndatabases = [\"broken.mmdb\"]\n");
    for (bad, wanted) in [
        (text.replace("shop.gslb.example\"", "shop.elsewhere\""), "gateways[0].hostnames[0]"),
        (broken, "geoip.databases[0]"),
        (String::new(), "version"),
    ] {
        std::fs::write(meridian.config(), bad).unwrap();
        meridian.signal(Signal::SIGHUP);
        meridian.wait_for(wanted, |line| {
            line["level"] == "ERROR"
                && line["message"].as_str().is_some_and(|message| message.contains(wanted))
        });
        meridian.wait_for("refused", |line| says(line, "reload refused"));
        assert_eq!(answer(server, CLIENTS[1]), (vec![site.address(2).to_string()], Some(30)));
    }
    let good = text.replace("\"*.shop.gslb.example\"", "\"new.gslb.example\"");
    std::fs::write(meridian.config(), good).unwrap();
    meridian.signal(Signal::SIGHUP);
    meridian.wait_for("reloaded", |line| says(line, "reloaded"));
    meridian.wait_for("a view", |line| line["message"] == "view published");
    let new = ask_udp(server, &Ask::new("new.gslb.example.", RecordType::A)).unwrap();
    assert_eq!(new.message.response_code, ResponseCode::NoError);
    assert_eq!(new.addresses().len(), 1);
    let gone = ask_udp(server, &Ask::new("x.shop.gslb.example.", RecordType::A)).unwrap();
    assert_eq!(gone.message.response_code, ResponseCode::NXDomain);
}

/// A stranger's packets never cause a line a packet, and never stop the server.
#[test]
fn a_flood_of_rubbish_is_silent() {
    let site = Site::new();
    let mut clusters = three(&site);
    let mut meridian = Meridian::serve(&config(&site, LOOPBACK, "http"));
    let server = meridian.address();
    let before = meridian.seen.len();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..5_000 {
        let mut packet = vec![0; random.usize(0..200)];
        random.fill(&mut packet);
        socket.send_to(&packet, server).unwrap();
    }
    clusters[0].kill();
    meridian.wait_for_verdict(&site.address(1).to_string(), "unhealthy");
    assert_eq!(answer(server, CLIENTS[0]).0, [site.address(2).to_string()]);
    let lines = meridian.seen.len() - before;
    assert!(lines < 20, "{lines} lines: {:#?}", &meridian.seen[before..]);
}

/// Whoever reads the log and stops doing so stops nothing: answers and failover go on.
#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    let site = Site::new();
    let mut clusters = three(&site);
    let server = SocketAddr::from((site.address(200), site.port));
    let (unread, mut full) = std::io::pipe().unwrap();
    // What a pipe holds on Linux: the first line of log would block.
    full.write_all(&[b'\n'; 65536]).unwrap();
    let folder = meridian_tests::scratch();
    let file = folder.join("meridian.toml");
    std::fs::write(&file, config(&site, &format!("\"{server}\""), "http")).unwrap();
    let mut command = std::process::Command::new(meridian_tests::binary());
    command.args(["serve", "--log-level", "trace", "--config"]).arg(&file).stderr(full);
    let mut meridian = Process(command.spawn().unwrap());
    // The command holds its end of the pipe as well.
    drop(command);
    let until = |wanted: u8| {
        for _ in 0..400 {
            let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(CLIENTS[0], 24);
            let got = ask_udp(server, &ask).map(|asked| asked.addresses());
            if got.is_ok_and(|addresses| addresses == [site.address(wanted).to_string()]) {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("no answer with cluster {wanted} in 10 s");
    };
    until(1);
    clusters[0].kill();
    until(2);
    signal(&meridian.0, Signal::SIGTERM);
    let ended = (0..400).find_map(|_| {
        std::thread::sleep(Duration::from_millis(25));
        meridian.0.try_wait().unwrap()
    });
    // It ends without its last lines rather than not at all.
    assert_eq!(ended.expect("SIGTERM ends it in 10 s").code(), Some(0));
    drop(unread);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// SIGTERM drains: what had arrived is answered, an idle connection is closed, the exit code is 0.
#[test]
fn sigterm_answers_what_has_arrived() {
    let site = Site::new();
    let _clusters = three(&site);
    let mut meridian = Meridian::serve(&config(&site, LOOPBACK, "http"));
    let mut idle = TcpStream::connect(meridian.address()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for id in 0..100 {
        let mut ask = Ask::new("shop.gslb.example.", RecordType::A);
        ask.id = id;
        socket.send_to(&ask.octets(), meridian.address()).unwrap();
    }
    meridian.signal(Signal::SIGTERM);
    let mut ids: Vec<u16> = (0..100)
        .map(|_| {
            let mut reply = [0; 512];
            socket.recv(&mut reply).unwrap();
            u16::from_be_bytes([reply[0], reply[1]])
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<u16>>());
    idle.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(!matches!(idle.read(&mut [0]), Ok(1..)));
    assert_eq!(meridian.wait().code(), Some(0));
    assert!(meridian.seen.iter().any(|line| line["message"] == "stopped" && line["drained"] == true));
}

/// Every address of a wildcard socket answers from itself; IPv6 is served as IPv4 is.
#[test]
fn replies_come_from_the_address_that_was_asked() {
    let site = Site::new();
    let _clusters = three(&site);
    let meridian = Meridian::serve(&config(&site, "\"0.0.0.0:0\", \"[::1]:0\"", "http"));
    let port = meridian.addresses[0].port();
    let ask = Ask::new("shop.gslb.example.", RecordType::A);
    for host in [1, 77, 200] {
        // The client's socket is connected: it takes no reply from elsewhere.
        let server = (IpAddr::from([127, 0, 0, host]), port).into();
        assert_eq!(ask_udp(server, &ask).unwrap().addresses().len(), 1);
        assert_eq!(ask_tcp(server, &ask).unwrap().addresses().len(), 1);
    }
    let v6 = meridian.addresses[1];
    assert!(v6.is_ipv6());
    assert_eq!(ask_udp(v6, &ask).unwrap().addresses().len(), 1);
    assert_eq!(ask_tcp(v6, &ask).unwrap().addresses().len(), 1);
}

/// Statement 59: octet by octet, and many queries in one segment. Statement 61: a half-close.
#[test]
fn s59_s61_rfc7766_6_2_1_1_tcp_framing() {
    let site = Site::new();
    let _clusters = three(&site);
    let meridian = Meridian::serve(&config(&site, LOOPBACK, "http"));
    let mut framed = Vec::new();
    for id in 0..50 {
        let mut ask = Ask::new("shop.gslb.example.", RecordType::A);
        ask.id = id;
        let query = ask.octets();
        framed.extend_from_slice(&u16::try_from(query.len()).unwrap().to_be_bytes());
        framed.extend_from_slice(&query);
    }
    let ids = |mut stream: TcpStream| {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let (mut rest, mut ids) = (&all[..], Vec::new());
        while let [a, b, reply @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*a, *b]));
            ids.push(u16::from_be_bytes([reply[0], reply[1]]));
            rest = &reply[length..];
        }
        ids
    };
    let mut whole = TcpStream::connect(meridian.address()).unwrap();
    whole.write_all(&framed).unwrap();
    assert_eq!(ids(whole), (0..50).collect::<Vec<u16>>());
    let mut slow = TcpStream::connect(meridian.address()).unwrap();
    slow.set_nodelay(true).unwrap();
    for octet in &framed[..framed.len() / 50 * 2] {
        slow.write_all(&[*octet]).unwrap();
    }
    assert_eq!(ids(slow), [0, 1]);
}
