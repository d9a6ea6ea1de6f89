//! From text to a tree of bounded size and depth, with everything that is no TOML reported.

use toml::de::{DeTable, Error};
use toml_parser::lexer::TokenKind;

use crate::findings::{Cause, Findings, Source};
use crate::issue::quote;
use crate::limits;

/// The parser's word for a key that stands twice: the one mistake that leaves the tree whole.
const DUPLICATE_KEY: &str = "duplicate key";

/// The tree of the text, or `None` where it would be too large.
///
/// After a mistake the tree is what could be recovered; `findings` then withhold what the broken
/// lines may have caused, so that every issue reported is one to act on.
pub(crate) fn parse<'a>(source: &Source<'a>, findings: &mut Findings<'a>) -> Option<DeTable<'a>> {
    check_size(source, findings)?;
    let (tree, errors) = DeTable::parse_recoverable(source.text);
    for error in &errors {
        report(source, findings, error);
    }
    let broken: Vec<usize> =
        errors.iter().filter(|error| error.message() != DUPLICATE_KEY).map(offset).collect();
    findings.distrust(&broken);
    Some(tree.into_inner())
}

fn offset(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// Says it in the shape of every other issue. The parser's texts are "what, expected a, b".
fn report(source: &Source<'_>, findings: &Findings<'_>, error: &Error) {
    let span = error.span().unwrap_or(0..0);
    let (reason, expected) = match error.message().rsplit_once(", expected ") {
        Some((reason, "nothing")) => (reason, "valid TOML"),
        Some((reason, "literal string")) => (reason, "a value (a text stands in quotes)"),
        Some((reason, expected)) => (reason, expected),
        None if error.message() == DUPLICATE_KEY => ("a second time", "each key of a table once"),
        None => (error.message(), "valid TOML"),
    };
    let rest = source.text.get(span.start..).unwrap_or("");
    let found = match rest.chars().next() {
        None => "the end of the file".into(),
        Some('\n' | '\r') => "the end of the line".into(),
        Some(next) => {
            quote(source.text.get(span.start..span.end.max(span.start + next.len_utf8())).unwrap_or(""))
        }
    };
    findings.report(
        Cause::Syntax,
        span.start,
        || "syntax".into(),
        expected,
        format_args!("{found}: {reason}"),
    );
}

/// Counts tokens and key parts before anything is allocated for them. What a parser makes of a
/// deep tree is freed by recursion, so depth is refused here, where it is only a count.
fn check_size(source: &Source<'_>, findings: &Findings<'_>) -> Option<()> {
    let (mut tokens, mut dots) = (0_usize, 0_usize);
    for token in toml_parser::Source::new(source.text).lex() {
        tokens += 1;
        dots = match token.kind() {
            TokenKind::Dot => dots + 1,
            TokenKind::Atom | TokenKind::Whitespace | TokenKind::BasicString | TokenKind::LiteralString => {
                dots
            }
            _ => 0,
        };
        let (expected, found) = if dots >= limits::KEY_PARTS {
            (format!("a key of at most {} parts", limits::KEY_PARTS), "one more")
        } else if tokens > limits::TOKENS {
            (format!("a file of at most {} words and signs", limits::TOKENS), "one more")
        } else {
            continue;
        };
        findings.report(Cause::Syntax, token.span().start(), || "syntax".into(), expected, found);
        return None;
    }
    Some(())
}
