//! Half of the targets mean harm: what the others notice of it.

use super::*;

/// Every way in which a check can end or not, with as many of each.
const HOSTILE: [Answer; 6] = [
    Answer::Hangs,
    Answer::Slow(Duration::from_millis(499)),
    Answer::Slow(Duration::from_millis(501)),
    Answer::Down,
    Answer::Panics,
    Answer::Degraded,
];

#[tokio::test(start_paused = true)]
async fn the_others_keep_their_slots() {
    // As many as leave some places: those that take their whole time are 300, for half a second each.
    let targets = addresses(1200);
    let (good, hostile) = targets.split_at(600);
    let mut probes_of_good = Vec::new();
    for is_hostile in [false, true] {
        let script = Script::default();
        if is_hostile {
            for (address, answer) in hostile.iter().zip(HOSTILE.iter().cycle()) {
                script.tell(*address, *answer);
            }
        }
        let run = Run::start(&catalog(probe(), &targets), &script);
        pass(SECOND * 30).await;
        let starts: Vec<Vec<Instant>> = good.iter().map(|target| script.starts_of(*target)).collect();
        for (target, starts) in good.iter().zip(&starts) {
            for pair in starts[1..].windows(2) {
                let apart = pair[1] - pair[0];
                assert!((MS * 899..MS * 1102).contains(&apart), "{target}: {apart:?}");
            }
        }
        probes_of_good.push(starts.iter().map(Vec::len).sum::<usize>());
        let Counts { late, skipped, .. } = run.counts();
        assert_eq!((late, skipped), (0, 0), "hostile: {is_hostile}");
        assert!((0..600).all(|target| run.verdict(target) == Verdict::Healthy));
    }
    // Jitter alone moves a start over the end of the half minute.
    assert!(probes_of_good[0].abs_diff(probes_of_good[1]) <= 60, "{probes_of_good:?}");
}
