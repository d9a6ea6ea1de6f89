//! The wall clock jumps by an hour and by a day, forward and back, and stands still, while the server probes: nothing
//! comes of it.
//!
//! With `clock/jump.c` in front of the real binary. The monotonic clock goes on.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Site, WORLD, ask_tcp, ask_udp, now, says};
use nix::sys::signal::Signal;

/// The day and the hour of the clock that a line was logged at.
fn hour(line: &serde_json::Value) -> String {
    line["timestamp"].as_str().and_then(|stamp| stamp.get(..13)).expect("a timestamp").to_owned()
}

/// The option that holds cookies (RFC 7873 §4), and what says that one is not good (RFC 7873 §8).
const COOKIE: u16 = 10;
const BADCOOKIE: u16 = 23;

fn with_cookie(cookie: &[u8]) -> Ask {
    Ask::new("ns1.gslb.example.", RecordType::A).option(COOKIE, cookie)
}

/// A new cookie holds whatever the clock says, beyond the rate for others; with an old one a client is told so, and
/// given another. Returns the new one, and whether the old one held.
fn cookies(server: SocketAddr, old: &[u8]) -> (Vec<u8>, bool) {
    let by_old: Vec<_> = (0..20).map(|_| ask_udp(server, &with_cookie(old)).unwrap().wire).collect();
    let holds = by_old.iter().all(|wire| wire.rcode() == 0 && !wire.truncated());
    let told = by_old.iter().any(|wire| wire.rcode() == BADCOOKIE);
    assert!(holds || told, "neither an answer nor a reason");
    let new = ask_tcp(server, &with_cookie(&old[..8])).unwrap().wire.option(COOKIE).expect("a cookie");
    for _ in 0..20 {
        let wire = ask_udp(server, &with_cookie(&new)).unwrap().wire;
        assert!(wire.rcode() == 0 && !wire.truncated(), "{wire:?}");
    }
    (new, holds)
}

/// What the wall clock of a process shows.
#[derive(Clone, Copy, Debug)]
enum Shows {
    /// The time that is so many seconds from now.
    Ahead(i64),
    /// Always so many seconds since 1970.
    Standing(i64),
}

/// The wall clock of a process that is started with its environment.
struct Clock {
    told: File,
    path: PathBuf,
    library: PathBuf,
}

impl Clock {
    fn new() -> Self {
        let dir = meridian_tests::scratch();
        let (path, library) = (dir.join("clock"), dir.join("jump.so"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clock/jump.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(source)
            .status()
            .expect("the C compiler that Rust links with");
        assert!(built.success());
        let clock = Self { told: File::create(&path).unwrap(), path, library };
        clock.jump(Shows::Ahead(0));
        clock
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", self.library.to_str().unwrap()), ("MERIDIAN_CLOCK", self.path.to_str().unwrap())]
    }

    fn jump(&self, to: Shows) {
        let told = match to {
            Shows::Ahead(seconds) => seconds * 2,
            Shows::Standing(seconds) => seconds * 2 + 1,
        };
        // One write of a word, which no thread of the process sees half of.
        self.told.write_all_at(&told.to_ne_bytes(), 0).unwrap();
    }
}

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    let site = Site::new();
    let mut clusters: Vec<_> = (1..=3).map(|host| site.cluster(host)).collect();
    let ips: Vec<String> = clusters.iter().map(|cluster| cluster.ip()).collect();
    let probe = format!(
        "[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"90ms\"\n\
         hold_down = \"0s\"\nfall = 3\nrise = 2\n",
        site.port
    );
    let endpoints: Vec<(&str, &str)> =
        WORLD.iter().map(|(name, ..)| *name).zip(ips.iter().map(String::as_str)).collect();
    let config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[server.rate_limit]\nper_client = 1\nslip = 1\n")
        .with(&probe)
        .clusters(&WORLD)
        .gateway("shop", &["shop.gslb.example"], "probe = \"web\"\n", &endpoints);
    let clock = Clock::new();
    let mut meridian = Meridian::serve_in(config.text(), &clock.environment());
    let mut before = hour(meridian.seen.last().unwrap());
    let server = meridian.address();
    let mut is_up = true;
    let mut cookie = cookies(server, b"12345678").0;
    let (hours, days) = (|hours: i64| Shows::Ahead(3_600 * hours), |days: i64| Shows::Ahead(86_400 * days));
    let one_of_2026 = Shows::Standing(1_772_323_199);
    for to in [hours(1), hours(0), hours(-1), hours(0), days(1), days(-1), days(0), one_of_2026, days(0)] {
        clock.jump(to);
        // A reload and one verdict that really changes show that probes go on, and what clock the log has.
        meridian.signal(Signal::SIGHUP);
        let reloaded = meridian.wait_for("a reload", |line| says(line, "reloaded"));
        let after = hour(&reloaded);
        assert_ne!(after, before, "{to:?}: the clock did not jump");
        before = after;
        // In turns: an endpoint that comes and goes too often is held.
        let began = now();
        match is_up {
            true => clusters[0].kill(),
            false => clusters[0].mend(),
        }
        is_up = !is_up;
        meridian.wait_for_verdict(&ips[0], if is_up { "healthy" } else { "unhealthy" });
        let moved = began.elapsed();
        let (new, held) = cookies(server, &cookie);
        cookie = new;
        println!(
            "the clock shows {to:?}: a verdict after {moved:.1?}, the cookie from before {}, a new one holds",
            if held { "holds" } else { "is told to be old" }
        );
        // Two or three probes, one every 100 ms, and the time of one: as ever.
        assert!(moved < std::time::Duration::from_secs(2), "{moved:?}");
    }
    let transitions = meridian.seen.iter().filter(|line| line["message"] == "transition");
    let others: Vec<_> = transitions
        .filter(|line| !line["endpoint"].as_str().is_some_and(|endpoint| endpoint.ends_with(&ips[0])))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    let lines = format!("{:?}", meridian.seen);
    assert!(!lines.contains("wait for their turn"), "a storm");
}
