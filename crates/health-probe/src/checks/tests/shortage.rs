//! What this machine is short of says nothing of whom it probes.

use std::fs::File;
use std::io;

use meridian_model::{ExecCheck, Tls};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::kept::{Counting, Does};
use super::*;
use crate::checks::descriptors;

const IN_A_CHILD: &str = "MERIDIAN_TEST_WITH_FEW_DESCRIPTORS";

/// The limit is a process's own, so another runs the test of this name, and nothing beside it.
fn with_descriptors(limit: u64, name: &str, test: impl FnOnce()) {
    if env::var_os(IN_A_CHILD).is_some() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
        return test();
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", &format!("checks::tests::shortage::{name}"), "--nocapture"]);
    let output = child.env(IN_A_CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{error}");
}

fn run_alone(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn connections_are_kept_as_far_as_descriptors_go() {
    with_descriptors(96, "connections_are_kept_as_far_as_descriptors_go", || {
        assert_eq!((descriptors::under_way_max(), descriptors::kept_max()), (48, 24));
        run_alone(async {
            let server = Counting::start(&[Does::Answers(OK)]).await;
            let check = HttpCheck { keep_alive: true, ..HttpCheck::default() };
            let probe = probe(server.at.port(), Check::Http(Box::new(check)));
            let prepared = Prepared::new(&NetworkChecker, Arc::new(probe));
            for accepted in [30, 36, 42] {
                for last in 1..=30 {
                    let at = SocketAddr::from(([127, 0, 0, last], server.at.port()));
                    assert_eq!(check::run(&NetworkChecker, &prepared, at).await.finding, Finding::Good);
                }
                assert_eq!(server.accepted(), accepted, "24 of 30 are kept");
            }
        });
    });
}

#[test]
fn without_descriptors_nothing_is_known() {
    with_descriptors(64, "without_descriptors_nothing_is_known", without_descriptors);
}

fn without_descriptors() {
    assert_eq!((descriptors::under_way_max(), descriptors::kept_max()), (32, 16));
    run_alone(async {
        let server = serve("127.0.0.1:0", Behaviour::Send(OK)).await;
        let at = server.address;
        let web = |tls| Check::Http(Box::new(HttpCheck { tls, ..HttpCheck::default() }));
        let command = vec!["/bin/true".into()];
        let checks = [
            web(None),
            web(Some(Tls::default())),
            Check::Tcp(TcpCheck::default()),
            Check::Tls(Tls::default()),
            Check::Exec(ExecCheck { command }),
        ];
        let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        for check in checks {
            let outcome = run(&probe(at.port(), check), at).await;
            let Finding::NoData(cause) = &outcome.finding else { panic!("{outcome:?}") };
            let wanted = "not checked, this server is short of file descriptors of this process";
            assert!(cause.ends_with(wanted), "{cause}");
        }
        // An inverted probe does not take it for the failure that it wants.
        let inverted = Probe { invert: true, ..probe(at.port(), web(None)) };
        assert!(matches!(run(&inverted, at).await.finding, Finding::NoData(_)));
        drop(taken);
        assert_eq!(run(&probe(at.port(), web(None)), at).await.finding, Finding::Good);
    });
}

#[test]
fn ports_and_memory_are_this_machines_too() {
    for (errno, words) in [
        (Errno::EMFILE, "file descriptors of this process"),
        (Errno::ENFILE, "file descriptors"),
        (Errno::EADDRNOTAVAIL, "local addresses and ports"),
        (Errno::ENOBUFS, "memory for connections"),
        (Errno::ENOMEM, "memory for connections"),
    ] {
        let found = failure(&io::Error::from(errno));
        assert_eq!(found, Finding::NoData(format!("not checked, this server is short of {words}")));
    }
    for errno in [Errno::ECONNREFUSED, Errno::ECONNRESET, Errno::EHOSTUNREACH, Errno::ETIMEDOUT] {
        assert!(matches!(failure(&io::Error::from(errno)), Finding::Failed(_)), "{errno}");
    }
}
