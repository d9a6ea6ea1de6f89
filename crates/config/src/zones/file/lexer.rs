//! From the text of a zone file to entries: the words of each with their places (RFC 1035 §5.1).

use crate::limits;
use crate::zones::presentation::Token;

/// Splits a text into entries.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    place: LineColumn,
}

/// A line and a column, each from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineColumn {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// The words of one entry, which parentheses may spread over several lines. Kept between entries for
/// its memory.
#[derive(Default)]
pub(crate) struct Entry<'t> {
    pub(crate) words: Vec<Token<'t>>,
    /// Where each begins.
    pub(crate) places: Vec<LineColumn>,
    /// Begins with a space, so that its owner is the last one's.
    pub(crate) continues: bool,
    /// Nothing in it was reported.
    pub(crate) whole: bool,
}

/// What no entry may hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: LineColumn,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl<'t> Lexer<'t> {
    /// Begins at the first line.
    pub(crate) fn new(text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { text, at: 0, place: LineColumn { line: 1, column: 1 } }
    }

    /// Reads the next entry that has words, going on after a fault; `false` at the end of the text.
    pub(crate) fn next(&mut self, entry: &mut Entry<'t>, report: &mut impl FnMut(Fault)) -> bool {
        while self.at < self.text.len() {
            entry.words.clear();
            entry.places.clear();
            entry.whole = true;
            entry.continues = self.peek().is_some_and(is_space);
            let mut faults = |fault: Fault| {
                entry.whole = false;
                report(fault);
            };
            Line {
                lexer: self,
                words: &mut entry.words,
                places: &mut entry.places,
                opened: None,
                depth: 0,
                full: false,
            }
            .read(&mut faults);
            if !entry.words.is_empty() || !entry.whole {
                return true;
            }
        }
        false
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes one octet.
    fn step(&mut self) {
        match self.peek() {
            Some(b'\n') => self.place = LineColumn { line: self.place.line.saturating_add(1), column: 1 },
            // What continues a character in UTF-8 is none of its own.
            Some(octet) if octet & 0xc0 != 0x80 => {
                self.place.column = self.place.column.saturating_add(1);
            }
            _ => {}
        }
        self.at += 1;
    }

    /// The text from an offset to here.
    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or("")
    }
}

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r')
}

/// Anything that has no place in a file of text; line ends and spaces are handled before.
fn is_control(octet: u8) -> bool {
    octet < b' ' && !is_space(octet) || octet == 0x7f
}

//----------- Line -----------------------------------------------------------

/// One entry being read.
struct Line<'l, 't> {
    lexer: &'l mut Lexer<'t>,
    words: &'l mut Vec<Token<'t>>,
    places: &'l mut Vec<LineColumn>,
    /// The outermost parenthesis that is not closed yet.
    opened: Option<LineColumn>,
    /// How many are not.
    depth: u32,
    /// There are as many words as there may be.
    full: bool,
}

impl<'t> Line<'_, 't> {
    fn read(mut self, report: &mut impl FnMut(Fault)) {
        while let Some(octet) = self.lexer.peek() {
            let place = self.lexer.place;
            match octet {
                b'\n' => {
                    self.lexer.step();
                    if self.depth == 0 {
                        return;
                    }
                }
                b';' => self.skip_line(),
                b'(' => {
                    self.opened.get_or_insert(place);
                    self.depth = self.depth.saturating_add(1);
                    self.lexer.step();
                }
                b')' => {
                    if self.depth == 0 {
                        let found = "a closing one alone".into();
                        report(Fault { place, expected: "an opening parenthesis before".into(), found });
                    }
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        self.opened = None;
                    }
                    self.lexer.step();
                }
                b'"' => self.quoted(report),
                _ if is_space(octet) => self.lexer.step(),
                _ => self.word(report),
            }
        }
        if let Some(place) = self.opened {
            let expected = "a closing parenthesis for this one".into();
            report(Fault { place, expected, found: "the end of the file".into() });
        }
    }

    /// Up to the end of the line, which stays.
    fn skip_line(&mut self) {
        while self.lexer.peek().is_some_and(|octet| octet != b'\n') {
            self.lexer.step();
        }
    }

    /// A text in quotes, which end in the same line.
    fn quoted(&mut self, report: &mut impl FnMut(Fault)) {
        let place = self.lexer.place;
        self.lexer.step();
        let start = self.lexer.at;
        self.up_to_quote(place, report);
        let text = self.lexer.since(start);
        if self.lexer.peek() == Some(b'"') {
            self.lexer.step();
            if self
                .lexer
                .peek()
                .is_some_and(|next| !is_space(next) && !matches!(next, b'\n' | b'(' | b')' | b';'))
            {
                let found = "text right behind it".into();
                report(Fault {
                    place: self.lexer.place,
                    expected: "a space behind a closing quote".into(),
                    found,
                });
            }
        }
        self.push(Token { text, quoted: true }, place, report);
    }

    /// Goes on to the closing quote of the one at `opened`, or to the end of the line.
    fn up_to_quote(&mut self, opened: LineColumn, report: &mut impl FnMut(Fault)) {
        loop {
            match self.lexer.peek() {
                Some(b'"') => return,
                None | Some(b'\n') => {
                    let expected = "a closing quote in the same line".into();
                    report(Fault { place: opened, expected, found: "none".into() });
                    return;
                }
                Some(b'\\') => self.escape(report),
                Some(_) => self.text(report),
            }
        }
    }

    /// A word without quotes around it; quotes may begin inside, as in `alpn="h2,h3"`.
    fn word(&mut self, report: &mut impl FnMut(Fault)) {
        let (place, start) = (self.lexer.place, self.lexer.at);
        loop {
            match self.lexer.peek() {
                None | Some(b'\n' | b'(' | b')' | b';') => break,
                Some(octet) if is_space(octet) => break,
                Some(b'\\') => self.escape(report),
                Some(b'"') => {
                    let opened = self.lexer.place;
                    self.lexer.step();
                    self.up_to_quote(opened, report);
                    if self.lexer.peek() == Some(b'"') {
                        self.lexer.step();
                    }
                }
                Some(_) => self.text(report),
            }
        }
        let text = self.lexer.since(start);
        self.push(Token { text, quoted: false }, place, report);
    }

    /// A `\` and what it makes ordinary.
    fn escape(&mut self, report: &mut impl FnMut(Fault)) {
        let place = self.lexer.place;
        self.lexer.step();
        match self.lexer.peek() {
            None | Some(b'\n' | b'\r') => {
                let expected = "a character behind a \\".into();
                report(Fault { place, expected, found: "the end of the line".into() });
            }
            Some(_) => self.text(report),
        }
    }

    /// One octet of a text.
    fn text(&mut self, report: &mut impl FnMut(Fault)) {
        if let Some(octet) = self.lexer.peek().filter(|octet| is_control(*octet)) {
            let expected = "text without control characters (write \\DDD, the octet in decimal)".into();
            let found = format!("the octet 0x{octet:02x}");
            report(Fault { place: self.lexer.place, expected, found });
        }
        self.lexer.step();
    }

    fn push(&mut self, token: Token<'t>, place: LineColumn, report: &mut impl FnMut(Fault)) {
        if self.words.len() < limits::ENTRY_WORDS {
            self.words.push(token);
            self.places.push(place);
        } else if !std::mem::replace(&mut self.full, true) {
            let expected = format!("an entry of at most {} words", limits::ENTRY_WORDS);
            report(Fault { place, expected, found: "one more".into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every entry as its words with their columns, and what was reported.
    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let (mut entries, mut faults) = (Vec::new(), Vec::new());
        let (mut lexer, mut entry) = (Lexer::new(text), Entry::default());
        let mut report = |Fault { place, expected, found }: Fault| {
            faults.push(format!("{}:{} {expected}: {found}", place.line, place.column));
        };
        while lexer.next(&mut entry, &mut report) {
            let words = entry.words.iter().zip(&entry.places).map(|(word, place)| {
                let quote = if word.quoted { "\"" } else { "" };
                format!("{}:{} {quote}{}{quote}", place.line, place.column, word.text)
            });
            let words: Vec<String> = words.collect();
            entries.push(format!("{}{}", if entry.continues { "+ " } else { "" }, words.join(", ")));
        }
        (entries, faults)
    }

    #[test]
    fn words_and_entries() {
        let (entries, faults) = read("\u{feff}a A 1 ; x\r\n\r\n\t B\"c d\"e \"f;g\";h\n;\n(é\n é ) \\;\\(\n");
        assert_eq!(
            entries,
            ["1:1 a, 1:3 A, 1:5 1", "+ 3:3 B\"c d\"e, 3:11 \"f;g\"", "5:2 é, 6:2 é, 6:6 \\;\\("]
        );
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn faults_and_what_follows_them() {
        let (entries, faults) = read("a \"b\nc ) d\ne \"f\"g\nh\0\\\ni (( \nj)");
        assert_eq!(
            faults,
            [
                "1:3 a closing quote in the same line: none",
                "2:3 an opening parenthesis before: a closing one alone",
                "3:6 a space behind a closing quote: text right behind it",
                "4:2 text without control characters (write \\DDD, the octet in decimal): the octet 0x00",
                "4:3 a character behind a \\: the end of the line",
                "5:3 a closing parenthesis for this one: the end of the file",
            ]
        );
        assert_eq!(entries.len(), 5);
    }
}
