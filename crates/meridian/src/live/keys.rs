//! The keyboard, as far as it means something.

use std::io;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Control-C: ends whatever is open.
    Interrupt,
    Escape,
    Enter,
    Backspace,
    NextPane,
    PaneBefore,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Character(char),
    /// The terminal has another size: only drawn anew.
    Resized,
}

/// The keys as they are pressed. Reading a terminal blocks, so a thread of its own does it.
pub(super) fn read() -> io::Result<mpsc::Receiver<Key>> {
    let (pressed, keys) = mpsc::channel(64);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while let Ok(event) = event::read() {
            let Some(key) = meant(&event) else { continue };
            if pressed.blocking_send(key).is_err() {
                return;
            }
        }
    })?;
    Ok(keys)
}

fn meant(event: &Event) -> Option<Key> {
    let of_key = |key: &KeyEvent| {
        let with = |modifier| key.modifiers.contains(modifier);
        Some(match key.code {
            KeyCode::Char('c') if with(KeyModifiers::CONTROL) => Key::Interrupt,
            KeyCode::Char(_) if with(KeyModifiers::CONTROL) || with(KeyModifiers::ALT) => return None,
            KeyCode::Char(character) => Key::Character(character),
            KeyCode::Esc => Key::Escape,
            KeyCode::Enter => Key::Enter,
            KeyCode::Backspace => Key::Backspace,
            KeyCode::Tab | KeyCode::Right => Key::NextPane,
            KeyCode::BackTab | KeyCode::Left => Key::PaneBefore,
            KeyCode::Up => Key::Up,
            KeyCode::Down => Key::Down,
            KeyCode::PageUp => Key::PageUp,
            KeyCode::PageDown => Key::PageDown,
            KeyCode::Home => Key::First,
            KeyCode::End => Key::Last,
            _ => return None,
        })
    };
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(key),
        Event::Resize(..) => Some(Key::Resized),
        _ => None,
    }
}
