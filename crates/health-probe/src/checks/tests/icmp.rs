//! Echoes on the loopback. Where the kernel forbids them, what is said of that is tested in their stead.

use super::*;

async fn echo(address: &str, timeout: Duration) -> Finding {
    let probe = Probe { timeout, ..probe(0, Check::Icmp) };
    run(&probe, SocketAddr::new(address.parse().unwrap(), 0)).await.finding
}

#[tokio::test]
async fn an_address_replies_or_the_kernel_forbids_asking() {
    for address in ["127.0.0.1", "127.99.0.1", "::1"] {
        let found = echo(address, Duration::from_secs(5)).await;
        match permitted(&probe(0, Check::Icmp)) {
            Ok(()) => assert_eq!(found, Finding::Good, "{address}"),
            Err(why) => {
                assert!(why.contains("net.ipv4.ping_group_range"), "{why}");
                assert_eq!(found, Finding::NoData(format!("echo to {address}: {why}")));
            }
        }
    }
}

/// All at once over one address: each takes its own reply and no other.
#[tokio::test]
async fn many_echoes_do_not_take_each_other_for_their_own() {
    if permitted(&probe(0, Check::Icmp)).is_err() {
        return;
    }
    let echoes: Vec<_> = (0..50).map(|_| tokio::spawn(echo("127.0.0.1", Duration::from_secs(5)))).collect();
    for echo in echoes {
        assert_eq!(echo.await.unwrap(), Finding::Good);
    }
}

//----------- In a network of its own ----------------------------------------------------

/// Set where a test runs once more, in a network of its own.
const ALONE: &str = "MERIDIAN_TEST_ALONE";

/// Runs one of these tests once more in a network of its own, which has a loopback that is down. Says so
/// where this machine gives nobody one.
fn alone(test: &str, prepare: &str) {
    let script = format!("{{ {prepare}; }} >/dev/null 2>&1 || exit 77; exec \"$0\" --exact \"$1\"");
    let mut shell = Command::new("unshare");
    shell.args(["--map-root-user", "--net", "sh", "-c", &script]).arg(env::current_exe().unwrap());
    let output = match shell.arg(format!("checks::tests::icmp::{test}")).env(ALONE, "1").output() {
        Ok(output) => output,
        Err(error) => return eprintln!("not tested, without unshare: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(77) || said.is_empty() {
        return eprintln!("not tested: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn an_address_that_cannot_be_reached_fails_with_the_reason() {
    if env::var_os(ALONE).is_none() {
        return alone("an_address_that_cannot_be_reached_fails_with_the_reason", "true");
    }
    let found = echo("192.0.2.1", Duration::from_secs(5)).await;
    assert_eq!(found, Finding::Failed("echo to 192.0.2.1: no route to the network".to_owned()));
}

/// The two kinds of sockets, whatever this machine allows: where the sysctl allows it the one without
/// privilege, and where not the raw one.
#[tokio::test]
async fn by_the_sysctl_and_by_the_capability() {
    if env::var_os(ALONE).is_none() {
        let test = "by_the_sysctl_and_by_the_capability";
        alone(test, "ip link set lo up && echo 0 0 >/proc/sys/net/ipv4/ping_group_range");
        // In a new network the sysctl has no group.
        return alone(test, "ip link set lo up");
    }
    for address in ["127.0.0.1", "::1"] {
        assert_eq!(echo(address, Duration::from_secs(5)).await, Finding::Good, "{address}");
    }
}
