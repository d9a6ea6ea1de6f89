//! A client that asks all the time, and notes every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, ask_tcp, ask_udp, now};

/// Between two questions: at most 400 a second.
const PAUSE: Duration = Duration::from_millis(2);
/// Each so manieth is asked over TCP.
const OVER_TCP: usize = 5;

/// Asks once each time, and waits: what is not answered is lost.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    client: JoinHandle<Noted>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) asked: usize,
    pub(crate) lost: usize,
    /// The answers as they came, without those that were as the one before.
    pub(crate) answers: Vec<Vec<String>>,
    times: Vec<Duration>,
}

impl Steady {
    /// Asks for the addresses of a name.
    pub(crate) fn start(server: SocketAddr, name: &str) -> Self {
        Self::start_as(server, &Ask::new(name, RecordType::A))
    }

    /// Asks a question whose answer has addresses.
    pub(crate) fn start_as(server: SocketAddr, ask: &Ask) -> Self {
        let (stop, ask) = (Arc::new(AtomicBool::new(false)), ask.clone());
        let stopped = stop.clone();
        let client = std::thread::spawn(move || {
            let mut noted = Noted::default();
            loop {
                // One more after the end was asked for: what came before that is noted.
                let last = stopped.load(Ordering::Relaxed);
                let began = now();
                let answer = match noted.asked.is_multiple_of(OVER_TCP) {
                    true => ask_tcp(server, &ask),
                    false => ask_udp(server, &ask),
                };
                noted.asked += 1;
                noted.times.push(began.elapsed());
                match answer {
                    Ok(answer) if !answer.addresses().is_empty() => {
                        let addresses = answer.addresses();
                        if noted.answers.last() != Some(&addresses) {
                            noted.answers.push(addresses);
                        }
                    }
                    Ok(_) | Err(_) => noted.lost += 1,
                }
                if last {
                    return noted;
                }
                std::thread::sleep(PAUSE);
            }
        });
        Self { stop, client }
    }

    /// Asks no more.
    pub(crate) fn stop(self) -> Noted {
        self.stop.store(true, Ordering::Relaxed);
        self.client.join().expect("a client that goes on")
    }
}

impl Noted {
    /// All but one in a hundred took at most so long.
    pub(crate) fn within(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times[(times.len() * 99 / 100).min(times.len() - 1)]
    }
}
