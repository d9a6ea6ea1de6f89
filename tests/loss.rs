//! Fifty thousand queries a second through reloads and restarts: none is lost. Alone on its machine, with figures;
//! `cargo test --package meridian-tests --test loss -- --nocapture --test-threads 1`.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{
    Answered, Ask, Cluster, Config, Load, Meridian, Signal, Site, WORLD, now, says, scratch,
};

/// Queries a second over UDP.
const RATE: u32 = 50_000;
/// Over TCP: on connections that stay, and on one for each query.
const TCP_RATE: u32 = 1000;
const CONNECT_RATE: u32 = 200;
const RELOADS: u32 = 20;
const RESTARTS: u32 = 5;
const TIME: Duration = Duration::from_mins(1);
const GATEWAYS: u32 = 100;

/// Two clusters, and a probe of them.
fn probed(site: &Site, probe: &str) -> Config {
    let probe = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[health]\nisolation = false\n[[probes]]\nname = \"web\"\n\
         type = \"http\"\nport = {}\n{probe}",
        site.port
    );
    Config::new().with(&probe).clusters(&WORLD[..2])
}

/// Gateways that are probed in two clusters; the last octet of their addresses says which file it is.
fn config(site: &Site, last: u32) -> String {
    let mut config = probed(site, "interval = \"500ms\"\ntimeout = \"400ms\"\n");
    let checked = [1, 2].map(|host| site.address(host).to_string());
    let shop = [(WORLD[0].0, checked[0].as_str()), (WORLD[1].0, checked[1].as_str())];
    config = config.gateway("shop", &["shop.gslb.example"], "probe = \"web\"\n", &shop);
    for number in 0..GATEWAYS {
        let ip = |net: u8| Ipv4Addr::from(u32::from(net) << 24 | number << 8 | last).to_string();
        let addresses = [ip(10), ip(11)];
        let endpoints = [(WORLD[0].0, addresses[0].as_str()), (WORLD[1].0, addresses[1].as_str())];
        config = config.gateway(&format!("g{number}"), &[&format!("g{number}.gslb.example")], "", &endpoints);
    }
    config.text().to_owned()
}

fn questions() -> Vec<Vec<u8>> {
    let steered = (0..GATEWAYS).map(|number| {
        Ask::new(&format!("g{number}.gslb.example."), RecordType::A).subnet("134.226.0.0", 24).octets()
    });
    steered.chain([Ask::new("shop.gslb.example.", RecordType::A).octets()]).collect()
}

struct Line(&'static str, Answered);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, Answered { asked, lost, wrong, p50, p99, longest }) = self;
        write!(
            f,
            "{what}: {lost} of {asked} lost, {wrong} wrong; half within {p50:?}, 99 % {p99:?}, all {longest:?}"
        )
    }
}

#[test]
fn nothing_is_lost_in_a_minute_of_reloads_and_restarts() {
    let site = Site::new();
    let _clusters: [Cluster; 2] = [1, 2].map(|host| site.cluster(host));
    let mut meridian = Meridian::serve(&config(&site, 1));
    let address = meridian.address();
    let udp = Load::udp(address, RATE, questions());
    let tcp = Load::tcp(address, 10, TCP_RATE, &questions()[0]);
    let connecting = Load::connecting(address, CONNECT_RATE, &questions()[0]);
    let began = now();
    for turn in 1..=RELOADS {
        sleep((TIME * turn / (RELOADS + 1)).saturating_sub(began.elapsed()));
        std::fs::write(meridian.config(), config(&site, 1 + turn)).unwrap();
        meridian.signal(Signal::SIGHUP);
        meridian.wait_for("the new file", |line| says(line, "reloaded: "));
        if turn % (RELOADS / RESTARTS) == 0 {
            meridian.restart();
        }
    }
    sleep(TIME.saturating_sub(began.elapsed()));
    let all = [
        Line("UDP", udp.stop()),
        Line("TCP, connections that stay", tcp.stop()),
        Line("TCP, a connection each", connecting.stop()),
    ];
    println!(
        "{RELOADS} reloads, {RESTARTS} restarts, {RATE} + {TCP_RATE} + {CONNECT_RATE} queries a second for {TIME:?}"
    );
    for line in &all {
        println!("{line}");
    }
    // What the machine could not send is no proof: most of it must have been asked.
    assert!(all[0].1.asked > u64::from(RATE) * TIME.as_secs() * 9 / 10, "this machine cannot send as much");
    for Line(what, answered) in &all {
        assert_eq!((answered.lost, answered.wrong), (0, 0), "{what}");
    }
}

/// Two clusters, which all gateways have, that die and come back in turn, ten times a second in all: no query is lost, and
/// none waits.
#[test]
fn flipping_verdicts_cost_no_query() {
    let site = Site::new();
    let mut clusters: [Cluster; 2] = [1, 2].map(|host| site.cluster(host));
    let probe = "interval = \"100ms\"\ntimeout = \"90ms\"\nfall = 1\nrise = 1\nflap = { changes = 0 }\n";
    let mut config = probed(&site, probe);
    let checked = [1, 2].map(|host| site.address(host).to_string());
    let endpoints = [(WORLD[0].0, checked[0].as_str()), (WORLD[1].0, checked[1].as_str())];
    for number in 0..GATEWAYS {
        let (name, hostname) = (format!("g{number}"), format!("g{number}.gslb.example"));
        config = config.gateway(&name, &[&hostname], "probe = \"web\"\n", &endpoints);
    }
    let mut meridian = Meridian::serve(config.text());
    let questions = questions()[..GATEWAYS as usize].to_vec();
    let time = Duration::from_secs(10);
    let load = Load::udp(meridian.address(), RATE, questions.clone());
    sleep(time);
    let quiet = Line("quiet", load.stop());
    let load = Load::udp(meridian.address(), RATE, questions);
    let began = now();
    let mut flips = 0;
    while began.elapsed() < time {
        for which in [0, 1] {
            clusters[which].kill();
            sleep(Duration::from_millis(200));
            clusters[which].mend();
            flips += 2;
        }
    }
    let flipping = Line("flipping", load.stop());
    meridian.signal(Signal::SIGTERM);
    assert!(meridian.wait().success());
    let views = meridian.seen.iter().filter(|line| line["message"] == "view published").count();
    println!("{flips} flips in {time:?}, {views} views; {RATE} queries a second");
    for Line(what, answered) in [&quiet, &flipping] {
        assert_eq!((answered.lost, answered.wrong), (0, 0), "{what}");
    }
    println!("{quiet}\n{flipping}");
    // Two that fall together are one view.
    assert!(views > flips / 2, "{views} views");
}

/// The same by the client that everybody measures with.
#[test]
fn dnsperf_loses_nothing() {
    let site = Site::new();
    let _clusters: [Cluster; 2] = [1, 2].map(|host| site.cluster(host));
    let mut meridian = Meridian::serve(&config(&site, 1));
    let folder = scratch();
    let names: String = (0..GATEWAYS).map(|number| format!("g{number}.gslb.example A\n")).collect();
    let queries = folder.join("queries");
    std::fs::write(&queries, names).unwrap();
    let address = meridian.address();
    let dnsperf = |mode: &str, rate: &str| {
        let mut command = Command::new("dnsperf");
        command.args(["-s", &address.ip().to_string(), "-p", &address.port().to_string(), "-m", mode]);
        command.args(["-Q", rate, "-l", "12", "-c", "4", "-d"]).arg(&queries);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dnsperf is installed")
    };
    let running = [("udp", "20000"), ("tcp", "1000")].map(|(mode, rate)| (mode, dnsperf(mode, rate)));
    for turn in 1..=3 {
        std::fs::write(meridian.config(), config(&site, 1 + turn)).unwrap();
        meridian.signal(Signal::SIGHUP);
        meridian.wait_for("the new file", |line| says(line, "reloaded: "));
        meridian.restart();
    }
    for (mode, process) in running {
        let output = process.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |name: &str| {
            text.lines().find(|line| line.trim().starts_with(name)).unwrap_or_default().trim().to_owned()
        };
        println!("dnsperf, {mode}: {}; {}", line("Queries completed:"), line("Queries lost:"));
        assert!(line("Queries lost:").contains(" 0 "), "{text}");
        assert!(line("Response codes:").contains("NOERROR"), "{text}");
    }
    remove(&folder);
}

fn remove(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
}
