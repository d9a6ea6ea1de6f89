//! Queries a second beside gdnsd and an echo server, which is the ceiling: each server alone on the first core, the
//! load on the second, in rounds that take turns. What counts is the ratio of medians: a machine that is shared varies
//! by a tenth and more from round to round.
//!
//! `cargo bench -p meridian-tests --bench throughput`; behind `--`: `rounds=9 ms=1500 only=static`. Needs two cores, Debian's
//! gdnsd and the City database (`./tests/run` brings both).

mod echo;
mod load;
mod servers;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Process};

use load::Came;
use servers::{Kind, Server, World};

/// Questions that are asked in turn.
const QUESTIONS: usize = 1 << 16;

/// What is asked: names below the zone, a type, and whether with a random client.
#[derive(Clone, Copy)]
struct Mix {
    name: &'static str,
    /// Names and clusters that there are, and how many of the names are asked for.
    world: (usize, usize),
    names: usize,
    prefix: &'static str,
    record_type: RecordType,
    with_client: bool,
}

const MIXES: [Mix; 16] = [
    mix("A, nearest", "g", RecordType::A),
    mix("A, nearest, with a client", "g", RecordType::A).client(),
    mix("AAAA, nearest, with a client", "g", RecordType::AAAA).client(),
    mix("A, one name", "g", RecordType::A).among(1),
    mix("A, one name, with a client", "g", RecordType::A).among(1).client(),
    mix("A, static", "s", RecordType::A),
    mix("TXT, static", "s", RecordType::TXT),
    mix("HTTPS, static", "s", RecordType::HTTPS),
    mix("no such name", "x", RecordType::A),
    mix("A, nearest, 100,000 names", "g", RecordType::A).among(100_000),
    mix("A, nearest, 100,000 names, with a client", "g", RecordType::A).among(100_000).client(),
    mix("A, nearest, 1,000,000 names", "g", RecordType::A).among(1_000_000),
    mix("A, nearest, 1,000,000 names, with a client", "g", RecordType::A).among(1_000_000).client(),
    mix("A, nearest, 3 clusters, with a client", "g", RecordType::A).clusters(3).client(),
    mix("A, nearest, 300 clusters", "g", RecordType::A).clusters(300),
    mix("A, nearest, 300 clusters, with a client", "g", RecordType::A).clusters(300).client(),
];

/// Of a thousand names, with eight clusters, without a client.
const fn mix(name: &'static str, prefix: &'static str, record_type: RecordType) -> Mix {
    Mix { name, world: (1000, 8), names: 1000, prefix, record_type, with_client: false }
}

impl Mix {
    const fn client(self) -> Self {
        Self { with_client: true, ..self }
    }

    const fn among(self, names: usize) -> Self {
        let size = if names < 1000 { 1000 } else { names };
        Self { names, world: (size, self.world.1), ..self }
    }

    const fn clusters(self, clusters: usize) -> Self {
        Self { world: (self.world.0, clusters), ..self }
    }
}

impl Mix {
    fn questions(&self) -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut question = |id: usize| {
            let name = format!("{}{:05}.gslb.example.", self.prefix, random.usize(0..self.names));
            let mut ask = Ask::new(&name, self.record_type);
            ask.id = u16::try_from(id % (1 << 16)).expect("16 bits");
            // No network of loopback or of a private kind.
            let [a, b, c] = [random.u8(11..=126), random.u8(..), random.u8(..)];
            let ask =
                if self.with_client { ask.subnet(&Ipv4Addr::new(a, b, c, 0).to_string(), 24) } else { ask };
            ask.octets()
        };
        (0..QUESTIONS).map(&mut question).collect()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [role, address, rest @ ..] = &arguments[..]
        && let Ok(address) = address.parse::<SocketAddr>()
    {
        match role.as_str() {
            "echo" => echo::serve(address),
            _ => return child(address, rest),
        }
    }
    let of = |key: &str| arguments.iter().find_map(|argument| argument.strip_prefix(key)?.strip_prefix('='));
    let number = |key: &str, or: u64| of(key).map_or(or, |text| text.parse().expect("a number"));
    let (rounds, time) = (number("rounds", 9), Duration::from_millis(number("ms", 1500)));
    let only = of("only").unwrap_or_default();
    println!("| {rounds} rounds of {time:?} each | Meridian | gdnsd | ceiling a second |");
    println!("|---|---|---|---|");
    let asked = MIXES.iter().enumerate().filter(|(_, mix)| mix.name.contains(only));
    let asked: Vec<(usize, &Mix)> = asked.collect();
    for mixes in asked.chunk_by(|(_, one), (_, next)| one.world == next.world) {
        let world = World::new(mixes[0].1.world);
        let servers: Vec<Server> = world.kinds().iter().map(|kind| world.start(*kind)).collect();
        for (number, mix) in mixes {
            let mut rates: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
            for round in 0..rounds {
                for turn in 0..servers.len() {
                    // Whoever is first in one round is last in the next.
                    let which = (turn + usize::try_from(round).expect("few")) % servers.len();
                    rates[which].push(measure(&servers[which], *number, mix, time));
                }
            }
            println!("{}", row(mix, &mut rates));
        }
    }
}

/// Asks from the second core, in a process of its own.
fn measure(server: &Server, number: usize, mix: &Mix, time: Duration) -> f64 {
    let output = pinned(1)
        .args(["load", &server.address.to_string(), &number.to_string(), &time.as_millis().to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let [rate, rcode, answered, lost] = text.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("the load has failed: {text}")
    };
    // Another answer would be another cost.
    let wanted = if mix.prefix == "x" { ("3", "false") } else { ("0", "true") };
    assert!(
        server.kind == Kind::Echo || (rcode, answered) == wanted,
        "{:?}, {}: rcode {rcode}, answered {answered}",
        server.kind,
        mix.name
    );
    assert!(server.kind != Kind::Meridian || lost == "0", "{}: {lost} lost", mix.name);
    rate.parse().expect("a number")
}

fn child(server: SocketAddr, rest: &[String]) {
    let [number, ms] = rest else { panic!("expected a number and a time") };
    let questions = MIXES[number.parse::<usize>().expect("a number")].questions();
    let time = Duration::from_millis(ms.parse().expect("a number"));
    // What begins is slower.
    load::run(server, &questions, time / 8);
    let Came { rate, rcode, answered, lost } = load::run(server, &questions, time);
    println!("{rate} {rcode} {answered} {lost}");
}

/// This program, on one core.
pub(crate) fn pinned(core: usize) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(std::env::current_exe().expect("its path"));
    command
}

pub(crate) fn quiet(mut command: Command) -> Process {
    let child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it is installed");
    Process(child)
}

fn row(mix: &Mix, rates: &mut [Vec<f64>]) -> String {
    for all in rates.iter_mut() {
        all.sort_by(f64::total_cmp);
    }
    let median = |all: &[f64]| all[all.len() / 2];
    let ceiling = median(&rates[0]);
    let share = |all: &[f64]| {
        let [low, middle, high] = [all[0], median(all), all[all.len() - 1]].map(|rate| rate / ceiling);
        format!("{middle:.2} ({low:.2} to {high:.2})")
    };
    let meridian = share(&rates[1]);
    let gdnsd = rates.get(2).map_or_else(|| String::from("-"), |rates| share(rates));
    let (low, high) = (rates[0][0] / ceiling, rates[0][rates[0].len() - 1] / ceiling);
    format!("| {} | {meridian} | {gdnsd} | {ceiling:.0} ({low:.2} to {high:.2}) |", mix.name)
}
