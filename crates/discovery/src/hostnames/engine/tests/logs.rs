//! What is logged, and how often.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// What was logged at INFO and above, a line an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Logs of this thread go here until the guard is dropped.
    pub(super) fn capture() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    /// The lines since the last call.
    pub(super) fn take(&self) -> Vec<String> {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(text).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_one_line_and_a_lookup_is_none() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 10), NO_DATA);
    // Two endpoints that differ in `stale_for` say it once.
    let base = catalog(vec![hostname("lb.example", HOUR), hostname("lb.example", HOUR * 2)]);
    let mut run = Run::after_first_round(&base, &script).await;
    pass(SECOND * 300).await;
    assert_eq!(
        run.lines.take(),
        ["INFO addresses changed name=lb.example. before=[] after=[192.0.2.1] ttl=10 \
          cause=\"A: 1 address; AAAA: no data\""]
    );
    script.tell("lb.example", is(&["192.0.2.2"], 10), NO_DATA);
    run.next().await;
    let lines = run.lines.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("before=[192.0.2.1] after=[192.0.2.2]"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_warned_of_once_and_so_is_their_end() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 10), NO_DATA);
    let mut run = Run::after_first_round(&one(), &script).await;
    run.lines.take();
    script.tell("lb.example", servfail(), servfail());
    run.next().await;
    pass(SECOND * 300).await;
    assert_eq!(
        run.lines.take(),
        ["WARN does not resolve: its last addresses hold for stale_for name=lb.example. failures=3 \
          cause=\"SERVFAIL\""]
    );
    run.next().await;
    assert_eq!(
        run.lines.take(),
        ["WARN does not resolve: lost, its endpoints count as unhealthy name=lb.example. stale_for=3600s \
          cause=\"SERVFAIL\""]
    );
    script.tell("lb.example", is(&["192.0.2.1"], 10), NO_DATA);
    run.next().await;
    assert_eq!(run.lines.take(), ["INFO found again name=lb.example. cause=\"A: 1 address; AAAA: no data\""]);
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_no_news() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 10), NO_DATA);
    let run = Run::after_first_round(&one(), &script).await;
    run.lines.take();
    script.tell("lb.example", servfail(), servfail());
    pass(SECOND * 11).await;
    script.tell("lb.example", is(&["192.0.2.1"], 10), NO_DATA);
    pass(SECOND * 60).await;
    assert_eq!(run.counts().failures, 1);
    assert!(run.lines.take().is_empty());

    script.tell("lb.example", servfail(), servfail());
    pass(SECOND * 60).await;
    script.tell("lb.example", is(&["192.0.2.1"], 10), NO_DATA);
    pass(SECOND * 60).await;
    let lines = run.lines.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("INFO resolves again name=lb.example."), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve_at_the_start_is_one_warning() {
    let run = Run::after_first_round(&one(), &Script::default()).await;
    pass(SECOND * 600).await;
    assert_eq!(
        run.lines.take(),
        ["WARN does not resolve: lost, its endpoints count as unhealthy name=lb.example. stale_for=3600s \
          cause=\"NXDOMAIN\""]
    );
}
