//! A prober that is cut off.

use meridian_model::Isolation;

use super::*;

/// One gateway over so many clusters, cluster n with the nth address of the list alone.
fn clusters(addresses: &[IpAddr], rule: Option<Isolation>, probe: Probe) -> Arc<Catalog> {
    let names = (0..addresses.len()).map(|index| Cluster { name: format!("c{index}").into(), ..cluster() });
    let mut shop = gateway("shop", &[]);
    shop.endpoints = addresses
        .iter()
        .enumerate()
        .map(|(index, address)| Endpoint {
            cluster: ClusterId::from_index(index),
            ..gateway("", &[*address]).endpoints.remove(0)
        })
        .collect();
    let parts = CatalogParts {
        clusters: names.collect(),
        probes: vec![probe],
        gateways: vec![shop],
        isolation: rule,
        ..CatalogParts::default()
    };
    Arc::new(Catalog::new(parts))
}

fn verdicts(run: &Run, count: usize) -> Vec<Verdict> {
    (0..count).map(|target| run.verdict(target)).collect()
}

const ON: Option<Isolation> = Some(Isolation { min_clusters: None, window: None });

#[tokio::test(start_paused = true)]
async fn when_everything_fails_at_once_verdicts_freeze_until_something_answers() {
    let script = Script::default();
    let all = addresses(3);
    let mut run = Run::after_first_round(&clusters(&all, ON, probe()), &script).await;
    run.lines.take();
    run.transitions();
    script.tell_all(&all, Answer::Hangs);
    pass(SECOND * 60).await;
    assert_eq!(verdicts(&run, 3), [Verdict::Healthy; 3]);
    assert!(run.health(0).in_doubt, "nobody is to keep such an answer for long");
    let counts = run.counts();
    assert_eq!((counts.isolations, counts.isolated), (1, 1));
    let told = run.transitions();
    assert_eq!(told.len(), 3);
    for transition in &told {
        assert_eq!((transition.observed, transition.effective), (Verdict::Unhealthy, Verdict::Healthy));
    }
    let warned = |lines: Vec<String>| lines.iter().filter(|line| line.starts_with("WARN")).count();
    assert_eq!(warned(run.lines.take()), 1);

    // One answers again; the two others are really dead, and are believed to be after `fall` more failures.
    script.tell(all[1], Answer::Up);
    pass(SECOND * 2).await;
    assert_eq!((run.counts().isolated, verdicts(&run, 3)), (0, vec![Verdict::Healthy; 3]));
    assert_eq!(warned(run.lines.take()), 1);
    pass(SECOND * 3).await;
    assert_eq!(verdicts(&run, 3), [Verdict::Unhealthy, Verdict::Healthy, Verdict::Unhealthy]);
}

#[tokio::test(start_paused = true)]
async fn what_fell_in_the_same_window_is_taken_back() {
    let script = Script::default();
    let all = addresses(3);
    let quick = Probe { thresholds: fall_at_once(), ..probe() };
    let mut run = Run::after_first_round(&clusters(&all, ON, quick), &script).await;
    run.transitions();
    script.tell_all(&all, Answer::Down);
    pass(SECOND * 3).await;
    assert_eq!(verdicts(&run, 3), [Verdict::Healthy; 3]);
    let told = run.transitions();
    let taken_back: Vec<&str> = told
        .iter()
        .filter(|transition| transition.from == Verdict::Unhealthy)
        .map(|transition| &*transition.cause)
        .collect();
    assert_eq!(taken_back, ["taken back: this server seems to be cut off"; 2]);
    script.tell_all(&all, Answer::Up);
    pass(SECOND * 3).await;
    assert_eq!((run.counts().isolated, verdicts(&run, 3)), (0, vec![Verdict::Healthy; 3]));
}

#[tokio::test(start_paused = true)]
async fn clusters_that_fail_one_after_the_other_are_believed() {
    let script = Script::default();
    let all = addresses(3);
    let run = Run::after_first_round(&clusters(&all, ON, probe()), &script).await;
    for address in &all {
        script.tell(*address, Answer::Down);
        pass(SECOND * 10).await;
    }
    assert_eq!((verdicts(&run, 3), run.counts().isolations), (vec![Verdict::Unhealthy; 3], 0));
}

/// One cluster was dead before: the others are all that served. And a single one is never enough.
#[tokio::test(start_paused = true)]
async fn only_what_served_counts() {
    for (already_dead, isolations) in [(1, 1), (2, 0)] {
        let script = Script::default();
        let all = addresses(3);
        script.tell_all(&all[..already_dead], Answer::Down);
        let run = Run::after_first_round(&clusters(&all, ON, probe()), &script).await;
        script.tell_all(&all, Answer::Down);
        pass(SECOND * 10).await;
        assert_eq!(run.counts().isolations, isolations, "{already_dead} dead before");
        let served = if isolations == 1 { Verdict::Healthy } else { Verdict::Unhealthy };
        assert_eq!((run.verdict(0), run.verdict(2)), (Verdict::Unhealthy, served));
    }
}

#[tokio::test(start_paused = true)]
async fn how_many_are_too_many_can_be_said_and_so_can_never() {
    let two_of_three = Some(Isolation { min_clusters: Some(2), window: None });
    for (rule, verdict) in
        [(two_of_three, Verdict::Healthy), (ON, Verdict::Unhealthy), (None, Verdict::Unhealthy)]
    {
        let script = Script::default();
        let all = addresses(3);
        let run = Run::after_first_round(&clusters(&all, rule, probe()), &script).await;
        script.tell_all(&all[..2], Answer::Down);
        pass(SECOND * 10).await;
        assert_eq!(verdicts(&run, 3), [verdict, verdict, Verdict::Healthy], "{rule:?}");
    }
    let script = Script::default();
    let all = addresses(2);
    let run = Run::after_first_round(&clusters(&all, None, probe()), &script).await;
    script.tell_all(&all, Answer::Down);
    pass(SECOND * 10).await;
    assert_eq!(verdicts(&run, 2), [Verdict::Unhealthy; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_suspicion_and_the_frozen_verdicts() {
    let script = Script::default();
    let all = addresses(3);
    let mut run = Run::after_first_round(&clusters(&all, ON, probe()), &script).await;
    script.tell_all(&addresses(4), Answer::Down);
    pass(SECOND * 10).await;
    run.snapshots.mark_unchanged();
    run.handle.replace(clusters(&addresses(4), ON, probe()));
    run.next_snapshot().await;
    // What is new never served, so there is nothing to hold on to.
    let frozen = [Verdict::Healthy, Verdict::Healthy, Verdict::Healthy, Verdict::Unhealthy];
    assert_eq!((verdicts(&run, 4), run.counts().isolated), (frozen.to_vec(), 1));
    script.tell_all(&addresses(4), Answer::Up);
    pass(SECOND * 3).await;
    assert_eq!((verdicts(&run, 4), run.counts().isolated), (vec![Verdict::Healthy; 4], 0));
}
