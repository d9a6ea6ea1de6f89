//! Runs `replay/*.rpl`: directly against `answer()`, then against a server over UDP and TCP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use meridian_dns::{Bound, Inherited, Listen, Moment, Peer, Reply, Server, Transport};
use meridian_tests::fuzzing::same_both_ways;
use meridian_tests::replay::{Question, Script, Stage, Step};
use meridian_tests::{Asked, exchange_tcp, exchange_udp};

/// Gets the replies to a question, one a transport; an empty list: it is not answered.
type Exchange<'e> = dyn FnMut(&Stage, &Question) -> Result<Vec<Asked>> + 'e;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("replay");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rpl"))
        .collect();
    files.sort();
    assert!(files.len() >= 5, "the replay files are gone");
    files
}

fn play(script: &Script, stage: &mut Stage, exchange: &mut Exchange<'_>) -> Result<()> {
    let mut replies = None;
    for (number, step) in &script.steps {
        let done = match step {
            Step::Health(cluster, change) => stage.health(cluster, *change),
            Step::TimePasses(duration) => {
                stage.time_passes(*duration);
                Ok(())
            }
            Step::Query(question) => exchange(stage, question).map(|got| replies = Some(got)),
            Step::Check(expected) => match &replies {
                None => bail!("step {number}: nothing was asked"),
                Some(replies) if replies.is_empty() => bail!("step {number}: no reply"),
                Some(replies) => replies.iter().try_for_each(|reply| {
                    expected.compare(reply).with_context(|| format!("{:#?}", reply.message))
                }),
            },
            Step::CheckNone => match &replies {
                Some(replies) if replies.is_empty() => Ok(()),
                other => bail!("step {number}: a reply, or nothing was asked: {other:?}"),
            },
        };
        done.with_context(|| format!("step {number}"))?;
    }
    Ok(())
}

fn play_all(make: &mut dyn FnMut(&Stage) -> Box<Exchange<'static>>) {
    for file in files() {
        let played = Script::read(&file).and_then(|script| {
            let mut stage = Stage::new(&script.config)?;
            let mut exchange = make(&stage);
            play(&script, &mut stage, &mut *exchange)
        });
        if let Err(error) = played {
            panic!("{}: {error:#}", file.display());
        }
    }
}

#[test]
fn directly() {
    play_all(&mut |_| {
        Box::new(|stage, question| {
            let mut replies = Vec::new();
            for (wanted, transport) in [(question.udp, Transport::Udp), (question.tcp, Transport::Tcp)] {
                let address = question.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                let mut out = Vec::new();
                let peer = Peer { address, transport };
                if !wanted {
                    continue;
                }
                let moment = Moment { random: 1, ..Moment::default() };
                let view = stage.live.load();
                if same_both_ways(&view, &question.octets, peer, moment, &mut out)? != Reply::None {
                    replies.push(Asked::decode(out)?);
                }
            }
            Ok(replies)
        })
    });
}

#[test]
fn over_udp_and_tcp() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut servers = Vec::new();
    play_all(&mut |stage| {
        let _inside = runtime.enter();
        let listen = Listen { plain: vec![(Ipv4Addr::LOCALHOST, 0).into()], ..Listen::default() };
        let bound = Bound::bind(&listen, 2, &mut Inherited::default()).unwrap();
        let server =
            Server::start(bound, Arc::clone(&stage.live), Arc::default(), 1, || std::time::UNIX_EPOCH)
                .unwrap();
        let address = server.listening()[0].address;
        servers.push(server);
        Box::new(move |_, question| over_sockets(address, question))
    });
    for server in servers {
        assert!(runtime.block_on(server.stop(Duration::from_secs(5))));
    }
}

fn over_sockets(server: SocketAddr, question: &Question) -> Result<Vec<Asked>> {
    // What gets no reply gets none of both: a good query behind it on the same connection is the
    // event that says so, instead of a wait.
    if silent(question) {
        ensure!(tcp_answers_only_the_second(server, &question.octets)?, "a reply on TCP");
        return Ok(Vec::new());
    }
    let mut replies = Vec::new();
    if question.udp {
        replies.push(Asked::decode(exchange_udp(server, question.from, &question.octets)?)?);
    }
    if question.tcp && question.from.is_none() {
        replies.push(Asked::decode(exchange_tcp(server, &question.octets)?)?);
    }
    Ok(replies)
}

/// Statements 1 and 2: too short for a header, or a reply.
fn silent(question: &Question) -> bool {
    question.octets.len() < 12 || question.octets[2] & 0x80 != 0
}

fn tcp_answers_only_the_second(server: SocketAddr, first: &[u8]) -> Result<bool> {
    use std::io::{Read, Write};
    // An unknown opcode: answered with a header.
    let second = [0x53, 0x44, 0x78, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    for message in [first, &second] {
        stream.write_all(&[&u16::try_from(message.len())?.to_be_bytes()[..], message].concat())?;
    }
    let mut reply = [0; 14];
    stream.read_exact(&mut reply)?;
    Ok(reply[2..4] == second[..2])
}
