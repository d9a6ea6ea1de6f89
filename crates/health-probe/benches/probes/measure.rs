//! What a process has used, and how late its probes were.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use meridian_health_probe::{Counters, Counts, Lateness};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use tokio::time::Instant;

/// Everything at one moment.
pub(crate) struct Sample {
    at: Instant,
    busy: Duration,
    peak_kb: i64,
    octets: u64,
    packets: u64,
    counts: Counts,
    lateness: Lateness,
}

impl Sample {
    pub(crate) const HEADER: &str = "case                  cores  peak MB  probes/s  octets/probe  packets/probe   \
         late median     late p99   waited  skipped";

    pub(crate) fn take(counters: &Arc<Counters>) -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("this process's usage");
        let [user, system] = [usage.user_time(), usage.system_time()].map(|time| {
            let us = u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0);
            Duration::from_micros(us)
        });
        let (octets, packets) = loopback();
        Self {
            at: Instant::now(),
            busy: user + system,
            peak_kb: peak_kb(),
            octets,
            packets,
            counts: counters.read(),
            lateness: counters.lateness(),
        }
    }

    pub(crate) fn since(&self, before: &Self, name: &str) -> String {
        let took = self.at.duration_since(before.at).as_secs_f64();
        let probes = (self.counts.probes - before.counts.probes).max(1);
        let late = self.lateness.since(&before.lateness);
        let share = |share| late.within(share).map_or("-".to_owned(), |most| format!("< {most:?}"));
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let each = |count: u64| count as f64 / probes as f64;
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (probes_s, peak_mb) = (probes as f64 / took, self.peak_kb as f64 / 1000.0);
        format!(
            "{name:<20} {:>6.2} {peak_mb:>8.1} {probes_s:>9.0} {:>13.0} {:>14.1} {:>13} {:>12} {:>8} {:>8}",
            (self.busy - before.busy).as_secs_f64() / took,
            each(self.octets - before.octets),
            each(self.packets - before.packets),
            share(0.5),
            share(0.99),
            self.counts.late - before.counts.late,
            self.counts.skipped - before.counts.skipped,
        )
    }
}

/// Runs a case in a process of its own, which prints its line.
pub(crate) fn in_a_process(name: &str) {
    let this = std::env::current_exe().expect("this program");
    let status = Command::new(this).args(["case", name]).status().expect("the case starts");
    assert!(status.success(), "{name}: {status}");
}

/// As `meridian serve` does.
pub(crate) fn raise_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the limit is ours to raise");
}

/// A case whose targets did not behave measures something else.
pub(crate) fn check_failures(found: Counts, down: u16, targets: u16) {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = found.failed as f64 / found.probes as f64;
    let wanted = f64::from(down) / f64::from(targets);
    assert!((share - wanted).abs() < 0.05, "{share:.2} of the probes failed, wanted {wanted:.2}");
}

fn peak_kb() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Octets and packets that the loopback device has sent.
fn loopback() -> (u64, u64) {
    let devices = std::fs::read_to_string("/proc/net/dev").expect("procfs");
    let line = devices.lines().find_map(|line| line.trim().strip_prefix("lo:")).expect("lo");
    let columns: Vec<u64> = line.split_whitespace().filter_map(|column| column.parse().ok()).collect();
    (columns.get(8).copied().unwrap_or(0), columns.get(9).copied().unwrap_or(0))
}
