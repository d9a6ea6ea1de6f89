//! Frame streams (<https://farsightsec.github.io/fstrm>), bidirectional: READY, ACCEPT, START, frames, STOP, FINISH.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Counters;
use crate::counters::add;
use crate::limits::{
    BACK_OFF, BACK_OFF_MAX, CONTROL_OCTETS, FINISH_WAIT, FRAMES_TOGETHER, FRAMES_WAIT, FRAMES_WAITING,
};

/// Control frames.
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;
/// The field of a control frame that names a content type.
const CONTENT_TYPE: u32 = 1;

/// A stream of frames to whoever listens at a Unix socket, for as long as this is held.
#[derive(Debug)]
pub struct Frames {
    queue: mpsc::Sender<Vec<u8>>,
    counters: Arc<Counters>,
    writer: JoinHandle<()>,
}

impl Frames {
    /// Connects, and connects again whenever the reader is gone. To be called inside a tokio runtime.
    #[must_use]
    pub fn start(socket: PathBuf, content_type: &'static str, counters: Arc<Counters>) -> Self {
        let (queue, frames) = mpsc::channel(FRAMES_WAITING);
        let writer = Writer { socket, content_type, frames, counters: counters.clone() };
        Self { queue, counters, writer: tokio::spawn(writer.run()) }
    }

    /// Puts a frame behind the others, if there is room.
    pub fn send(&self, frame: Vec<u8>) {
        if self.queue.try_send(frame).is_err() {
            add(&self.counters.dnstap_dropped, 1);
        }
    }

    /// Ends the stream behind what waits, as far as the reader takes that soon.
    pub async fn close(self) {
        drop(self.queue);
        let abort = self.writer.abort_handle();
        if timeout(2 * FINISH_WAIT, self.writer).await.is_err() {
            abort.abort();
        }
    }
}

struct Writer {
    socket: PathBuf,
    content_type: &'static str,
    frames: mpsc::Receiver<Vec<u8>>,
    counters: Arc<Counters>,
}

/// Why no more is written to a reader.
enum Over {
    /// There is no more to write.
    Done,
    Broken(io::Error),
}

impl Writer {
    async fn run(mut self) {
        let mut back_off = BACK_OFF;
        // A line when it goes, and not one for each attempt.
        let mut said = false;
        loop {
            let over = match self.connect().await {
                Ok(mut stream) => {
                    tracing::info!(socket = %self.socket.display(), "dnstap: a reader takes it");
                    add(&self.counters.dnstap_connected, 1);
                    (back_off, said) = (BACK_OFF, false);
                    self.write(&mut stream).await
                }
                Err(error) => Over::Broken(error),
            };
            let Over::Broken(error) = over else { return };
            if !said {
                tracing::warn!(socket = %self.socket.display(), "dnstap: nobody takes it: {error}");
                said = true;
            }
            if self.forget_for(back_off).await {
                return;
            }
            back_off = (2 * back_off).min(BACK_OFF_MAX);
        }
    }

    /// Drops what comes for some time: who connects later is not told of what was before. Says whether it is the end.
    async fn forget_for(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            match timeout_at(until, self.frames.recv()).await {
                Ok(Some(_)) => add(&self.counters.dnstap_dropped, 1),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        timeout(FRAMES_WAIT, shake_hands(&self.socket, self.content_type)).await?
    }

    async fn write(&mut self, stream: &mut UnixStream) -> Over {
        let mut together = Vec::with_capacity(FRAMES_TOGETHER);
        let mut octets = Vec::new();
        loop {
            together.clear();
            octets.clear();
            if self.frames.recv_many(&mut together, FRAMES_TOGETHER).await == 0 {
                // It is said well if it is taken in time; the frames are there all the same.
                let _said = timeout(FINISH_WAIT, finish(stream)).await;
                return Over::Done;
            }
            for frame in &together {
                // A message of DNS and some addresses.
                let length = u32::try_from(frame.len()).unwrap_or(0);
                octets.extend_from_slice(&length.to_be_bytes());
                octets.extend_from_slice(frame);
            }
            let written = timeout(FRAMES_WAIT, stream.write_all(&octets)).await;
            match written.map_err(io::Error::from).flatten() {
                Ok(()) => add(&self.counters.dnstap_sent, together.len()),
                Err(error) => {
                    add(&self.counters.dnstap_dropped, together.len());
                    return Over::Broken(error);
                }
            }
        }
    }
}

//----------- Control frames -------------------------------------------------

async fn shake_hands(socket: &Path, content_type: &str) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&control(READY, Some(content_type))).await?;
    let accepted = read_control(&mut stream, ACCEPT).await?;
    if !names(&accepted, content_type) {
        return Err(io::Error::other(format!("it does not take {content_type}")));
    }
    stream.write_all(&control(START, Some(content_type))).await?;
    Ok(stream)
}

async fn finish(stream: &mut UnixStream) -> io::Result<()> {
    stream.write_all(&control(STOP, None)).await?;
    read_control(stream, FINISH).await.map(drop)
}

/// A control frame: an escape, its length, its kind, and perhaps the one field.
fn control(kind: u32, content_type: Option<&str>) -> Vec<u8> {
    let mut body = kind.to_be_bytes().to_vec();
    if let Some(text) = content_type {
        body.extend_from_slice(&CONTENT_TYPE.to_be_bytes());
        // One of ours.
        body.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    let length = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    [&[0; 4], &length[..], &body].concat()
}

/// Reads a control frame of a kind; returns its fields.
async fn read_control(stream: &mut UnixStream, kind: u32) -> io::Result<Vec<u8>> {
    let wrong = |found: &str| io::Error::other(format!("not a reader of frame streams: {found}"));
    if stream.read_u32().await? != 0 {
        return Err(wrong("no control frame"));
    }
    let length = stream.read_u32().await? as usize;
    if !(4..=CONTROL_OCTETS).contains(&length) {
        return Err(wrong(&format!("a control frame of {length} octets")));
    }
    let found = stream.read_u32().await?;
    if found != kind {
        return Err(wrong(&format!("a control frame of type {found}, expected {kind}")));
    }
    let mut fields = vec![0; length - 4];
    stream.read_exact(&mut fields).await?;
    Ok(fields)
}

/// Whether the fields name a content type; without any, all are welcome.
fn names(mut fields: &[u8], content_type: &str) -> bool {
    if fields.is_empty() {
        return true;
    }
    while let Some((kind, rest)) = fields.split_first_chunk::<4>()
        && let Some((length, rest)) = rest.split_first_chunk::<4>()
        && let Some((value, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)
    {
        if u32::from_be_bytes(*kind) == CONTENT_TYPE && value == content_type.as_bytes() {
            return true;
        }
        fields = rest;
    }
    false
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[test]
    fn content_types_are_found_among_others() {
        let field = |kind: u32, text: &str| {
            let length = u32::try_from(text.len()).unwrap();
            [&kind.to_be_bytes()[..], &length.to_be_bytes(), text.as_bytes()].concat()
        };
        assert!(names(&[], "a"));
        assert!(names(&[field(1, "b"), field(1, "a")].concat(), "a"));
        assert!(!names(&field(2, "a"), "a"));
        assert!(!names(&field(1, "b"), "a"));
        assert!(!names(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, b'a'], "a"));
    }

    /// A reader that goes and comes back: frames in between are counted as dropped, and the stream begins anew.
    #[tokio::test]
    async fn a_reader_that_comes_back_has_a_new_stream() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let counters = Arc::<Counters>::default();
        let listener = UnixListener::bind(&path).unwrap();
        let frames = Frames::start(path.clone(), "t", counters.clone());
        let serve = async |listener: &UnixListener| {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(names(&read_control(&mut stream, READY).await.unwrap(), "t"));
            stream.write_all(&control(ACCEPT, Some("t"))).await.unwrap();
            read_control(&mut stream, START).await.unwrap();
            stream
        };
        let read = async |stream: &mut UnixStream| {
            let mut frame = vec![0; stream.read_u32().await.unwrap() as usize];
            stream.read_exact(&mut frame).await.unwrap();
            frame
        };
        let mut stream = serve(&listener).await;
        frames.send(b"one".to_vec());
        assert_eq!(read(&mut stream).await, b"one");
        drop(stream);
        // The first write after that finds nobody.
        frames.send(b"lost".to_vec());
        let mut stream = serve(&listener).await;
        frames.send(b"two".to_vec());
        let closing = tokio::spawn(frames.close());
        assert_eq!(read(&mut stream).await, b"two");
        read_control(&mut stream, STOP).await.unwrap();
        stream.write_all(&control(FINISH, None)).await.unwrap();
        closing.await.unwrap();
        let counts: Vec<u64> = counters.named().into_iter().map(|(.., count)| count).collect();
        assert_eq!(counts[..3], [2, 1, 2]);
    }
}
