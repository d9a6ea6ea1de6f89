use meridian_model::{Check, FlapDamping, TcpCheck};
use proptest::prelude::*;

use super::*;
use crate::Finding;

const SECOND: Duration = Duration::from_secs(1);

fn probe(thresholds: Thresholds) -> Probe {
    Probe {
        name: "web".into(),
        check: Check::Tcp(TcpCheck::default()),
        invert: false,
        address: None,
        port: 80,
        interval: SECOND,
        fast_interval: SECOND,
        timeout: SECOND,
        thresholds,
    }
}

fn thresholds(fall: u32, rise: u32) -> Thresholds {
    Thresholds { fall, rise, ..Thresholds::default() }
}

/// `+` success, `~` degraded, `-` failure, `?` no data.
fn outcome(sign: char) -> Outcome {
    let finding = match sign {
        '+' => Finding::Good,
        '~' => Finding::Degraded("ends soon".into()),
        '-' => Finding::Failed("refused".into()),
        _ => Finding::NoData("no sample".into()),
    };
    Outcome { finding, latency: Duration::ZERO }
}

fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Unknown => '?',
        Verdict::Healthy => 'H',
        Verdict::Degraded => 'D',
        Verdict::Unhealthy => 'U',
    }
}

/// Feeds one outcome a second. Writes the verdict after each, in lower case while in doubt.
fn play(thresholds: Thresholds, outcomes: &str) -> String {
    let probe = probe(thresholds);
    let mut tracker = Tracker::default();
    let mut seconds = 0;
    outcomes
        .chars()
        .map(|sign| {
            seconds += 1;
            let now = SECOND * seconds;
            tracker.observe(&probe, &outcome(sign), now);
            let letter = letter(tracker.verdict());
            if tracker.in_doubt(&probe, now) { letter.to_ascii_lowercase() } else { letter }
        })
        .collect()
}

//----------- Tables ----------------------------------------------------------

#[test]
fn outcomes_and_verdicts() {
    for (fall, rise, hold_down_s, outcomes, wanted) in [
        // The first outcome decides at once, and leaves no doubt.
        (3, 2, 0, "+", "H"),
        (3, 2, 60, "-", "U"),
        (3, 2, 0, "----", "UUUU"),
        // `fall` in a row, not in sum.
        (3, 2, 0, "+---", "HhhU"),
        (3, 2, 0, "+--+--+---", "HhhHhhHhhU"),
        // `rise` in a row, not in sum.
        (3, 2, 0, "-++", "UuH"),
        (3, 2, 0, "-+-+-++", "UuUuUuH"),
        (3, 4, 0, "-++++", "UuuuH"),
        // A threshold of one changes at once; one of zero counts as one.
        (1, 1, 0, "+-+-", "HUHU"),
        (0, 0, 0, "+-+-", "HUHU"),
        // A change is in doubt for `hold_down`, whatever agrees with it.
        (1, 1, 3, "+------", "HuuuUUU"),
        (2, 2, 2, "+----++++", "HhuuUuhhH"),
    ] {
        let thresholds = Thresholds { hold_down: SECOND * hold_down_s, ..thresholds(fall, rise) };
        assert_eq!(play(thresholds, outcomes), wanted, "fall {fall}, rise {rise}: {outcomes}");
    }
}

#[test]
fn degraded_is_a_way_of_serving() {
    for (outcomes, wanted) in [
        ("~", "D"),
        // Down to it by `fall`, up from it by `rise`.
        ("+~~~", "HhhD"),
        ("~++", "DdH"),
        // It interrupts failures, and is interrupted by plain successes.
        ("+--~--~---", "HhhhhhhhhU"),
        ("+~~+~~~", "HhhHhhD"),
        // A recovery may end in it; the last outcome says so.
        ("-+~", "UuD"),
        ("-~+", "UuH"),
        ("~---", "DddU"),
    ] {
        assert_eq!(play(thresholds(3, 2), outcomes), wanted, "{outcomes}");
    }
}

#[test]
fn without_data_a_verdict_ends_after_fall_and_begins_with_the_first() {
    for (outcomes, wanted) in [
        ("???", "???"),
        ("?+", "?H"),
        ("+???+", "Hhh?H"),
        ("-???-", "Uuu?U"),
        // Data in between starts anew; no data is no success.
        ("+??+??", "HhhHhh"),
        ("-+?+?+", "UuuuuU"),
    ] {
        let played = play(thresholds(3, 2), outcomes);
        assert_eq!(played.to_uppercase(), wanted.to_uppercase(), "{outcomes}: {played}");
    }
    assert_eq!(play(thresholds(3, 2), "+???+"), "Hhh?H");
}

/// gdnsd's third threshold: failures add up until so many successes in a row.
#[test]
fn forgive_is_how_many_successes_forget() {
    for (forgive, outcomes, wanted) in [
        (1, "+-+-+-+", "HhHhHhH"),
        (2, "+-+-+-", "HhhhhU"),
        (2, "+-+-++-", "HhhhhHh"),
        (3, "+-++-++-", "HhhhhhhU"),
        (3, "+-+++-+++-+++", "HhhhHhhhHhhhH"),
        // Without a failure nothing is to be forgiven.
        (5, "+++", "HHH"),
    ] {
        let thresholds = Thresholds { forgive, ..thresholds(3, 2) };
        assert_eq!(play(thresholds, outcomes), wanted, "forgive {forgive}: {outcomes}");
    }
}

#[test]
fn a_recovery_can_be_asked_to_last() {
    for (rise_for_s, outcomes, wanted) in [
        (0, "-++", "UuH"),
        (3, "-+++++", "UuuuHH"),
        // Its time begins anew with each failure.
        (3, "-++-++++", "UuuUuuuH"),
    ] {
        let thresholds = Thresholds { rise_for: SECOND * rise_for_s, ..thresholds(1, 2) };
        assert_eq!(play(thresholds, outcomes), wanted, "rise_for {rise_for_s}: {outcomes}");
    }
}

#[test]
fn a_change_says_what_it_took_and_what_it_ended() {
    let probe = probe(thresholds(3, 2));
    let mut tracker = Tracker::default();
    let mut at = |seconds: u32, sign| {
        let slow = Outcome { latency: SECOND / 2, ..outcome(sign) };
        match tracker.observe(&probe, &slow, SECOND * seconds) {
            Some(Event::Changed(change)) => Some(change),
            Some(Event::Held(held)) => panic!("{held:?}"),
            None => None,
        }
    };
    let (unknown, healthy, unhealthy) = (Verdict::Unknown, Verdict::Healthy, Verdict::Unhealthy);
    let half = SECOND / 2;
    let first = Change { from: unknown, to: healthy, outcomes: 1, took: half, held: None };
    assert_eq!(at(5, '+'), Some(first));
    assert_eq!(at(6, '-'), None);
    assert_eq!(at(7, '-'), None);
    let (took, held) = (SECOND * 2 + half, Some(SECOND * 3));
    let fallen = Change { from: healthy, to: unhealthy, outcomes: 3, took, held };
    assert_eq!(at(8, '-'), Some(fallen));
    assert_eq!(at(9, '+'), None);
    let (took, held) = (SECOND + half, Some(SECOND * 2));
    let risen = Change { from: unhealthy, to: healthy, outcomes: 2, took, held };
    assert_eq!(at(10, '+'), Some(risen));
}

#[test]
fn a_clock_that_goes_back_harms_nobody() {
    let probe = probe(Thresholds { hold_down: SECOND, ..thresholds(1, 1) });
    let mut tracker = Tracker::default();
    tracker.observe(&probe, &outcome('+'), SECOND * 9);
    let event = tracker.observe(&probe, &outcome('-'), SECOND * 3);
    let Some(Event::Changed(change)) = event else { panic!("{event:?}") };
    assert_eq!((change.held, change.took), (Some(Duration::ZERO), Duration::ZERO));
    assert!(tracker.in_doubt(&probe, Duration::ZERO));
}

//----------- Flap damping ----------------------------------------------------

/// Of a target that goes up and down with every outcome, one a second: the seconds at which it was held
/// and for how long, and those at which it recovered.
fn flapping(damping: FlapDamping, seconds: u32) -> (Vec<(u32, u64)>, Vec<u32>) {
    let probe = probe(Thresholds { flap: Some(damping), ..thresholds(1, 1) });
    let mut tracker = Tracker::default();
    let (mut held, mut recovered) = (Vec::new(), Vec::new());
    for second in 0..seconds {
        let sign = if second % 2 == 0 { '+' } else { '-' };
        match tracker.observe(&probe, &outcome(sign), SECOND * second) {
            Some(Event::Held(Held { hold, .. })) => held.push((second, hold.as_secs())),
            Some(Event::Changed(change)) if change.to.serves() => recovered.push(second),
            _ => {}
        }
    }
    (held, recovered)
}

#[test]
fn what_comes_and_goes_is_held_for_a_growing_capped_time() {
    let damping = FlapDamping { changes: 4, window: SECOND * 60, hold: SECOND * 10, hold_max: SECOND * 35 };
    let (held, recovered) = flapping(damping, 120);
    // Down at 1, 3, up at 2, 4: the fifth change is let be, for it is a failure; the sixth is held.
    assert_eq!(held, [(6, 10), (20, 20), (44, 35), (84, 35)]);
    assert_eq!(recovered, [0, 2, 4, 16, 18, 40, 42, 80, 82]);
}

#[test]
fn a_quiet_time_ends_the_growth_and_slow_changes_are_no_flapping() {
    let damping = FlapDamping { changes: 2, window: SECOND * 10, hold: SECOND * 3, hold_max: SECOND * 99 };
    let probe = probe(Thresholds { flap: Some(damping), ..thresholds(1, 1) });
    let mut tracker = Tracker::default();
    let mut at = |second: u32, sign| match tracker.observe(&probe, &outcome(sign), SECOND * second) {
        Some(Event::Held(held)) => format!("held {} after {}", held.hold.as_secs(), held.changes),
        Some(Event::Changed(change)) => change.to.as_str().to_owned(),
        None => "-".to_owned(),
    };
    // A change every six seconds: two in a window, never three.
    for (second, sign) in [(0, '+'), (6, '-'), (12, '+'), (18, '-'), (24, '+'), (30, '-'), (36, '+')] {
        assert!(!at(second, sign).starts_with("held"), "{second}");
    }
    let told =
        [(60, '-'), (61, '+'), (62, '-'), (63, '+'), (64, '+'), (66, '+')].map(|(s, sign)| at(s, sign));
    assert_eq!(told, ["unhealthy", "healthy", "unhealthy", "held 3 after 4", "-", "healthy"]);
    // Twice as long soon after; as short as at first when a window has passed since.
    let told = [(67, '-'), (68, '+'), (69, '-'), (70, '+'), (76, '+')].map(|(s, sign)| at(s, sign));
    assert_eq!(told, ["unhealthy", "held 6 after 3", "-", "-", "healthy"]);
    let told = [(90, '-'), (91, '+'), (92, '-'), (93, '+')].map(|(s, sign)| at(s, sign));
    assert_eq!(told, ["unhealthy", "healthy", "unhealthy", "held 3 after 4"]);
}

#[test]
fn nothing_settles_while_a_recovery_is_put_off() {
    let damping = FlapDamping { changes: 1, window: SECOND * 60, hold: SECOND * 9, hold_max: SECOND * 9 };
    let probe = probe(Thresholds { flap: Some(damping), ..thresholds(1, 1) });
    let mut tracker = Tracker::default();
    for (second, sign) in [(0, '+'), (1, '-'), (2, '+')] {
        tracker.observe(&probe, &outcome(sign), SECOND * second);
    }
    assert_eq!(tracker.verdict(), Verdict::Unhealthy);
    assert_eq!(tracker.held_for(SECOND * 5), Some(SECOND * 6));
    assert!(!tracker.is_settling(SECOND * 5) && !tracker.in_doubt(&probe, SECOND * 5));
    assert!(tracker.is_settling(SECOND * 11) && tracker.held_for(SECOND * 11).is_none());
}

//----------- Against a naive model -------------------------------------------

/// The verdict and the doubt from the whole list of outcomes, one a second: the verdict is that of the
/// first outcome with data until enough that speak for another, counted backwards, say otherwise.
/// `is_first`: no verdict came before, else the first outcome is the one that ended it.
fn naive(thresholds: &Thresholds, outcomes: &[char], is_first: bool) -> (Verdict, bool) {
    let is_young = |since: usize| {
        let seconds = u32::try_from(outcomes.len() - 1 - since).unwrap();
        !is_first && SECOND * seconds < thresholds.hold_down
    };
    let Some(first) = outcomes.iter().position(|sign| *sign != '?') else {
        return (Verdict::Unknown, !outcomes.is_empty() && is_young(0));
    };
    let verdict = outcome(outcomes[first]).finding.verdict();
    let rest = &outcomes[first + 1..];
    for end in 1..=rest.len() {
        let so_far = &rest[..end];
        let last = outcome(so_far[end - 1]).finding.verdict();
        if last != verdict && count(thresholds, verdict, so_far) >= needed(thresholds, verdict, last) {
            return naive(thresholds, &rest[end - 1..], false);
        }
    }
    let is_counting = rest.last().is_some_and(|&sign| {
        outcome(sign).finding.verdict() != verdict || verdict.serves() && failures(thresholds, rest) > 0
    });
    (verdict, is_counting || is_young(first))
}

/// How many outcomes at the end speak for what the last one does.
fn count(thresholds: &Thresholds, verdict: Verdict, outcomes: &[char]) -> usize {
    let row = |of: &str| outcomes.iter().rev().take_while(|sign| of.contains(**sign)).count();
    match (verdict.serves(), outcomes.last()) {
        (true, Some('-')) => failures(thresholds, outcomes),
        (_, Some('?')) => row("?"),
        (true, Some('~')) => row("~"),
        (true, Some('+')) => row("+"),
        _ => row("+~"),
    }
}

/// Failures behind the last row of successes that was long enough to forget those before it.
fn failures(thresholds: &Thresholds, outcomes: &[char]) -> usize {
    let (mut failures, mut row) = (0, 0);
    for sign in outcomes.iter().rev() {
        match sign {
            '-' => (failures, row) = (failures + 1, 0),
            '?' => row = 0,
            _ => row += 1,
        }
        if row >= thresholds.forgive {
            break;
        }
    }
    failures
}

fn needed(thresholds: &Thresholds, verdict: Verdict, to: Verdict) -> usize {
    let is_better = to.serves() && (!verdict.serves() || to == Verdict::Healthy);
    if is_better { thresholds.rise as usize } else { thresholds.fall as usize }
}

proptest! {
    #[test]
    fn as_the_whole_list_says(
        outcomes in prop::collection::vec(prop::sample::select(&['+', '+', '+', '-', '-', '~', '?'][..]), 0..40),
        fall in 1u32..5,
        rise in 1u32..5,
        forgive in 1u32..4,
        hold_down_s in 0u32..6,
    ) {
        let thresholds = Thresholds { forgive, hold_down: SECOND * hold_down_s, ..thresholds(fall, rise) };
        let probe = probe(thresholds.clone());
        let mut tracker = Tracker::default();
        let mut now = Duration::ZERO;
        for (index, sign) in outcomes.iter().enumerate() {
            now += SECOND;
            let before = tracker.verdict();
            let event = tracker.observe(&probe, &outcome(*sign), now);
            let (verdict, in_doubt) = naive(&thresholds, &outcomes[..=index], true);
            prop_assert_eq!(tracker.verdict(), verdict, "{:?}", &outcomes[..=index]);
            prop_assert_eq!(tracker.in_doubt(&probe, now), in_doubt, "{:?}", &outcomes[..=index]);
            let change = event.map(|event| match event {
                Event::Changed(change) => (change.from, change.to),
                Event::Held(held) => panic!("{held:?}"),
            });
            prop_assert_eq!(change, (before != verdict).then_some((before, verdict)));
        }
    }
}

//----------- Sporadic failures -----------------------------------------------

/// An hour of probes a second, of which 1 % fail at random: no change with `fall = 3`, in 100 such hours
/// of which chance alone would give 0.4 with three failures in a row.
#[test]
fn sporadic_failures_change_nothing_for_an_hour() {
    let probe = probe(thresholds(3, 2));
    let mut random = fastrand::Rng::with_seed(1);
    let mut tracker = Tracker::default();
    tracker.observe(&probe, &outcome('+'), Duration::ZERO);
    let mut failures = 0;
    for second in 1..=3600 {
        let fails = random.f64() < 0.01;
        failures += u32::from(fails);
        let event = tracker.observe(&probe, &outcome(if fails { '-' } else { '+' }), SECOND * second);
        assert_eq!(event, None, "after {second} s");
    }
    assert!((20..60).contains(&failures), "{failures}");
}

//----------- The table in the README ------------------------------------------

/// The machine as a Markdown table, from [`step`] itself.
fn table() -> String {
    let mut table =
        String::from("| verdict | success | degraded | failure | no data |\n|---|---|---|---|---|\n");
    let verdicts = [Verdict::Unknown, Verdict::Healthy, Verdict::Degraded, Verdict::Unhealthy];
    for verdict in verdicts {
        table += &format!("| {}", verdict.as_str());
        for speaks_for in [Verdict::Healthy, Verdict::Degraded, Verdict::Unhealthy, Verdict::Unknown] {
            let cell = match step(verdict, speaks_for) {
                Step::Agree => "stays".to_owned(),
                Step::Become(to) => format!("**{}** at once", to.as_str()),
                Step::Fall(to) => format!("`fall`: **{}**", to.as_str()),
                Step::Rise(to) => format!("`rise`: **{}**", to.as_str()),
            };
            table += &format!(" | {cell}");
        }
        table += " |\n";
    }
    table
}

#[test]
fn the_readme_has_the_table() {
    let table = table();
    assert!(include_str!("../../README.md").contains(&table), "README.md lacks this table:\n{table}");
}
