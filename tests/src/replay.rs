//! Replay files: what a configuration answers, step by step, on a clock that only the file moves.
//!
//! ```text
//! ; a comment
//! CONFIG_BEGIN
//! version = 1
//! ...
//! CONFIG_END
//! STEP 10 HEALTH eu-west down          ; or: up, fails, succeeds (one outcome)
//! STEP 20 TIME_PASSES 30               ; seconds
//! STEP 30 QUERY shop.gslb.example. A subnet=192.0.2.0/24 from=127.0.0.9 edns=1232 do version=1
//!                                      ; further: class=3 opcode=4 rd over=udp over=tcp hex=<octets>
//! STEP 40 CHECK_ANSWER
//!   rcode NOERROR
//!   flags aa                           ; of aa tc rd
//!   answer shop.gslb.example. 30 IN A 192.0.2.10
//!   authority ...
//!   additional ...
//!   scope 13                           ; a client subnet is in the reply, with this scope
//!   error 20                           ; an Extended DNS Error
//!   edns                               ; an OPT record is in the reply
//! STEP 50 CHECK_NO_ANSWER
//! ```
//! A check is whole: what it does not name must not be there. Records of a section are a set.
//! `answer one-of A | B` holds when exactly one of the named records is there.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use meridian_dns::{Ground, Live, View};
use meridian_health_probe::{Finding, Outcome, Tracker};
use meridian_model::{TargetHealth, Verdicts};

use crate::{Ask, Asked};

//----------- Script ---------------------------------------------------------

/// A replay file, read.
pub struct Script {
    /// The configuration.
    pub config: String,
    /// The steps, each with its number.
    pub steps: Vec<(u32, Step)>,
}

/// One step.
pub enum Step {
    /// Outcomes of the probes of a cluster.
    Health(String, Change),
    /// Moves the clock.
    TimePasses(Duration),
    /// Asks.
    Query(Box<Question>),
    /// Compares the reply to the last query.
    Check(Box<Expected>),
    /// The last query must not have been answered.
    CheckNone,
}

/// What the probes of a cluster find.
#[derive(Clone, Copy)]
pub enum Change {
    /// As many failures as make it unhealthy.
    Down,
    /// As many successes as make it healthy.
    Up,
    /// One failure.
    Fails,
    /// One success.
    Succeeds,
}

/// A query with how it is sent.
pub struct Question {
    /// The octets.
    pub octets: Vec<u8>,
    /// The address that it is sent from.
    pub from: Option<IpAddr>,
    /// Whether it is asked over UDP.
    pub udp: bool,
    /// Whether it is asked over TCP.
    pub tcp: bool,
}

/// What a reply must be.
#[derive(Default)]
pub struct Expected {
    rcode: String,
    flags: Vec<String>,
    sections: [Vec<String>; 3],
    one_of: Vec<String>,
    scope: Option<u8>,
    error: Option<u16>,
    edns: bool,
}

impl Script {
    /// Reads a replay file.
    ///
    /// # Errors
    /// Names the line that it does not understand.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let (before, rest) = text.split_once("CONFIG_BEGIN\n").context("no CONFIG_BEGIN")?;
        ensure!(
            before.lines().all(|line| line.is_empty() || line.starts_with(';')),
            "text before CONFIG_BEGIN"
        );
        let (config, rest) = rest.split_once("CONFIG_END\n").context("no CONFIG_END")?;
        let mut steps: Vec<(u32, Step)> = Vec::new();
        for line in rest.lines() {
            let line = line.split_once(" ;").map_or(line, |(line, _)| line).trim_end();
            if line.is_empty() || line.starts_with(';') {
                continue;
            }
            match (line.strip_prefix("STEP "), steps.last_mut()) {
                (Some(step), last) => {
                    let (number, step) = step.split_once(' ').context("STEP without a verb")?;
                    let number = number.parse()?;
                    ensure!(last.is_none_or(|(before, _)| *before < number), "step {number} is out of order");
                    steps.push((number, Step::read(step).with_context(|| line.to_owned())?));
                }
                (None, Some((_, Step::Check(expected)))) => {
                    expected.read(line.trim()).with_context(|| line.to_owned())?;
                }
                _ => bail!("not understood: {line}"),
            }
        }
        Ok(Self { config: config.to_owned(), steps })
    }
}

impl Step {
    fn read(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let verb = words.next().context("no verb")?;
        Ok(match verb {
            "HEALTH" => {
                let cluster = words.next().context("no cluster")?.to_owned();
                let change = match words.next() {
                    Some("down") => Change::Down,
                    Some("up") => Change::Up,
                    Some("fails") => Change::Fails,
                    Some("succeeds") => Change::Succeeds,
                    other => bail!("down, up, fails or succeeds, not {other:?}"),
                };
                Self::Health(cluster, change)
            }
            "TIME_PASSES" => {
                Self::TimePasses(Duration::from_secs(words.next().context("no seconds")?.parse()?))
            }
            "QUERY" => Self::Query(Box::new(Question::read(words)?)),
            "CHECK_ANSWER" => Self::Check(Box::default()),
            "CHECK_NO_ANSWER" => Self::CheckNone,
            _ => bail!("no such verb"),
        })
    }
}

impl Question {
    fn read<'w>(mut words: impl Iterator<Item = &'w str>) -> Result<Self> {
        let first = words.next().context("no name")?;
        let mut question = Self { octets: Vec::new(), from: None, udp: true, tcp: true };
        if let Some(hex) = first.strip_prefix("hex=") {
            question.octets = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap_or(""), 16))
                .collect::<Result<_, _>>()?;
        }
        let question_type = match words.next() {
            None if !question.octets.is_empty() => RecordType::A,
            word => type_number(word.context("no type")?)?,
        };
        let mut ask = Ask::new(if question.octets.is_empty() { first } else { "." }, question_type);
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let (size, version, dnssec_ok) = ask.edns.unwrap_or((1232, 0, false));
            match key {
                "from" => question.from = Some(value.parse()?),
                "over" => (question.udp, question.tcp) = (value == "udp", value == "tcp"),
                "class" => ask.class = value.parse()?,
                "opcode" => ask.opcode = value.parse()?,
                "rd" => ask.recursion_desired = true,
                "edns" => ask.edns = Some((value.parse()?, version, dnssec_ok)),
                "version" => ask.edns = Some((size, value.parse()?, dnssec_ok)),
                "do" => ask.edns = Some((size, version, true)),
                "subnet" => {
                    let (address, source) = value.split_once('/').context("subnet=ADDRESS/LENGTH")?;
                    ask.subnet = Some((address.parse()?, source.parse()?));
                }
                _ => bail!("not understood: {word}"),
            }
        }
        if question.octets.is_empty() {
            question.octets = ask.octets();
        }
        Ok(question)
    }
}

fn type_number(word: &str) -> Result<RecordType> {
    match word.strip_prefix("TYPE") {
        Some(number) => Ok(RecordType::from(number.parse::<u16>()?)),
        None => RecordType::from_str(word).map_err(|error| anyhow!("{error}")),
    }
}

impl Expected {
    fn read(&mut self, line: &str) -> Result<()> {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        match key {
            "rcode" => value.clone_into(&mut self.rcode),
            "flags" => self.flags = value.split_whitespace().map(str::to_owned).collect(),
            "answer" => match value.strip_prefix("one-of ") {
                Some(either) => self.one_of = either.split('|').map(squeezed).collect(),
                None => self.sections[0].push(squeezed(value)),
            },
            "authority" => self.sections[1].push(squeezed(value)),
            "additional" => self.sections[2].push(squeezed(value)),
            "scope" => self.scope = Some(value.parse()?),
            "error" => self.error = Some(value.parse()?),
            "edns" => self.edns = true,
            _ => bail!("not understood"),
        }
        Ok(())
    }

    /// Compares a reply.
    ///
    /// # Errors
    /// Says what differs.
    pub fn compare(&self, reply: &Asked) -> Result<()> {
        let message = &reply.message;
        let rcode = rcode_name(u16::from(message.response_code));
        ensure!(rcode == self.rcode, "rcode {rcode}, wanted {}", self.rcode);
        let mut flags = Vec::new();
        for (set, name) in [
            (message.authoritative, "aa"),
            (message.truncation, "tc"),
            (message.recursion_desired, "rd"),
            (message.recursion_available, "ra"),
            (message.authentic_data, "ad"),
            (message.checking_disabled, "cd"),
        ] {
            if set {
                flags.push(name);
            }
        }
        ensure!(flags == self.flags, "flags {flags:?}, wanted {:?}", self.flags);
        let sections = [&message.answers, &message.authorities, &message.additionals];
        for (index, (name, records)) in ["answer", "authority", "additional"].iter().zip(sections).enumerate()
        {
            let mut found: Vec<String> = records.iter().map(|record| squeeze(&record.to_string())).collect();
            if index == 0 && !self.one_of.is_empty() {
                ensure!(found.len() == 1 && self.one_of.contains(&found[0]), "answer {found:?}");
                continue;
            }
            let mut wanted = self.sections[index].clone();
            found.sort();
            wanted.sort();
            ensure!(found == wanted, "{name} {found:#?}, wanted {wanted:#?}");
        }
        let scope = reply.subnet.map(|(_, scope)| scope);
        ensure!(scope == self.scope, "scope {scope:?}, wanted {:?}", self.scope);
        ensure!(reply.error == self.error, "error {:?}, wanted {:?}", reply.error, self.error);
        let edns = self.edns || self.scope.is_some() || self.error.is_some();
        ensure!(message.edns.is_some() == edns, "OPT in the reply: {}", message.edns.is_some());
        Ok(())
    }
}

/// As dig spells it. 16 is BADVERS here: BADSIG has the same number, in TSIG records only.
fn rcode_name(rcode: u16) -> String {
    match rcode {
        0 => "NOERROR".to_owned(),
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        16 => "BADVERS".to_owned(),
        other => other.to_string(),
    }
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

//----------- Stage ----------------------------------------------------------

/// The ground of a script with trackers in the place of probes.
pub struct Stage {
    ground: Arc<Ground>,
    trackers: Vec<Tracker>,
    lost: Vec<u64>,
    losses: u64,
    now: Duration,
    /// What a server of this stage answers from.
    pub live: Arc<Live>,
}

impl Stage {
    /// Begins with everything healthy and settled.
    ///
    /// # Errors
    /// With every issue of the configuration.
    pub fn new(config: &str) -> Result<Self> {
        let loaded =
            meridian::load_text(config, Path::new("replay.toml")).map_err(|issues| anyhow!("{issues}"))?;
        let ground = loaded.ground;
        let targets = ground.catalog().targets().len();
        let live = Arc::new(Live::new(View::new(ground.clone(), Verdicts::default(), None)));
        let trackers = (0..targets).map(|_| Tracker::default()).collect();
        let mut stage =
            Self { ground, trackers, lost: vec![0; targets], losses: 0, now: Duration::ZERO, live };
        let all: Vec<usize> = (0..targets).collect();
        stage.observe(&all, Change::Succeeds);
        Ok(stage)
    }

    /// The probes of a cluster find something.
    ///
    /// # Errors
    /// When the cluster has no target.
    pub fn health(&mut self, cluster: &str, change: Change) -> Result<()> {
        let catalog = self.ground.catalog();
        let mut targets = Vec::new();
        for endpoint in catalog.gateways().iter().flat_map(|gateway| &gateway.endpoints) {
            if &*catalog.cluster(endpoint.cluster).name == cluster {
                targets.extend(endpoint.addresses.iter().filter_map(|address| Some(address.target?.index())));
            }
        }
        targets.sort_unstable();
        targets.dedup();
        ensure!(!targets.is_empty(), "no target in cluster {cluster}");
        self.observe(&targets, change);
        Ok(())
    }

    /// Moves the clock.
    pub fn time_passes(&mut self, duration: Duration) {
        self.now += duration;
        self.publish();
    }

    fn observe(&mut self, targets: &[usize], change: Change) {
        let catalog = self.ground.catalog().clone();
        for &target in targets {
            let probe = catalog.probe(catalog.targets()[target].probe);
            let (times, finding) = match change {
                Change::Down => (probe.thresholds.fall, Finding::Failed("it is down".to_owned())),
                Change::Up => (probe.thresholds.rise, Finding::Good),
                Change::Fails => (1, Finding::Failed("it fails".to_owned())),
                Change::Succeeds => (1, Finding::Good),
            };
            for _ in 0..times {
                let outcome = Outcome { finding: finding.clone(), latency: Duration::from_millis(1) };
                let tracker = &mut self.trackers[target];
                let served = tracker.verdict().serves();
                tracker.observe(probe, &outcome, self.now);
                if served && !tracker.verdict().serves() {
                    self.losses += 1;
                    self.lost[target] = self.losses;
                }
            }
        }
        self.publish();
    }

    fn publish(&self) {
        let catalog = self.ground.catalog();
        let health =
            self.trackers.iter().zip(&self.lost).zip(catalog.targets()).map(|((tracker, &lost), target)| {
                let in_doubt = tracker.in_doubt(catalog.probe(target.probe), self.now);
                TargetHealth { verdict: tracker.verdict(), in_doubt, lost }
            });
        let verdicts = Verdicts::new(health.collect());
        let before = self.live.load();
        self.live.store(View::new(self.ground.clone(), verdicts, Some(&before)));
    }
}

/// Whether two replies are the same but for what the size limit of UDP takes away.
#[must_use]
pub fn same_answers(udp: &Message, tcp: &Message) -> bool {
    udp.truncation || (udp.answers == tcp.answers && udp.authorities == tcp.authorities)
}
