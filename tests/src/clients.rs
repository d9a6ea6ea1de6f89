//! `dig` and `kdig`: started as a person starts them, and what they print, read.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

/// Asks with `dig`; `words` are its further arguments as they would be typed.
///
/// # Panics
/// Without `dig`, and when it prints no reply.
#[must_use]
pub fn dig(server: SocketAddr, words: &str) -> Shown {
    let text = dig_text(server, words);
    let mut replies = Shown::read_all(&text);
    assert_eq!(replies.len(), 1, "dig {words}: expected one reply, found {text}");
    replies.remove(0)
}

/// Asks with `dig` and returns all that it prints.
///
/// # Panics
/// Without `dig`.
#[must_use]
pub fn dig_text(server: SocketAddr, words: &str) -> String {
    // -r: without the person's own .digrc. One try: a lost reply is a failure, not a delay.
    let mut command = Command::new("dig");
    command.args(["-r", "+tries=1", "+time=5", "-p", &server.port().to_string()]);
    command.arg(format!("@{}", server.ip())).args(words.split_whitespace());
    printed(&run(&mut command, "bind9-dnsutils"))
}

/// Asks with `delv`, which takes answers apart as a resolver does, and returns all that it prints with one space
/// between words.
///
/// # Panics
/// Without `delv`.
#[must_use]
pub fn delv(server: SocketAddr, words: &str) -> String {
    let mut command = Command::new("delv");
    command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
    let output = run(command.args(words.split_whitespace()), "bind9-dnsutils");
    printed(&output).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Asks with `kdig`; `words` may hold several questions.
///
/// # Panics
/// Without `kdig`, and when it fails.
#[must_use]
pub fn kdig(server: SocketAddr, words: &str) -> Vec<Shown> {
    let mut command = Command::new("kdig");
    command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
    command.args(["+retry=0", "+time=5"]).args(words.split_whitespace());
    let output = run(&mut command, "knot-dnsutils");
    let text = printed(&output);
    assert!(output.status.success(), "kdig {words}: {text}");
    Shown::read_all(&text)
}

/// Runs a client to its end.
///
/// # Panics
/// When it is not there: the message names the Debian package that has it.
pub(crate) fn run(command: &mut Command, package: &str) -> Output {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("{}", not_started(command, package, &error)),
    }
}

/// Why a program did not start, in words that say what to do.
pub(crate) fn not_started(command: &Command, package: &str, error: &std::io::Error) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    match error.kind() {
        ErrorKind::NotFound => format!(
            "expected the program {program}, found none: `apt-get install {package}`, or run ./tests/run, \
             which installs what is missing"
        ),
        _ => format!("{program}: {error}"),
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

//----------- Shown ----------------------------------------------------------

/// A reply as `dig` or `kdig` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The name of the opcode.
    pub opcode: String,
    /// The name of the response code, extended by EDNS.
    pub status: String,
    /// The flags of the header as they are printed: `qr aa rd`.
    pub flags: String,
    /// EDNS, when there is an OPT record: version, flags, payload size.
    pub edns: Option<(u8, String, u16)>,
    /// The options of EDNS, a line each: `CLIENT-SUBNET: 10.2.0.0/24/16`.
    pub options: Vec<String>,
    /// The question as it is printed.
    pub question: Vec<String>,
    /// The records of the answer, with one space between fields.
    pub answer: Vec<String>,
    /// The records of the authority section.
    pub authority: Vec<String>,
    /// The records of the additional section.
    pub additional: Vec<String>,
    /// `UDP` or `TCP`.
    pub over: String,
    /// The octets of the message.
    pub size: usize,
}

impl Shown {
    /// The data of the answer's records, sorted.
    ///
    /// # Panics
    /// When a record is not printed as owner, TTL, class, type and data.
    #[must_use]
    pub fn data(&self) -> Vec<String> {
        let data = |record: &String| record.splitn(5, ' ').nth(4).expect("five fields").to_owned();
        let mut all: Vec<String> = self.answer.iter().map(data).collect();
        all.sort();
        all
    }

    /// The client subnet of the reply: `address/source/scope`.
    #[must_use]
    pub fn subnet(&self) -> Option<&str> {
        self.options.iter().find_map(|option| option.strip_prefix("CLIENT-SUBNET: "))
    }

    /// Whether a flag is in the header.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|found| found == flag)
    }

    /// What two replies to one question must share: all but transport, size and TTLs.
    #[must_use]
    pub fn content(&self) -> (String, Vec<String>) {
        (self.status.clone(), self.data())
    }

    fn read_all(text: &str) -> Vec<Self> {
        // What stands before the first header is about the call, not about a reply.
        text.split(";; ->>HEADER<<- ").skip(1).map(Self::read).collect()
    }

    fn read(text: &str) -> Self {
        let mut shown = Self::default();
        let mut section = String::new();
        for (number, line) in text.lines().enumerate() {
            if number == 0 {
                shown.opcode = field(line, "opcode: ").unwrap_or_default();
                shown.status = field(line, "status: ").unwrap_or_default();
            } else if let Some(name) = line.strip_prefix(";; ").and_then(|l| l.strip_suffix("SECTION:")) {
                section = name.trim_end().to_owned();
            } else if line.is_empty() {
                section.clear();
            } else if section.is_empty() {
                shown.read_about(line);
            } else {
                shown.read_in(&section, line);
            }
        }
        shown
    }

    /// A line outside the sections.
    fn read_about(&mut self, line: &str) {
        if let Some(flags) = field(line, ";; flags: ").or_else(|| field(line, ";; Flags: ")) {
            self.flags = flags;
        }
        for over in ["UDP", "TCP"] {
            if line.contains(&format!("({over})")) {
                over.clone_into(&mut self.over);
            }
        }
        // dig's words, then kdig's.
        let size = line.strip_prefix(";; MSG SIZE  rcvd: ").or_else(|| line.strip_prefix(";; Received "));
        if let Some(size) = size.and_then(|size| size.split(' ').next()?.parse().ok()) {
            self.size = size;
        }
    }

    /// A line within a section.
    fn read_in(&mut self, section: &str, line: &str) {
        let words = line.trim_start_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
        match section {
            "QUESTION" => self.question.push(words),
            "ANSWER" => self.answer.push(words),
            "AUTHORITY" => self.authority.push(words),
            "ADDITIONAL" => self.additional.push(words),
            // The pseudosection of EDNS: its first line, then the options.
            _ if self.edns.is_none() => {
                let version = field(&words, "ersion: ").and_then(|v| v.parse().ok()).unwrap_or(u8::MAX);
                let size = field(&words, "udp: ").or_else(|| field(&words, "UDP size: "));
                let size = size.and_then(|size| size.trim_end_matches(" B").parse().ok()).unwrap_or(0);
                self.edns = Some((version, field(&words, "flags:").unwrap_or_default(), size));
                if words.contains("MBZ") {
                    // Unknown flags, which only dig names, are behind the known ones.
                    self.options.push("MBZ".to_owned());
                }
            }
            _ => self.options.push(words),
        }
    }
}

/// What stands behind `name` up to a comma, a semicolon or the end.
fn field(line: &str, name: &str) -> Option<String> {
    let (_, after) = line.split_once(name)?;
    after.split([',', ';']).next().map(|value| value.trim().to_owned())
}
