//! Snapshots look at what may have changed alone, and miss nothing.

use meridian_model::{FlapDamping, Isolation};

use super::*;

/// Verdicts change, doubts end and recoveries are put off, while the snapshots of others leave. That each says what
/// a look at every slot would, the engine itself asserts in tests: here, that it lived.
#[tokio::test(start_paused = true)]
async fn what_changes_by_the_passage_of_time_is_in_the_next_snapshot() {
    let flap = FlapDamping { changes: 2, window: SECOND * 20, hold: MS * 3300, hold_max: SECOND * 7 };
    let thresholds = Thresholds {
        fall: 2,
        rise: 2,
        forgive: 2,
        hold_down: MS * 1700,
        flap: Some(flap),
        ..Thresholds::default()
    };
    for isolation in [None, Some(Isolation { min_clusters: Some(1), ..Isolation::default() })] {
        let (script, all) = (Script::default(), addresses(8));
        let parts = CatalogParts {
            clusters: vec![cluster()],
            probes: vec![Probe { thresholds: thresholds.clone(), ..probe() }],
            gateways: vec![gateway("shop", &all)],
            isolation,
            ..CatalogParts::default()
        };
        let run = Run::after_first_round(&Arc::new(Catalog::new(parts)), &script).await;
        let mut random = Rng::with_seed(7);
        for _ in 0..400 {
            let answer = if random.u8(..3) == 0 { Answer::Down } else { Answer::Up };
            script.tell(all[random.usize(..all.len())], answer);
            if random.u8(..40) == 0 {
                script.tell_all(&all, answer);
            }
            pass(MS * random.u32(100..1500)).await;
        }
        let counts = run.counts();
        assert!(counts.snapshots > 200 && counts.held > 0, "{counts:?}");
        assert_eq!(counts.isolations > 0, isolation.is_some());
        let before = counts.probes;
        pass(SECOND * 2).await;
        assert!(run.counts().probes > before, "the engine has ended");
    }
}
