//! Names that lead where they must not.

use super::*;

const REFUSED: &str = "WARN neither probed nor answered: loopback, link-local and metadata addresses from a \
                       name need `allow` under [resolver] endpoint=\"shop/eu-west\" name=lb.example. addresses=";

fn warnings(run: &Run) -> Vec<String> {
    run.lines.take().into_iter().filter(|line| line.starts_with("WARN")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_name_that_rebinds_keeps_its_last_good_addresses() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 10), NO_DATA);
    let mut run = Run::after_first_round(&one(), &script).await;
    script.tell("lb.example", is(&["169.254.169.254"], 10), is(&["::ffff:127.0.0.1"], 10));
    let changed = run.next().await;
    assert_eq!(run.addresses(0), parse(&["192.0.2.1"]));
    assert!(run.is_in_doubt(0) && !run.is_lost(0), "{changed:?}");
    // Said once, counted each time.
    pass(SECOND * 300).await;
    let warnings = warnings(&run);
    assert_eq!(warnings[0], format!("{REFUSED}[169.254.169.254, ::ffff:127.0.0.1]"));
    assert_eq!(warnings.iter().filter(|line| line.contains("neither probed")).count(), 1, "{warnings:?}");
    let refused = run.counts().refused;
    assert!(refused >= 20 && refused % 2 == 0, "{refused}");
    run.next().await;
    assert!(run.is_lost(0), "as any name that does not resolve");
    assert_eq!(run.addresses(0), parse(&["192.0.2.1"]));
}

#[tokio::test(start_paused = true)]
async fn the_others_of_a_name_stay() {
    let script = Script::of("lb.example", is(&["127.0.0.1", "192.0.2.1"], 10), is(&["fe80::1"], 10));
    let run = Run::after_first_round(&one(), &script).await;
    assert_eq!(run.addresses(0), parse(&["192.0.2.1"]));
    assert!(!run.is_lost(0));
    assert_eq!(warnings(&run), [format!("{REFUSED}[127.0.0.1, fe80::1]")]);
}

#[tokio::test(start_paused = true)]
async fn an_owner_who_goes_to_and_fro_is_warned_of_once_an_address() {
    let script = Script::of("lb.example", is(&["127.0.0.1"], 10), NO_DATA);
    let run = Run::after_first_round(&one(), &script).await;
    for last in 1..=200_u8 {
        script.tell("lb.example", is(&[&format!("127.0.0.{}", last % 3), "192.0.2.1"], 5), NO_DATA);
        pass(SECOND * 6).await;
    }
    let lines = warnings(&run);
    assert_eq!(lines.iter().filter(|line| line.contains("neither probed")).count(), 3, "{lines:?}");
    // And an endless supply of addresses ends.
    for last in 1..=200_u8 {
        script.tell("lb.example", is(&[&format!("127.9.9.{last}"), "192.0.2.1"], 5), NO_DATA);
        pass(SECOND * 6).await;
    }
    assert!(warnings(&run).len() <= crate::limits::ADDRESSES_MAX);
}

#[tokio::test(start_paused = true)]
async fn what_is_allowed_is_an_address_as_any() {
    let script = Script::of("lb.example", is(&["127.0.0.1", "127.1.0.1"], 10), is(&["::1"], 10));
    let mut run = Run::allowing(&["127.0.0.0/16", "::1/128"], &one(), &script);
    run.next().await;
    assert_eq!(run.addresses(0), parse(&["127.0.0.1", "::1"]));
    assert_eq!(warnings(&run), [format!("{REFUSED}[127.1.0.1]")]);
}

#[tokio::test(start_paused = true)]
async fn what_the_file_itself_gives_is_not_asked_about() {
    let base = catalog(vec![fixed(&["127.0.0.1", "169.254.1.1", "::1"])]);
    let run = Run::after_first_round(&base, &Script::default()).await;
    assert_eq!(run.addresses(0), parse(&["127.0.0.1", "169.254.1.1", "::1"]));
    assert_eq!(warnings(&run), [""; 0]);
}
