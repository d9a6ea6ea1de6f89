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
async fn a_first_round_is_one_line_and_one_for_each_that_is_not_healthy() {
    let script = Script::default();
    script.tell(address(3), Answer::Down);
    script.tell(address(4), Answer::Hangs);
    let slow = Probe { interval: SECOND * 5, timeout: SECOND * 5, ..probe() };
    let mut run = Run::after_first_round(&catalog(slow, &addresses(5)), &script).await;
    pass(MS).await;
    assert_eq!(
        run.lines.take(),
        [
            "INFO first round: 3 healthy, 1 unhealthy, 1 unknown",
            "INFO transition number=4 endpoint=shop/eu-west/10.0.0.3 gateways=1 probe=web from=\"unknown\" \
             observed=\"unhealthy\" effective=\"unhealthy\" \
             cause=GET http://10.0.0.3:8080/healthz: 503, wanted 200-299 (first probe)",
            "INFO no outcome within the first round of 2s: unknown endpoint=shop/eu-west/10.0.0.4 \
             gateways=1 probe=web",
        ]
    );
    script.tell(address(4), Answer::Up);
    run.next_snapshot().await;
    let late = run.lines.take();
    assert_eq!(late.len(), 1, "{late:?}");
    assert!(
        late[0].contains("endpoint=shop/eu-west/10.0.0.4") && late[0].contains("first probe"),
        "{late:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_transition_is_one_line_and_a_probe_is_none() {
    let script = Script::default();
    let run = Run::after_first_round(&catalog(probe(), &addresses(1)), &script).await;
    pass(SECOND * 60).await;
    assert_eq!(run.lines.take(), ["INFO first round: 1 healthy, 0 unhealthy, 0 unknown"]);
    script.tell(address(0), Answer::Down);
    pass(SECOND * 60).await;
    let logged = run.lines.take();
    assert_eq!(logged.len(), 1, "{logged:?}");
    let (line, held_ms) = logged[0].rsplit_once(" held_ms=").unwrap();
    let (line, took_ms) = line.rsplit_once(" took_ms=").unwrap();
    assert_eq!(
        line,
        "INFO transition number=2 endpoint=shop/eu-west/10.0.0.0 gateways=1 probe=web from=\"healthy\" \
         observed=\"unhealthy\" effective=\"unhealthy\" \
         cause=GET http://10.0.0.0:8080/healthz: 503, wanted 200-299 (3rd of 3)"
    );
    assert!((60_000..64_000).contains(&held_ms.parse::<u64>().unwrap()), "{held_ms}");
    assert!((1_800..2_200).contains(&took_ms.parse::<u64>().unwrap()), "{took_ms}");
    assert_eq!(run.counts().transitions, 2);
}

#[tokio::test(start_paused = true)]
async fn probes_that_wait_are_warned_of_once_a_minute() {
    let script = Script::default();
    script.tell_all(&addresses(1500), Answer::Hangs);
    let run = Run::start(&catalog(probe(), &addresses(1500)), &script);
    pass(SECOND * 150).await;
    let warnings = run.lines.take().into_iter().filter(|line| line.starts_with("WARN")).collect::<Vec<_>>();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].ends_with("waiting=1 limit=512"), "{}", warnings[0]);
    assert!(run.counts().late > 10_000);
}
