use meridian_model::Check;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn probe(fall: u32, rise: u32, hold_down: Duration) -> Probe {
    Probe {
        name: "web".into(),
        check: Check::Tcp,
        port: 80,
        interval: SECOND,
        timeout: SECOND,
        fall,
        rise,
        hold_down,
    }
}

fn outcome(success: bool) -> Outcome {
    Outcome { result: if success { Ok(()) } else { Err("refused".into()) }, latency: Duration::ZERO }
}

/// Feeds one outcome a second (`+` success, `-` failure). Writes the verdict after each: `H`, `U`,
/// in lower case while in doubt.
fn play(probe: &Probe, outcomes: &str) -> String {
    let mut tracker = Tracker::default();
    let mut seconds = 0;
    outcomes
        .chars()
        .map(|sign| {
            seconds += 1;
            let now = SECOND * seconds;
            tracker.observe(probe, &outcome(sign == '+'), now);
            let letter = match tracker.verdict() {
                Verdict::Unknown => '?',
                Verdict::Healthy => 'H',
                Verdict::Unhealthy => 'U',
            };
            if tracker.in_doubt(probe, now) { letter.to_ascii_lowercase() } else { letter }
        })
        .collect()
}

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
        let probe = probe(fall, rise, SECOND * hold_down_s);
        assert_eq!(play(&probe, outcomes), wanted, "fall {fall}, rise {rise}: {outcomes}");
    }
}

#[test]
fn a_change_says_what_it_took_and_what_it_ended() {
    let probe = probe(3, 2, Duration::ZERO);
    let mut tracker = Tracker::default();
    let mut at = |seconds: u32, success| tracker.observe(&probe, &outcome(success), SECOND * seconds);
    let (unknown, healthy, unhealthy) = (Verdict::Unknown, Verdict::Healthy, Verdict::Unhealthy);
    assert_eq!(at(5, true), Some(Change { from: unknown, to: healthy, outcomes: 1, held: None }));
    assert_eq!(at(6, false), None);
    assert_eq!(at(7, false), None);
    let fallen = Change { from: healthy, to: unhealthy, outcomes: 3, held: Some(SECOND * 3) };
    assert_eq!(at(8, false), Some(fallen));
    assert_eq!(at(9, true), None);
    let risen = Change { from: unhealthy, to: healthy, outcomes: 2, held: Some(SECOND * 2) };
    assert_eq!(at(10, true), Some(risen));
}

#[test]
fn a_clock_that_goes_back_harms_nobody() {
    let probe = probe(1, 1, SECOND);
    let mut tracker = Tracker::default();
    tracker.observe(&probe, &outcome(true), SECOND * 9);
    let change = tracker.observe(&probe, &outcome(false), SECOND * 3).unwrap();
    assert_eq!(change.held, Some(Duration::ZERO));
    assert!(tracker.in_doubt(&probe, Duration::ZERO));
}

//----------- Against a naive model -------------------------------------------

/// The verdict and the doubt from the whole list of outcomes, one a second: the verdict is that of
/// the first outcome until a row of contrary ones, long enough, ends.
fn naive(probe: &Probe, outcomes: &[bool]) -> (Verdict, bool) {
    let Some((&first, rest)) = outcomes.split_first() else { return (Verdict::Unknown, false) };
    let of = |success| if success { Verdict::Healthy } else { Verdict::Unhealthy };
    let threshold = |success| if success { probe.rise } else { probe.fall } as usize;
    for end in 1..=rest.len() {
        let row = rest[..end].iter().rev().take_while(|success| **success != first).count();
        if row >= threshold(!first) {
            // From here on the same question again, with the contrary verdict for a start.
            let (verdict, in_doubt) = naive(probe, &rest[end - 1..]);
            let seconds_since = u32::try_from(rest.len() - end).unwrap();
            return (verdict, in_doubt || SECOND * seconds_since < probe.hold_down);
        }
    }
    (of(first), rest.last().is_some_and(|last| *last != first))
}

proptest! {
    #[test]
    fn as_the_whole_list_says(
        outcomes in prop::collection::vec(any::<bool>(), 0..40),
        fall in 1u32..5,
        rise in 1u32..5,
        hold_down_s in 0u32..6,
    ) {
        let probe = probe(fall, rise, SECOND * hold_down_s);
        let mut tracker = Tracker::default();
        let mut now = Duration::ZERO;
        for (index, success) in outcomes.iter().enumerate() {
            now += SECOND;
            let before = tracker.verdict();
            let change = tracker.observe(&probe, &outcome(*success), now);
            let (verdict, in_doubt) = naive(&probe, &outcomes[..=index]);
            prop_assert_eq!(tracker.verdict(), verdict);
            prop_assert_eq!(tracker.in_doubt(&probe, now), in_doubt);
            prop_assert_eq!(change.map(|change| (change.from, change.to)),
                (before != verdict).then_some((before, verdict)));
        }
    }
}

//----------- The table in the README ------------------------------------------

/// The machine as a Markdown table, from [`step`] itself.
fn table() -> String {
    let mut table = String::from("| verdict | outcome | in a row | then |\n|---|---|---|---|\n");
    for verdict in [Verdict::Unknown, Verdict::Healthy, Verdict::Unhealthy] {
        for success in [true, false] {
            let word = if success { "success" } else { "failure" };
            let threshold = if success { "rise" } else { "fall" };
            let [fewer, enough] = [false, true].map(|enough| match step(verdict, success, enough) {
                Step::Become(verdict) => format!("**{}**, count 0", verdict.as_str()),
                Step::Count => format!("{}, count + 1, in doubt", verdict.as_str()),
                Step::Reset => format!("{}, count 0", verdict.as_str()),
            });
            let verdict = verdict.as_str();
            if fewer == enough {
                table += &format!("| {verdict} | {word} | any | {enough} |\n");
            } else {
                table += &format!("| {verdict} | {word} | fewer than `{threshold}` | {fewer} |\n");
                table += &format!("| {verdict} | {word} | `{threshold}` | {enough} |\n");
            }
        }
    }
    table
}

#[test]
fn the_readme_has_the_table() {
    let table = table();
    assert!(include_str!("../../README.md").contains(&table), "README.md lacks this table:\n{table}");
}
