//! `$GENERATE`: a record for each number of a range, as BIND has it.

use super::lexer::LineColumn;
use super::{Reader, Scope, Words};
use crate::issue::quote;
use crate::limits;
use crate::zones::presentation::Token;
use crate::zones::types::parse_number;

/// `first-last/step`.
struct Range {
    first: u32,
    last: u32,
    step: u32,
}

impl Reader<'_, '_> {
    /// Reads a record for each number; `None` where nothing more of the zone is read.
    pub(super) fn generate(
        &mut self,
        mut words: Words<'_, '_>,
        place: LineColumn,
        scope: &mut Scope,
    ) -> Option<()> {
        let Some((word, at)) = words.take() else {
            let expected = "$GENERATE, a range as 1-10 or 1-10/2, an owner, a type and data";
            self.mistake(scope, place, &self.paths.syntax, expected, "nothing");
            return Some(());
        };
        let range = match parse_range(word.text) {
            Ok(range) => range,
            Err(reason) => {
                self.whole = false;
                let expected = "a range as 1-10 or 1-10/2";
                let found = format_args!("{}{reason}", quote(word.text));
                self.mistake(scope, at, &self.paths.syntax, expected, found);
                return Some(());
            }
        };
        if words.first().is_none() {
            self.whole = false;
            let expected = "an owner, a type and data behind the range";
            self.mistake(scope, at, &self.paths.syntax, expected, "nothing");
            return Some(());
        }
        for number in (range.first..=range.last).step_by(range.step as usize) {
            let mut texts = Vec::with_capacity(words.words.len());
            for (word, at) in words.words.iter().zip(words.places) {
                match substitute(word.text, number) {
                    Ok(text) => texts.push(text),
                    Err(reason) => {
                        self.whole = false;
                        let expected = "$, ${offset}, ${offset,width} or ${offset,width,base}";
                        let found = format_args!("{}: {reason}", quote(word.text));
                        self.mistake(scope, *at, &self.paths.syntax, expected, found);
                        return Some(());
                    }
                }
            }
            let made: Vec<Token<'_>> = texts
                .iter()
                .zip(words.words)
                .map(|(text, word)| Token { text, quoted: word.quoted })
                .collect();
            let was_whole = std::mem::replace(&mut self.whole, true);
            self.record(Words { words: &made, places: words.places }, false, scope)?;
            let right = self.whole;
            self.whole &= was_whole;
            if !right {
                // What is wrong with one is wrong with the next.
                break;
            }
        }
        Some(())
    }
}

fn parse_range(text: &str) -> Result<Range, String> {
    let (numbers, step) = text.split_once('/').unwrap_or((text, "1"));
    let (first, last) = numbers.split_once('-').ok_or("")?;
    let number = |text: &str| parse_number::<u32>(text).filter(|_| !text.is_empty()).ok_or("");
    let range = Range { first: number(first)?, last: number(last)?, step: number(step)? };
    if range.first > range.last || range.step == 0 {
        return Err(": it holds no number".into());
    }
    let count = u64::from((range.last - range.first) / range.step) + 1;
    if count > limits::GENERATED {
        return Err(format!(": {count} records (at most {})", limits::GENERATED));
    }
    Ok(range)
}

/// Puts a number in for `$`, with `${offset,width,base}`; `\$` and `$$` stand for a `$`.
fn substitute(text: &str, number: u32) -> Result<String, String> {
    let mut made = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        let (before, special) = rest.split_at(at);
        made.push_str(before);
        if let Some(behind) = special.strip_prefix("\\$").or_else(|| special.strip_prefix("$$")) {
            made.push('$');
            rest = behind;
        } else if let Some(escaped) = special.strip_prefix('\\') {
            // Another escape, as it is.
            made.push('\\');
            let next = escaped.chars().next().map_or(0, char::len_utf8);
            made.push_str(&escaped[..next]);
            rest = &escaped[next..];
        } else if let Some(modifier) = special.strip_prefix("${") {
            let (modifier, behind) = modifier.split_once('}').ok_or("no closing brace")?;
            made.push_str(&modified(modifier, number)?);
            rest = behind;
        } else {
            made.push_str(&number.to_string());
            rest = &special[1..];
        }
    }
    made.push_str(rest);
    Ok(made)
}

/// `offset,width,base` applied to a number.
fn modified(modifier: &str, number: u32) -> Result<String, String> {
    let mut parts = modifier.split(',');
    let offset = parts.next().unwrap_or("");
    let offset: i64 = offset.parse().map_err(|_| format!("{} is no offset", quote(offset)))?;
    let width = parts.next().unwrap_or("0");
    let width: Option<usize> = parse_number(width).filter(|_| !width.is_empty());
    let width = width.filter(|width| *width <= limits::GENERATED_WIDTH);
    let width = width.ok_or_else(|| format!("the width is no number up to {}", limits::GENERATED_WIDTH))?;
    let base = parts.next().unwrap_or("d");
    if parts.next().is_some() {
        return Err("more than three parts".into());
    }
    let value = i64::from(number).checked_add(offset).filter(|value| *value >= 0);
    let value = value.ok_or_else(|| format!("{number} with the offset {offset} is below 0 or too large"))?;
    Ok(match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        _ => return Err(format!("{} is no base (d, o, x or X)", quote(base))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_put_in() {
        for (text, made) in [
            ("host$", "host7"),
            ("$.$", "7.7"),
            ("${0,3,d}", "007"),
            ("${10}", "17"),
            ("${-7}", "0"),
            ("${8,2,x}${8,0,X}${1,3,o}", "0fF010"),
            ("a\\$b$$c\\\\$\\.", "a$b$c\\\\7\\."),
            ("é$é", "é7é"),
            ("none\\", "none\\"),
        ] {
            assert_eq!(substitute(text, 7).as_deref(), Ok(made), "{text}");
        }
        for text in
            ["${", "${}", "${a}", "${0,64}", "${0,1,y}", "${0,1,d,1}", "${-8}", "${9223372036854775807}"]
        {
            assert!(substitute(text, 7).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges() {
        for text in ["1-10", "0-0", "1-10/3", "0-65535"] {
            assert!(parse_range(text).is_ok(), "{text}");
        }
        for text in ["", "1", "-1", "1-", "2-1", "1-2/0", "1-2/", "0-65536", "0-4294967295", "1-2-3", "+1-2"]
        {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }
}
