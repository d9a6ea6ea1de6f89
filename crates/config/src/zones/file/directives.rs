//! `$ORIGIN`, `$INCLUDE` (RFC 1035 §5.1), `$TTL` (RFC 2308 §4) and the way to `$GENERATE`.

use std::path::Path;

use meridian_model::DomainName;

use super::lexer::LineColumn;
use super::{Owner, Reader, Scope, Words, identity, spot, ttl};
use crate::findings::Spotted;
use crate::issue::quote;
use crate::limits;
use crate::zones::contents::{OWNER, absolute};

impl Reader<'_, '_> {
    /// A directive; `None` where nothing more of the zone is read.
    pub(super) fn directive(
        &mut self,
        name: &str,
        mut words: Words<'_, '_>,
        scope: &mut Scope,
    ) -> Option<()> {
        let (_, place) = words.take()?;
        match name.to_ascii_uppercase().as_str() {
            "$ORIGIN" => self.origin(words, place, scope),
            "$TTL" => self.ttl(words, place, scope),
            "$INCLUDE" => return self.include(words, place, scope),
            "$GENERATE" => return self.generate(words, place, scope),
            _ => {
                let expected = "$ORIGIN, $TTL, $INCLUDE, $GENERATE or a record";
                self.mistake(scope, place, &self.paths.syntax, expected, quote(name));
                self.whole = false;
            }
        }
        Some(())
    }

    fn origin(&mut self, mut words: Words<'_, '_>, place: LineColumn, scope: &mut Scope) {
        let Some((word, at)) = words.take() else {
            return self.mistake(scope, place, &self.paths.syntax, "$ORIGIN and a name", "nothing");
        };
        if let Some(origin) = self.name(word.text, at, scope) {
            scope.origin = origin;
        }
        self.nothing_behind(words, scope);
    }

    fn ttl(&mut self, mut words: Words<'_, '_>, place: LineColumn, scope: &mut Scope) {
        let Some((word, at)) = words.take() else {
            return self.mistake(scope, place, &self.paths.syntax, "$TTL and a time", "nothing");
        };
        match ttl::parse(word.text) {
            Some(seconds) => scope.ttl = Some(seconds),
            None => {
                self.mistake(scope, at, &self.paths.ttl, ttl::EXPECTED, quote(word.text));
                // So that the records behind it are not reported for the want of one.
                scope.ttl.get_or_insert(0);
            }
        }
        self.nothing_behind(words, scope);
    }

    /// Reads another file in place of the directive. Its origin, TTL and owner end with it.
    fn include(&mut self, mut words: Words<'_, '_>, place: LineColumn, scope: &mut Scope) -> Option<()> {
        let Some((word, at)) = words.take() else {
            self.mistake(scope, place, &self.paths.syntax, "$INCLUDE and the path of a file", "nothing");
            return Some(());
        };
        let mut inner = scope.clone();
        inner.owner = Owner::None;
        if let Some((origin, at)) = words.take() {
            let Some(name) = self.name(origin.text, at, scope) else { return Some(()) };
            inner.origin = name;
        }
        self.nothing_behind(words, scope);
        let folder = self.open.last().and_then(|open| open.path.parent());
        let path = folder.unwrap_or(Path::new("")).join(word.text);
        let identity = identity(&path);
        let refused = if self.open.iter().any(|open| open.identity == identity) {
            Some("a file that does not include itself".to_owned())
        } else if self.open.len() == limits::ZONE_INCLUDE_DEPTH {
            Some(format!("at most {} files including each other", limits::ZONE_INCLUDE_DEPTH))
        } else if self.files.len() == limits::ZONE_INCLUDES {
            Some(format!("a zone of at most {} files", limits::ZONE_INCLUDES))
        } else {
            None
        };
        self.whole &= refused.is_none();
        match refused {
            Some(expected) => self.mistake(scope, at, &self.paths.syntax, expected, quote(word.text)),
            None => {
                let spot = spot(scope.file, at, &self.paths.syntax);
                let read = self.file(&Spotted { value: path, spot }, inner);
                self.whole &= read.is_some();
            }
        }
        Some(())
    }

    /// A name in a directive.
    fn name(&mut self, text: &str, at: LineColumn, scope: &Scope) -> Option<DomainName> {
        match absolute(text, &scope.origin) {
            Ok(name) => Some(name),
            Err(error) => {
                let found = format_args!("{}: {error}", quote(text));
                self.mistake(scope, at, &self.paths.name, OWNER, found);
                self.whole = false;
                None
            }
        }
    }

    pub(super) fn nothing_behind(&self, words: Words<'_, '_>, scope: &Scope) {
        if let Some((word, at)) = words.first() {
            self.mistake(scope, at, &self.paths.syntax, "the end of the line", quote(word.text));
        }
    }
}
