//! The demo's keyboard.

use std::io;

use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use tokio::sync::mpsc;

/// A key that means something.
pub(super) enum Key {
    /// Break or mend the cluster of this index.
    Cluster(usize),
    /// Leave.
    Quit,
}

/// The terminal gives keys one by one while this lives.
pub(super) struct RawTerminal;

impl RawTerminal {
    pub(super) fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing is left to do about a terminal that is gone.
        let _gone = disable_raw_mode();
    }
}

/// The keys as they are pressed. Reading a terminal blocks, so a thread of its own does it.
pub(super) fn read() -> io::Result<mpsc::Receiver<Key>> {
    let (pressed, keys) = mpsc::channel(16);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while let Ok(event) = event::read() {
            let Event::Key(key) = event else {
                continue;
            };
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            let key = match key.code {
                KeyCode::Char('c') if control => Key::Quit,
                KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
                KeyCode::Char('1') => Key::Cluster(0),
                KeyCode::Char('2') => Key::Cluster(1),
                KeyCode::Char('3') => Key::Cluster(2),
                _ => continue,
            };
            if pressed.blocking_send(key).is_err() {
                return;
            }
        }
    })?;
    Ok(keys)
}
