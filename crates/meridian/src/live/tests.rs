//! Screens as they are drawn: `screens/*.txt`, which `UPDATE_GOLDEN=1` writes anew.

use std::path::Path;
use std::time::Duration;

use meridian_admin::wire::Transitions;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use serde_json::{Value, json};

use super::keys::Key;
use super::look::Look;
use super::source::{All, Selected, Update};
use super::state::{Flow, Pane, State};
use super::{draw, state};

const PLAIN: Look = Look { colours: false, unicode: true };
const SECOND: Duration = Duration::from_secs(1);

//----------- A server -------------------------------------------------------

fn endpoint(cluster: &str, address: &str, observed: &str, more: &Value) -> Value {
    let reason = if observed == "unhealthy" {
        json!("GET http://192.0.2.20:8080/healthz: no answer in 500 ms")
    } else {
        Value::Null
    };
    let mut of = json!({
        "gateway": "shop", "cluster": cluster, "address": address, "hostname": null, "observed": observed,
        "forced": null, "forced_by": null, "left_percent": null, "effective": observed, "frozen": false,
        "probe": {
            "name": "web", "held_ms": 200_000, "since": "2026-01-02T03:04:05Z", "in_doubt": false, "put_off_ms": null,
            "cause": "GET http://192.0.2.20:8080/healthz: 200 (2nd of 2)",
            "last": { "result": if reason.is_null() { "good" } else { "failed" }, "reason": reason, "latency_ms": 1.25, "ago_ms": 10 },
        },
    });
    of.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    of
}

fn all(pid: u32) -> All {
    let status = json!({
        "configuration": {
            "file": "/etc/meridian/meridian.toml", "sha256": "0123456789abcdef".repeat(4),
            "accepted": "2026-01-02T03:04:05Z", "age_ms": 3_725_000, "data_age_ms": 1, "refused": null,
        },
        "isolated_for_ms": null,
        "overrides": [{
            "target": "cluster/us-*", "state": "drain", "over": "5m", "reason": "kernel update", "by": "ann",
            "since": "2026-01-02T03:04:05Z", "until": "2026-01-02T05:04:05Z", "addresses": 1,
        }],
        "gateways": [{ "name": "shop", "fail_over": null }],
        "endpoints": [
            endpoint("eu-west", "192.0.2.10", "healthy", &json!({})),
            endpoint("eu-central", "192.0.2.20", "unhealthy", &json!({})),
            endpoint("us-east", "192.0.2.30", "healthy", &json!({
                "forced": "drain", "forced_by": "cluster/us-*", "left_percent": 40.0, "effective": "degraded",
            })),
            endpoint("ap-northeast", "2001:db8::40", "unknown", &json!({ "frozen": true })),
        ],
    });
    let cluster = |name: &str, country: &str, effective: &str, forced: usize| {
        let mut addresses = json!({ "healthy": 0, "degraded": 0, "unhealthy": 0, "unknown": 0 });
        addresses[effective] = 1.into();
        json!({
            "name": name, "latitude": 0.0, "longitude": 0.0, "country": country, "jurisdictions": [],
            "effective": effective, "forced": forced, "addresses": addresses, "gateways": 1,
        })
    };
    let clusters = json!([
        cluster("eu-west", "IE", "healthy", 0),
        cluster("eu-central", "DE", "unhealthy", 0),
        cluster("us-east", "US", "degraded", 1),
        cluster("ap-northeast", "JP", "unknown", 0),
    ]);
    All {
        status: serde_json::from_value(status).unwrap(),
        clusters: serde_json::from_value(clusters).unwrap(),
        process: serde_json::from_value(json!({ "pid": pid, "version": "0.1.0", "successor": null }))
            .unwrap(),
    }
}

fn transitions(numbers: std::ops::RangeInclusive<u64>) -> Transitions {
    let last = *numbers.end();
    let items: Vec<Value> = numbers
        .map(|number| {
            json!({
                "number": number, "at": format!("2026-01-02T03:04:{:02}.123Z", number % 60),
                "endpoint": "shop/eu-central/192.0.2.20", "gateways": 1, "probe": "web", "address": "192.0.2.20",
                "from": if number == 1 { "unknown" } else { "healthy" }, "observed": "unhealthy", "forced": null,
                "effective": if number == 1 { "healthy" } else { "unhealthy" }, "cause": "no answer (3rd of 3)",
                "held_ms": null, "took_ms": null,
            })
        })
        .collect();
    serde_json::from_value(json!({ "last": last, "lost": 0, "items": items })).unwrap()
}

fn watching() -> State {
    let mut state = State::default();
    state.update(Update::All(Box::new(all(7))), Duration::ZERO);
    state.update(Update::Transitions(transitions(1..=2)), Duration::ZERO);
    state
}

fn keys(state: &mut State, text: &str) {
    text.chars().for_each(|character| assert_eq!(state.key(Key::Character(character)), Flow::On));
}

//----------- Screens --------------------------------------------------------

fn drawn(state: &mut State, (width, height): (u16, u16), look: &Look) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::screen(frame, state, 2 * SECOND, look)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(usize::from(buffer.area.width));
    let line = |row: &[ratatui::buffer::Cell]| {
        row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()
    };
    rows.map(line).collect::<Vec<_>>().join("\n") + "\n"
}

fn golden(name: &str, state: &mut State, size: (u16, u16)) {
    let found = text(&drawn(state, size, &PLAIN));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/live/screens").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(&file, found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&file).unwrap(), "{name}");
}

#[test]
fn everything_on_a_small_terminal() {
    golden("whole.txt", &mut watching(), (80, 24));
}

#[test]
fn more_on_a_large_one() {
    let mut state = watching();
    let outcomes =
        ["good", "failed", "good"].map(|result| json!({ "result": result, "latency_ms": 1.0, "ago_ms": 1 }));
    let history = json!([{
        "name": "web", "at": "192.0.2.10:8080", "timeout_ms": 500, "outcomes": outcomes,
    }]);
    let shares = json!([{ "cluster": "eu-west", "share": 0.601 }, { "cluster": null, "share": 0.399 }]);
    let selected = Selected {
        id: state::id(&state.known.as_ref().unwrap().0.status.endpoints[0]),
        history: serde_json::from_value(history).unwrap(),
        shares: serde_json::from_value(shares).unwrap(),
    };
    state.update(Update::Selected(Box::new(selected)), SECOND);
    golden("large.txt", &mut state, (140, 36));
}

#[test]
fn one_pane_where_there_is_little_room() {
    let mut state = watching();
    golden("small.txt", &mut state, (60, 10));
    state.key(Key::NextPane);
    assert_eq!(state.pane, Pane::Transitions);
    golden("small-transitions.txt", &mut state, (60, 10));
    assert_eq!(text(&drawn(&mut state, (10, 2), &PLAIN)), "too small\n\n");
    // Nothing panics, whatever the size.
    for size in (1..=90).step_by(3).flat_map(|width| (1..=30).step_by(2).map(move |height| (width, height))) {
        state.is_helping = size.0 % 2 == 0;
        drawn(&mut state, size, &PLAIN);
    }
}

#[test]
fn what_must_not_be_overlooked() {
    let mut state = watching();
    let mut loud = all(7);
    loud.status.isolated_for_ms = Some(4_000);
    loud.status.configuration.refused = serde_json::from_value(json!({
        "at": "2026-01-02T03:04:05Z", "ago_ms": 9_000,
        "issues": "meridian.toml:3:1: server.lisen: expected one of the keys listen, data_dir\nmeridian.toml:9:1: more",
    }))
    .unwrap();
    state.update(Update::All(Box::new(loud)), SECOND);
    golden("loud.txt", &mut state, (100, 24));
    let buffer = drawn(&mut state, (100, 24), &PLAIN);
    for row in [1, 2] {
        assert!(buffer[(0, row)].modifier.contains(Modifier::REVERSED), "{}", text(&buffer));
    }
}

#[test]
fn a_server_that_goes_and_comes_back() {
    let mut state = watching();
    state.update(Update::Lost("meridian.sock: no server there".to_owned()), SECOND);
    golden("lost.txt", &mut state, (80, 24));
    state.update(Update::All(Box::new(all(7))), 2 * SECOND);
    let found = text(&drawn(&mut state, (80, 24), &PLAIN));
    assert!(found.starts_with("meridian 0.1.0, process 7, live  (the server is back after 1s)\n"), "{found}");
    // Another process counts its transitions anew.
    state.update(Update::All(Box::new(all(8))), 2 * SECOND);
    state.update(Update::Transitions(transitions(1..=1)), 2 * SECOND);
    let found = text(&drawn(&mut state, (80, 24), &PLAIN));
    assert!(
        found.starts_with("meridian 0.1.0, process 8, live  (restarted: process 8 has taken over)\n"),
        "{found}"
    );
    assert_eq!(state.transitions.len(), 1);
    assert_eq!((state.notice(10 * SECOND).is_some(), state.notice(20 * SECOND)), (true, None));
}

//----------- Keys -----------------------------------------------------------

#[test]
fn a_filter_leaves_what_has_it() {
    let mut state = watching();
    keys(&mut state, "/CENT");
    golden("filter.txt", &mut state, (80, 24));
    keys(&mut state, "q?");
    assert_eq!(state.filter, "CENTq?");
    state.key(Key::Backspace);
    state.key(Key::Backspace);
    state.key(Key::Enter);
    assert_eq!((state.endpoints().len(), state.is_filtering), (1, false));
    // Escape takes the filter away first, and then ends.
    assert_eq!(state.key(Key::Escape), Flow::On);
    assert_eq!((state.endpoints().len(), state.key(Key::Escape)), (4, Flow::End));
}

#[test]
fn help_opens_and_closes() {
    let mut state = watching();
    keys(&mut state, "?");
    golden("help.txt", &mut state, (80, 24));
    keys(&mut state, "q");
    assert!(!state.is_helping);
    assert_eq!([Key::Character('q'), Key::Interrupt].map(|key| state.key(key)), [Flow::End; 2]);
}

#[test]
fn a_selection_stays_within_its_rows() {
    let mut state = watching();
    let selected = |state: &mut State| {
        drawn(state, (80, 24), &PLAIN);
        state.selected().map(|of| of.cluster.clone()).unwrap()
    };
    for (key, wanted) in [
        (Key::Down, "eu-central"),
        (Key::Character('j'), "us-east"),
        (Key::Character('k'), "eu-central"),
        (Key::Last, "ap-northeast"),
        (Key::Down, "ap-northeast"),
        (Key::PageUp, "eu-west"),
        (Key::Up, "eu-west"),
        (Key::Character('G'), "ap-northeast"),
    ] {
        state.key(key);
        assert_eq!(selected(&mut state), wanted, "{key:?}");
    }
    keys(&mut state, "/us-east");
    assert_eq!(selected(&mut state), "us-east");
    // Panes go in a circle, each with a selection of its own.
    state.key(Key::Escape);
    for pane in [Pane::Transitions, Pane::Overrides, Pane::Clusters, Pane::Endpoints] {
        state.key(Key::NextPane);
        assert_eq!(state.pane, pane);
    }
    state.key(Key::PaneBefore);
    assert_eq!(state.pane, Pane::Clusters);
}

//----------- Looks ----------------------------------------------------------

#[test]
fn colours_only_beside_words_and_not_where_they_are_unwanted() {
    let coloured = |look: &Look| {
        let buffer = drawn(&mut watching(), (80, 24), look);
        buffer.content().iter().filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
    };
    let with = Look { colours: true, unicode: true };
    assert!(coloured(&with) > 20);
    assert_eq!(coloured(&PLAIN), 0);
    // The same words either way.
    assert_eq!(
        text(&drawn(&mut watching(), (80, 24), &with)),
        text(&drawn(&mut watching(), (80, 24), &PLAIN))
    );
}

#[test]
fn the_environment_says_how_it_looks() {
    let look = |variables: &[(&str, &str)]| {
        Look::of_environment(|name| {
            variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(look(&[("LANG", "en_US.UTF-8")]), Look { colours: true, unicode: true });
    assert_eq!(
        look(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C"), ("NO_COLOR", "1")]),
        Look { colours: false, unicode: false }
    );
    assert_eq!(look(&[("NO_COLOR", "")]), Look { colours: true, unicode: false });
    let ascii = Look { colours: false, unicode: false };
    assert!(text(&drawn(&mut watching(), (80, 24), &ascii)).is_ascii());
}
