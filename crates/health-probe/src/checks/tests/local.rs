//! Conversations over TCP, state files and commands.

use std::fs;
use std::path::PathBuf;

use meridian_model::{ExecCheck, FileCheck, TextMatch};

use super::*;

//----------- TCP --------------------------------------------------------------

/// Sends a greeting and says `250 ok` to every line.
async fn greets() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _sent = stream.write_all(b"220 ready\r\n").await;
                let mut octets = [0; 64];
                while stream.read(&mut octets).await.is_ok_and(|read| read > 0) {
                    let _sent = stream.write_all(b"250 ok\r\n").await;
                }
            });
        }
    });
    address
}

fn talk(send: Option<&str>, expect: &str) -> Check {
    let send = send.map(|text| text.as_bytes().into());
    Check::Tcp(TcpCheck { send, expect: Some(TextMatch::Regex(expect.into())), max_body: 32 })
}

#[tokio::test]
async fn a_conversation_over_tcp() {
    let at = greets().await;
    let found = async |check| run(&Probe { timeout: SHORT * 5, ..probe(at.port(), check) }, at).await.finding;
    assert_eq!(found(talk(None, "^220 ")).await, Finding::Good);
    assert_eq!(found(talk(Some("EHLO me\r\n"), "(?m)^250 ok")).await, Finding::Good);
    // It waits for what is wanted until its time is over.
    let Finding::Failed(cause) = found(talk(Some("EHLO me\r\n"), "^354")).await else { panic!("no failure") };
    assert!(cause.ends_with("no answer within 500ms"), "{cause}");
}

#[tokio::test]
async fn a_conversation_that_ends_or_is_too_long_says_what_came() {
    let ends = serve("127.0.0.1:0", Behaviour::Close).await;
    let check = Check::Tcp(TcpCheck {
        send: Some(b"x\r\n\r\n"[..].into()),
        expect: Some(TextMatch::Contains("ok".into())),
        max_body: 32,
    });
    let Finding::Failed(cause) = run(&probe(ends.address.port(), check), ends.address).await.finding else {
        panic!("no failure")
    };
    assert!(cause.ends_with(r#""", wanted "ok" in it"#), "{cause}");
    let endless = serve("127.0.0.1:0", Behaviour::Repeat("a", "a", 0)).await;
    let check = talk(Some("\r\n\r\n"), "b");
    let found = run(&probe(endless.address.port(), check), endless.address).await.finding;
    let wanted = format!("connect to {}: \"{}\", wanted a match of \"b\"", endless.address, "a".repeat(32));
    assert_eq!(found, Finding::Failed(wanted));
}

//----------- State files --------------------------------------------------------

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("meridian-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_state_file_says_how_addresses_are() {
    let scratch = Scratch::new("states");
    let path = scratch.0.join("states");
    let check = probe(0, Check::File(FileCheck { path: path.clone().into() }));
    let prepared = Prepared::new(&NetworkChecker, Arc::new(check));
    let found = async |address: &str| {
        let at = SocketAddr::new(address.parse().unwrap(), 0);
        check::run(&NetworkChecker, &prepared, at).await.finding
    };
    let says = |address: &str, what: &str| format!("{address} in {}: {what}", path.display());

    let missing = says("192.0.2.1", "No such file or directory (os error 2)");
    assert_eq!(found("192.0.2.1").await, Finding::NoData(missing));
    fs::write(&path, "# by hand\n192.0.2.1 => UP/30\n192.0.2.2=>down # broken\n2001:db8::1 => Degraded\n")
        .unwrap();
    assert_eq!(found("192.0.2.1").await, Finding::Good);
    assert_eq!(found("192.0.2.2").await, Finding::Failed(says("192.0.2.2", "down")));
    assert_eq!(found("2001:db8::1").await, Finding::Degraded(says("2001:db8::1", "degraded")));
    assert_eq!(found("192.0.2.3").await, Finding::NoData(says("192.0.2.3", "no line for it")));
    // Read again when it changes; half a file decides nothing.
    fs::write(&path, "192.0.2.1 => down\n").unwrap();
    assert_eq!(found("192.0.2.1").await, Finding::Failed(says("192.0.2.1", "down")));
    for (text, wanted) in [
        ("192.0.2.1 => up\n192.0.2.2 =", "line 2: expected ADDRESS => up, down or degraded"),
        ("192.0.2.1 => broken", "line 1: expected ADDRESS => up, down or degraded"),
        ("192.0.2.1 => up\n192.0.2.1 => down", "line 2: 192.0.2.1 again"),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(found("192.0.2.1").await, Finding::NoData(says("192.0.2.1", wanted)), "{text}");
    }
}

//----------- Commands ------------------------------------------------------------

async fn exec(words: &[&str], timeout: Duration) -> Finding {
    let command = words.iter().map(|word| (*word).into()).collect();
    let probe = Probe { timeout, ..probe(0, Check::Exec(ExecCheck { command })) };
    run(&probe, "192.0.2.10:8080".parse().unwrap()).await.finding
}

#[tokio::test]
async fn a_command_says_by_its_end() {
    assert_eq!(exec(&["true"], LONG).await, Finding::Good);
    let said = exec(&["sh", "-c", "echo no backend; echo more; exit 3"], LONG).await;
    assert_eq!(said, Finding::Failed("sh for 192.0.2.10: exit status: 3: no backend".to_owned()));
    let said = exec(&["sh", "-c", "echo to stderr >&2; exit 1"], LONG).await;
    assert_eq!(said, Finding::Failed("sh for 192.0.2.10: exit status: 1: to stderr".to_owned()));
    let Finding::Failed(missing) = exec(&["/nowhere/at/all"], LONG).await else { panic!("no failure") };
    assert!(missing.contains("cannot be run: No such file"), "{missing}");
}

#[tokio::test]
async fn a_command_is_told_what_is_checked() {
    let script = r#"test "$1" = 192.0.2.10 -a "$2" = "at 8080" -a "$MERIDIAN_ADDRESS:$MERIDIAN_PORT" = 192.0.2.10:8080"#;
    assert_eq!(exec(&["sh", "-c", script, "sh", "{address}", "at {port}"], LONG).await, Finding::Good);
}

#[tokio::test]
async fn output_without_end_neither_fills_memory_nor_stops_the_command() {
    let script = "head -c 10000000 /dev/zero; exit 5";
    let Finding::Failed(said) = exec(&["sh", "-c", script], LONG).await else { panic!("no failure") };
    assert!(said.contains("exit status: 5") && said.len() < 600, "{said}");
}

/// It and what it started in the background are gone when its time is over.
#[tokio::test]
async fn a_command_is_killed_with_all_that_it_started() {
    let scratch = Scratch::new("exec");
    let pids = scratch.0.join("pids");
    let script = format!("sleep 600 & echo $! $$ > {}; wait", pids.display());
    let timeout = Duration::from_millis(700);
    let found = exec(&["sh", "-c", &script], timeout).await;
    assert_eq!(found, Finding::Failed("sh for 192.0.2.10: no answer within 700ms".to_owned()));
    let text = fs::read_to_string(&pids).unwrap();
    for pid in text.split_whitespace() {
        // Gone, or a zombie that waits for whoever took it over.
        let is_gone = || match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
            Err(_) => true,
        };
        tokio::time::timeout(Duration::from_secs(5), async {
            while !is_gone() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{pid} lives"));
    }
}
