//! dnstap as the programs of others read it: `fstrm_capture` takes the stream, `dnstap-ldns` prints what is in it.
//! `./tests/run` installs Debian's packages and runs this suite.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{ChildStderr, Command, Stdio};

use hickory_proto::op::Message;
use meridian_tests::tls::{Identity, NAME, every_transport};
use meridian_tests::{Meridian, Process, Signal, dig, kdig, says, scratch, signal};
use serde_json::Value;

const ASKED: &str = "ns1.gslb.example. A";

//----------- The reader -----------------------------------------------------

/// `fstrm_capture`, which writes down what it is told until it is asked to end.
struct Reader {
    process: Process,
    said: Lines<BufReader<ChildStderr>>,
    folder: PathBuf,
}

impl Reader {
    fn start() -> Self {
        Self::start_in(scratch())
    }

    /// Starts one at the socket of the folder, and waits until it listens.
    fn start_in(folder: PathBuf) -> Self {
        let mut command = Command::new("fstrm_capture");
        command.args(["-ddddd", "--type", "protobuf:dnstap.Dnstap", "--unix"]).arg(folder.join("socket"));
        command.arg("--write").arg(folder.join("frames")).stdin(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?} (Debian: fstrm-bin): {error}"));
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut reader = Self { process: Process(child), said, folder };
        // It has bound its socket then.
        reader.wait_for("opened output file");
        reader
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Reads what it says until it says this; its end ends the wait too.
    fn wait_for(&mut self, wanted: &str) {
        let mut lines = self.said.by_ref().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(wanted)), "it has not said {wanted:?}");
    }

    /// Asks it to end, and waits until its file is whole.
    fn end(&mut self) -> PathBuf {
        signal(&self.process.0, Signal::SIGINT);
        self.said.by_ref().for_each(drop);
        assert!(self.process.0.wait().unwrap().success());
        self.folder.join("frames")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}

//----------- What it was told -----------------------------------------------

/// A message as `dnstap-ldns` prints it.
#[derive(Debug)]
struct Printed {
    fields: BTreeMap<String, String>,
    /// The records of the answer section, with single blanks.
    answer: Vec<String>,
    id: u16,
}

impl Printed {
    fn all(file: &PathBuf) -> Vec<Self> {
        let mut command = Command::new("dnstap-ldns");
        command.arg("-y").arg("-r").arg(file);
        let output = command.output();
        let output = output.unwrap_or_else(|error| panic!("{command:?} (Debian: dnstap-ldns): {error}"));
        let text = String::from_utf8(output.stdout).unwrap();
        text.split("---\n").filter(|text| !text.trim().is_empty()).map(Self::read).collect()
    }

    fn read(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let fields = lines.clone().filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
        let answer = lines.clone().skip_while(|line| *line != ";; ANSWER SECTION:").skip(1);
        let answer = answer.take_while(|line| !line.is_empty()).map(single);
        let id = lines.clone().filter_map(|line| line.split_once(", id: ")).next();
        let id = id.and_then(|(_, id)| id.parse().ok()).unwrap_or_else(|| panic!("no header: {text}"));
        Self { fields: fields.collect(), answer: answer.collect(), id }
    }

    fn get(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }
}

/// With single blanks.
fn single(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The data frames of a file: each behind its length, and a control frame behind a zero.
fn frames(file: &PathBuf) -> Vec<Vec<u8>> {
    let octets = std::fs::read(file).unwrap();
    let (mut rest, mut frames) = (&octets[..], Vec::new());
    let number = |rest: &mut &[u8]| {
        let (length, behind) = rest.split_first_chunk::<4>().unwrap();
        *rest = behind;
        u32::from_be_bytes(*length) as usize
    };
    while !rest.is_empty() {
        let length = number(&mut rest);
        let is_control = length == 0;
        let length = if is_control { number(&mut rest) } else { length };
        let (frame, behind) = rest.split_at(length);
        rest = behind;
        if !is_control {
            frames.push(frame.to_vec());
        }
    }
    frames
}

/// A field of a message of protobuf: its number, or its octets.
enum Field<'m> {
    Number(u64),
    Octets(&'m [u8]),
}

/// The fields of a message by their tags.
fn fields(mut message: &[u8]) -> BTreeMap<u64, Field<'_>> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (octet, rest) = message.split_first().unwrap();
            *message = rest;
            number |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                break;
            }
        }
        number
    }
    let mut fields = BTreeMap::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut message)),
            2 => {
                let length = usize::try_from(varint(&mut message)).unwrap();
                let (octets, rest) = message.split_at(length);
                message = rest;
                Field::Octets(octets)
            }
            5 => {
                let (octets, rest) = message.split_first_chunk().unwrap();
                message = rest;
                Field::Number(u32::from_le_bytes(*octets).into())
            }
            other => panic!("wire type {other}"),
        };
        fields.insert(key >> 3, field);
    }
    fields
}

//----------- The suite ------------------------------------------------------

fn serve(reader: &Reader, keys: &str) -> Meridian {
    let identity = Identity::new();
    let dnstap = format!("[dnstap]\nsocket = \"{}\"\n{keys}", reader.socket().display());
    let config = format!("{}{dnstap}", every_transport(""));
    let mut server = Meridian::serve_with_files(&config, &identity.files());
    if !server.seen.iter().any(is_read) {
        server.wait_for("the reader", is_read);
    }
    server
}

fn is_read(line: &Value) -> bool {
    says(line, "dnstap: a reader takes it")
}

fn stop(mut server: Meridian) {
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
}

/// What dig asked and got is what `dnstap-ldns` prints.
#[test]
fn what_is_told_is_what_dig_got() {
    let mut reader = Reader::start();
    let server = serve(&reader, "identity = \"ams-1\"\n");
    let address = server.address_of("dns");
    let answers = ["", "+tcp"].map(|words| dig(address, &format!("{words} {ASKED}")).answer);
    stop(server);
    let told = Printed::all(&reader.end());
    assert_eq!(told.len(), 4, "{told:#?}");
    for ((both, answer), protocol) in told.chunks(2).zip(answers).zip(["UDP", "TCP"]) {
        let [query, response] = both else { panic!("{told:#?}") };
        for message in both {
            assert_eq!((message.get("identity"), message.get("version")), ("ams-1", "meridian 0.1.0"));
            assert_eq!((message.get("socket_family"), message.get("socket_protocol")), ("INET", protocol));
            assert_eq!(message.get("query_address"), "127.0.0.1");
            assert!(message.get("query_port").parse::<u16>().unwrap() > 0);
            assert_eq!(message.get("response_address"), address.ip().to_string());
            assert_eq!(message.get("response_port"), address.port().to_string());
        }
        assert_eq!(query.id, response.id);
        assert!(query.answer.is_empty());
        assert_eq!(response.answer, answer.iter().map(|line| single(line)).collect::<Vec<_>>());
        // Timestamps of one form, which sort as text.
        assert!(query.get("query_time").starts_with("!!timestamp 20"), "{query:#?}");
        assert!(response.get("response_time") >= query.get("query_time"), "{response:#?}");
    }
}

/// The encrypted transports have their numbers, of which Debian's `dnstap-ldns` does not know all.
#[test]
fn every_transport_is_told_with_its_number() {
    let mut reader = Reader::start();
    let server = serve(&reader, "queries = false\n");
    let authority = server.config().with_file_name("server.pem");
    let trusted = format!("+tls-ca={} +tls-hostname={NAME}", authority.display());
    let mut answers = Vec::new();
    for (service, words) in [("dns", ""), ("dns", "+tcp"), ("dot", "+tls"), ("doh", "+https")] {
        let trusted = if words.contains("s") { &*trusted } else { "" };
        answers.push(dig(server.address_of(service), &format!("{words} {trusted} {ASKED}")).answer);
    }
    let mut replies = kdig(server.address_of("doq"), &format!("{trusted} +quic {ASKED}"));
    answers.push(replies.remove(0).answer);
    stop(server);
    let frames = frames(&reader.end());
    assert_eq!(frames.len(), answers.len());
    // dnstap.proto, SocketProtocol: UDP, TCP, DOT, DOH, DOQ.
    for ((frame, answer), number) in frames.iter().zip(answers).zip([1, 2, 3, 4, 7]) {
        let told = fields(frame);
        let Some(Field::Octets(message)) = told.get(&14) else { panic!("no message") };
        let message = fields(message);
        let numbers = [1, 2, 3].map(|tag| match message.get(&tag) {
            Some(Field::Number(number)) => *number,
            _ => panic!("no field {tag}"),
        });
        // AUTH_RESPONSE, INET.
        assert_eq!(numbers, [2, 1, number]);
        let Some(Field::Octets(response)) = message.get(&14) else { panic!("no response") };
        let response = Message::from_vec(response).unwrap();
        let records: Vec<String> =
            response.answers.iter().map(|record| single(&record.to_string())).collect();
        assert_eq!(records, answer.iter().map(|line| single(line)).collect::<Vec<_>>());
    }
}

/// A reader that goes costs what it is not told, and nobody else anything; one that comes is told from then on.
#[test]
fn a_reader_may_go_and_come_back() {
    let mut reader = Reader::start();
    let mut server = serve(&reader, "queries = false\n");
    let address = server.address_of("dns");
    let ask = || dig(address, ASKED).answer.len();
    assert_eq!(ask(), 1);
    reader.wait_for("processing data frame");
    let first = Printed::all(&reader.end());
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].get("type"), "AUTH_RESPONSE");
    // The first that finds nobody is how the server learns of it.
    assert_eq!(ask(), 1);
    server.wait_for("that nobody reads", |line| says(line, "dnstap: nobody takes it"));
    for _ in 0..20 {
        assert_eq!(ask(), 1);
    }
    std::fs::remove_file(reader.socket()).unwrap();
    let mut again = Reader::start_in(reader.folder.clone());
    server.wait_for("the reader", is_read);
    assert_eq!(ask(), 1);
    stop(server);
    assert_eq!(Printed::all(&again.end()).len(), 1);
}
