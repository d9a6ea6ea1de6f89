//! The same static zones from Meridian, Knot and NSD: for every name and type the same rcode, AA, answer and
//! authority. Needs Debian's knot and nsd, which `./tests/run` installs.
//!
//! Where Knot and NSD agree, ours is theirs. Where they differ, [`DIFFERENCES`] says who is right and why;
//! a difference that it does not have fails.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Record, RecordType};
use meridian_tests::{Ask, Asked, Authority, Meridian, StaticZone, ask_tcp, scratch};

/// Zones, and names with records in each.
const ZONES: u64 = 8;
const OWNERS: usize = 60;

const TYPES: [u16; 15] = [1, 2, 5, 6, 15, 16, 28, 33, 39, 43, 46, 47, 65, 257, 65280];

//----------- Replies --------------------------------------------------------

/// What is compared of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    code: ResponseCode,
    authoritative: bool,
    answer: Vec<String>,
    authority: Vec<String>,
}

impl Seen {
    fn of(asked: &Asked) -> Self {
        Self {
            code: asked.message.response_code,
            authoritative: asked.message.authoritative,
            answer: sorted(&asked.message.answers),
            authority: sorted(&asked.message.authorities),
        }
    }
}

/// Records as a set, names in lower case.
fn sorted(records: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = records.iter().map(|record| record.to_string().to_lowercase()).collect();
    texts.sort();
    texts
}

/// Asks one server, over TCP where the reply over UDP is truncated.
struct Asker {
    server: SocketAddr,
    socket: UdpSocket,
}

impl Asker {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { server, socket }
    }

    fn ask(&self, ask: &Ask) -> Seen {
        self.socket.send(&ask.octets()).unwrap();
        let mut reply = vec![0; 4096];
        let length = self.socket.recv(&mut reply).unwrap_or_else(|error| panic!("{ask:?}: {error}"));
        reply.truncate(length);
        let asked = Asked::decode(reply).unwrap_or_else(|error| panic!("{ask:?}: {error}"));
        assert_eq!(asked.message.id, ask.id, "{ask:?}");
        if asked.message.truncation {
            Seen::of(&ask_tcp(self.server, ask).unwrap())
        } else {
            Seen::of(&asked)
        }
    }
}

//----------- Differences ----------------------------------------------------

/// A question and the three replies to it.
struct Case<'c> {
    question_type: u16,
    ours: &'c Seen,
    knot: &'c Seen,
    nsd: &'c Seen,
}

/// A difference that is known: where it is and why it is right.
struct Difference {
    reason: &'static str,
    is: fn(&Case<'_>) -> bool,
}

const DIFFERENCES: [Difference; 2] = [
    Difference {
        reason: "an alias that a wildcard makes of a name to itself: RFC 2181 §5, no record is there twice; \
             Knot and NSD may have it twice",
        is: |case| {
            let once = |seen: &Seen| {
                let mut once = seen.clone();
                once.answer.dedup();
                once
            };
            once(case.knot) == *case.ours && once(case.nsd) == *case.ours
        },
    },
    Difference {
        reason: "RRSIG or NSEC of an alias: RFC 4034 §3, §4, its owner may have them, so that it is not followed, as \
                 Knot has it; NSD follows it in an unsigned zone",
        is: |case| matches!(case.question_type, 46 | 47) && case.ours == case.knot,
    },
];

/// What was compared, of each kind, so that a generator that makes none of a kind is noticed.
#[derive(Debug, Default)]
struct Tally {
    answers: usize,
    negative: usize,
    no_name: usize,
    referrals: usize,
    aliases: usize,
    dnames: usize,
    too_long: usize,
    refused: usize,
}

impl Tally {
    fn add(&mut self, seen: &Seen) {
        let has = |kind: &str| seen.answer.iter().any(|record| record.contains(kind));
        let which = match seen.code {
            ResponseCode::YXDomain => &mut self.too_long,
            ResponseCode::Refused => &mut self.refused,
            ResponseCode::NXDomain if seen.answer.is_empty() => &mut self.no_name,
            _ if has(" in dname ") => &mut self.dnames,
            _ if has(" in cname ") => &mut self.aliases,
            _ if !seen.answer.is_empty() => &mut self.answers,
            _ if !seen.authoritative => &mut self.referrals,
            _ => &mut self.negative,
        };
        *which += 1;
    }

    fn all(&self) -> [usize; 8] {
        let Self { answers, negative, no_name, referrals, aliases, dnames, too_long, refused } = *self;
        [answers, negative, no_name, referrals, aliases, dnames, too_long, refused]
    }
}

#[test]
fn as_knot_and_nsd() {
    let folder = scratch();
    let zones: Vec<StaticZone> = (1..=ZONES).map(|seed| StaticZone::random(seed, OWNERS)).collect();
    let files: Vec<(String, PathBuf)> = zones
        .iter()
        .map(|zone| {
            let file = folder.join(format!("{}.zone", zone.apex));
            std::fs::write(&file, &zone.text).unwrap();
            (zone.apex.clone(), file)
        })
        .collect();
    let mut config = "version = 1\n[server]\nlisten = [\"127.0.0.1:0\"]\n".to_owned();
    for (apex, file) in &files {
        config.push_str(&format!("[[zones]]\nname = \"{apex}\"\nfile = {file:?}\n"));
    }
    let (knot, nsd) = (Authority::knot(&files), Authority::nsd(&files));
    let meridian = Meridian::serve(&config);
    let askers = [meridian.address(), knot.address, nsd.address].map(Asker::new);
    let (mut compared, mut known, mut different) = (0, [0; DIFFERENCES.len()], Vec::new());
    let mut tally = Tally::default();
    for zone in &zones {
        for name in &zone.names {
            for question_type in TYPES {
                let mut ask = Ask::new(name, RecordType::from(question_type)).edns(1232);
                ask.id = u16::try_from(compared % 65536).unwrap();
                compared += 1;
                let [ours, knot, nsd] = [0, 1, 2].map(|server| askers[server].ask(&ask));
                tally.add(&ours);
                if ours == knot && knot == nsd {
                    continue;
                }
                let case = Case { question_type, ours: &ours, knot: &knot, nsd: &nsd };
                match DIFFERENCES.iter().position(|difference| (difference.is)(&case)) {
                    Some(which) => known[which] += 1,
                    None => different
                        .push(format!("{name} {question_type}\nours {ours:?}\nknot {knot:?}\nnsd  {nsd:?}")),
                }
            }
        }
    }
    println!("{compared} questions in {ZONES} zones compared: {tally:?}");
    assert!(tally.all().iter().all(|count| *count > 0), "{tally:?}");
    for (difference, count) in DIFFERENCES.iter().zip(known) {
        println!("{count} differ: {}", difference.reason);
    }
    let shown = different.iter().take(10).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(different.is_empty(), "{} unknown differences, of which the first:\n{shown}", different.len());
    std::fs::remove_dir_all(folder).unwrap();
}
