//! What others are told while the server runs: a query log, dnstap, traces. All of it is off unless the configuration
//! asks for it.

mod known;
mod queries;
mod spans;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context as _;
use meridian_config::{Settings, Traces};
use meridian_dns::Taps;
use meridian_telemetry::{Counters, Destination, Endpoint, Tracer};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use queries::{Change, Reader};
pub(crate) use spans::{Publication, Way, publish, transitions};

/// Who has something to tell, and who says what is asked for.
#[derive(Clone)]
pub(crate) struct Telemetry {
    pub(crate) tracer: Tracer,
    pub(crate) counters: Arc<Counters>,
    changes: Sender<Change>,
}

/// Those who tell it, until they are closed.
pub(crate) struct Tellers {
    exporter: JoinHandle<()>,
    /// Until [`Tellers::read`].
    changes: Option<Receiver<Change>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Telemetry {
    /// Tells nothing yet. `seed`: a number that no other process has.
    pub(crate) fn start(seed: u64) -> (Self, Tellers) {
        let counters = Arc::<Counters>::default();
        let (tracer, exporter) = Tracer::start(seed, counters.clone());
        let (changes, received) = channel();
        let tellers = Tellers { exporter, changes: Some(received), reader: None };
        (Self { tracer, counters, changes }, tellers)
    }

    /// Tells what the settings ask for from now on.
    pub(crate) fn follow(&self, settings: &Settings) {
        self.tracer.tell(settings.telemetry.traces.as_ref().and_then(destination));
        let change = Box::new((settings.telemetry.clone(), settings.geoip.clone()));
        // Fails when the process is ending.
        let _ending = self.changes.send(Change::Settings(change));
    }
}

impl Tellers {
    /// Begins to read what a server takes down.
    pub(crate) fn read(&mut self, taps: Arc<Taps>, telemetry: &Telemetry) -> anyhow::Result<()> {
        let Some(changes) = self.changes.take() else { return Ok(()) };
        let (tracer, counters) = (telemetry.tracer.clone(), telemetry.counters.clone());
        let reader = Reader { taps, changes, tracer, counters, runtime: Handle::current() };
        self.reader = Some(reader.start().context("no thread that tells of queries")?);
        Ok(())
    }

    /// Tells what waits, as far as somebody takes that soon.
    pub(crate) async fn close(self, telemetry: Telemetry) {
        let _gone = telemetry.changes.send(Change::End);
        if let Some(reader) = self.reader {
            let _ended = spawn_blocking(move || reader.join()).await;
        }
        telemetry.tracer.close(self.exporter).await;
    }
}

fn destination(traces: &Traces) -> Option<Destination> {
    let Traces { endpoint, sample_queries: _, service_name } = traces;
    let endpoint = match Endpoint::new(endpoint) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            tracing::error!("no traces: traces.endpoint: {error}");
            return None;
        }
    };
    let (service, version) = (service_name.clone(), env!("CARGO_PKG_VERSION").into());
    Some(Destination { endpoint, service, version, instance: host_name(), is_last: false })
}

/// The name of this machine; empty where there is none.
fn host_name() -> Box<str> {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().into()
}
