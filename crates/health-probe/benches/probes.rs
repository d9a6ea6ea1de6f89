//! What probing 10,000 targets once a second costs, and how late the starts are.
//!
//! `cargo bench -p meridian-health-probe --bench probes [-- CASE ...]`: one line a case. The servers are a
//! process of their own on 127.0.0.0/8, so what is counted is the prober's: its time on a core (the kernel's
//! for its sockets included), its peak memory, and the octets of the loopback device. Run it where nothing
//! else uses the loopback: `unshare --net sh -c 'ip link set lo up && cargo bench ...'`.

#[path = "probes/load.rs"]
mod load;
#[path = "probes/measure.rs"]
mod measure;
#[path = "probes/servers.rs"]
mod servers;

use std::sync::Arc;
use std::time::Duration;

use meridian_health_probe::{NetworkChecker, Settings, start};
use tokio::runtime::Builder;

use self::load::{Case, Shape};
use self::measure::Sample;
use self::servers::Servers;

/// Long enough for the first round of a full load to be over.
const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(20);

/// Each is run by a process of its own, as peak memory is a process's.
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match &words[..] {
        ["serve"] => servers::run(),
        ["case", name] => match load::CASES.iter().find(|case| case.name == *name) {
            Some(case) => run(case),
            None => eprintln!("no case {name}"),
        },
        // `cargo test --benches` gives no argument: nothing is measured then.
        words if words.contains(&"--bench") => {
            let wanted: Vec<&&str> = words.iter().filter(|word| !word.starts_with("--")).collect();
            println!("{}", Sample::HEADER);
            for case in load::CASES {
                if wanted.is_empty() || wanted.iter().any(|word| case.name.starts_with(**word)) {
                    measure::in_a_process(case.name);
                }
            }
        }
        _ => {}
    }
}

fn run(case: &Case) {
    measure::raise_descriptors();
    let servers = Servers::start();
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings = Settings { first_round: WARM_UP, seed: 1 };
        let catalog = Arc::new(case.catalog(&servers.ports));
        let probes = start(catalog, settings, NetworkChecker);
        let counters = probes.counters();
        tokio::time::sleep(WARM_UP).await;
        let before = Sample::take(&counters);
        tokio::time::sleep(MEASURED).await;
        let after = Sample::take(&counters);
        println!("{}", after.since(&before, case.name));
        let found = counters.read();
        let is_down = |shape: &Shape| !matches!(shape, Shape::Up);
        let down = case.parts.iter().filter(|(shape, _)| is_down(shape)).map(|(_, count)| count).sum();
        let expected = u64::from(case.targets()) > 0 && found.probes > 0;
        assert!(expected, "nothing was probed");
        measure::check_failures(found, down, case.targets());
        probes.stop().await;
    });
}
