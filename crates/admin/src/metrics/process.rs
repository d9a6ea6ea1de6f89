//! What the system says of the process, by the names that all of Prometheus' clients have for it.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::page::{ALONE, Page};
use crate::limits::PROC_OCTETS_MAX;

/// In which times of a process are told: 100 a second, on every architecture of Linux that Rust has.
const TICKS_A_SECOND: f64 = 100.0;

/// The values of one moment; `None`: the system does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Process {
    cpu_s: Option<f64>,
    /// Since 1970.
    started_s: Option<f64>,
    resident: Option<f64>,
    mapped: Option<f64>,
    threads: Option<f64>,
    descriptors: Option<f64>,
    descriptors_max: Option<f64>,
    /// Datagrams that the sockets of DNS had no room for.
    pub(super) udp_drops: Option<u64>,
}

impl Process {
    /// Reads `/proc`. `sockets`: those of UDP, by inode. To be called where a moment may be waited.
    pub(crate) fn read(sockets: &[u64]) -> Self {
        let (stat, status) = (text("self/stat"), text("self/status"));
        let (limits, boot) = (text("self/limits"), text("stat"));
        let times = stat.as_deref().and_then(times);
        let kib = |key| status.as_deref().and_then(|text| after(text, key)).map(|kib| kib * 1024.0);
        let boot_s = boot.as_deref().and_then(|text| after(text, "btime "));
        Self {
            cpu_s: times.map(|(cpu, _)| cpu / TICKS_A_SECOND),
            started_s: times.zip(boot_s).map(|((_, started), boot)| boot + started / TICKS_A_SECOND),
            resident: kib("VmRSS:"),
            mapped: kib("VmSize:"),
            threads: status.as_deref().and_then(|text| after(text, "Threads:")),
            // Less the one that reads them.
            descriptors: fs::read_dir("/proc/self/fd").ok().map(|all| all.count().saturating_sub(1) as f64),
            descriptors_max: limits.as_deref().and_then(|text| after(text, "Max open files")),
            udp_drops: drops(sockets),
        }
    }
}

/// A file of `/proc`, of which some have no end that could be waited for.
fn text(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(format!("/proc/{path}")).ok()?.take(PROC_OCTETS_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The number behind a key at the beginning of a line.
fn after(text: &str, key: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// Ticks of processors, and of the system's clock at the start (proc(5), `stat`).
fn times(stat: &str) -> Option<(f64, f64)> {
    // The name before may have anything in it, parentheses too.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The first of these is the third.
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some((field(14)? + field(15)?, field(22)?))
}

/// How many datagrams sockets (by inode) had no room for; `None`: no table could be read.
fn drops(sockets: &[u64]) -> Option<u64> {
    let tables: Vec<String> = ["self/net/udp", "self/net/udp6"].into_iter().filter_map(text).collect();
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let all = lines.filter_map(of_socket).filter(|(inode, _)| sockets.contains(inode));
    (!tables.is_empty()).then(|| all.map(|(_, drops)| drops).sum())
}

/// The inode and the drops of a line: the tenth column and the last.
fn of_socket(line: &str) -> Option<(u64, u64)> {
    let mut columns = line.split_whitespace();
    Some((columns.nth(9)?.parse().ok()?, columns.next_back()?.parse().ok()?))
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let help = "Time of processors that the process has used";
        self.cpu_s.map_or(Ok(()), |cpu| page.seconds("process_cpu_seconds", help, cpu))?;
        for (name, help, value) in [
            ("process_start_time_seconds", "When the process started, since 1970", self.started_s),
            ("process_resident_memory_bytes", "Memory that it occupies", self.resident),
            ("process_virtual_memory_bytes", "Address space that it has", self.mapped),
            ("process_threads", "Threads that it has", self.threads),
            ("process_open_fds", "File descriptors that it has", self.descriptors),
            ("process_max_fds", "File descriptors that it may have", self.descriptors_max),
        ] {
            page.gauges(name, help, value.map(|value| (ALONE, value)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_of_this_process() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = std::os::unix::fs::MetadataExt::ino(
            &File::from(std::os::fd::OwnedFd::from(socket)).metadata().unwrap(),
        );
        let process = Process::read(&[inode]);
        let resident = process.resident.unwrap();
        assert!(resident > 1e6 && resident < process.mapped.unwrap(), "{process:?}");
        assert!(process.started_s.unwrap() > 1.7e9 && process.cpu_s.unwrap() >= 0.0, "{process:?}");
        assert!(process.descriptors.unwrap() >= 3.0, "{process:?}");
        assert!(process.descriptors.unwrap() < process.descriptors_max.unwrap(), "{process:?}");
        assert!(process.threads.unwrap() >= 1.0, "{process:?}");
        assert_eq!(process.udp_drops, Some(0));
    }

    #[test]
    fn columns_are_those_of_the_kernel() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 4200 1000000 250";
        assert_eq!(times(stat), Some((200.0, 4200.0)));
        let line = "  449: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 26914 2 ffff8e3d 17";
        assert_eq!(of_socket(line), Some((26914, 17)));
        assert_eq!(of_socket("  sl  local_address rem_address"), None);
    }
}
