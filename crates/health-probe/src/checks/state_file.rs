//! A file in which somebody else writes how addresses are.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use meridian_model::FileCheck;

use crate::Finding;
use crate::limits::STATE_FILE_OCTETS_MAX;

/// The file, read again when it has changed.
#[derive(Debug)]
pub(super) struct StateFile {
    path: Box<Path>,
    last: Mutex<Option<(Stamp, Arc<States>)>>,
}

/// What tells one version of a file from the next.
type Stamp = (SystemTime, u64);
type States = HashMap<IpAddr, State>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Degraded,
    Down,
}

impl StateFile {
    pub(super) fn new(check: &FileCheck) -> Self {
        Self { path: check.path.clone(), last: Mutex::default() }
    }

    pub(super) async fn check(&self, address: IpAddr) -> Finding {
        match self.states().await.map(|states| states.get(&address).copied()) {
            Ok(Some(State::Up)) => Finding::Good,
            Ok(Some(State::Degraded)) => Finding::Degraded("degraded".to_owned()),
            Ok(Some(State::Down)) => Finding::Failed("down".to_owned()),
            Ok(None) => Finding::NoData("no line for it".to_owned()),
            Err(reason) => Finding::NoData(reason),
        }
    }

    async fn states(&self) -> Result<Arc<States>, String> {
        let metadata = tokio::fs::metadata(&self.path).await.map_err(|error| error.to_string())?;
        let stamp = (metadata.modified().map_err(|error| error.to_string())?, metadata.len());
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, states)) = last().as_ref().filter(|(known, _)| *known == stamp) {
            return Ok(Arc::clone(states));
        }
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        let text = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let states = Arc::new(parse(&text)?);
        *last() = Some((stamp, Arc::clone(&states)));
        Ok(states)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(STATE_FILE_OCTETS_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > STATE_FILE_OCTETS_MAX {
        return Err(io::Error::other(format!("over {STATE_FILE_OCTETS_MAX} octets")));
    }
    Ok(text)
}

/// Lines `192.0.2.10 => up`, `down` or `degraded`, in any case; a TTL as gdnsd writes it (`UP/30`) means
/// nothing here. A file with any other line says nothing: half a file must not decide.
fn parse(text: &str) -> Result<States, String> {
    let mut states = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = || format!("line {}: expected ADDRESS => up, down or degraded", index + 1);
        let (address, state) = line.split_once("=>").ok_or_else(wrong)?;
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let word = state.split_once('/').map_or(state, |(word, _ttl)| word).trim().to_ascii_lowercase();
        let state = match &*word {
            "up" => State::Up,
            "degraded" => State::Degraded,
            "down" => State::Down,
            _ => return Err(wrong()),
        };
        if states.insert(address, state).is_some() {
            return Err(format!("line {}: {address} again", index + 1));
        }
    }
    Ok(states)
}
