//! Descriptions of keys: the comments of `deploy/meridian.toml`, which has every key.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

const REFERENCE: &str = include_str!("../../../../deploy/meridian.toml");

/// Keys that stand within the value of another there, where no comment can be about them alone.
const WITHIN: &[(&str, &str)] = &[
    ("admin.listen", "Where the API listens, beside its socket in data_dir."),
    ("admin.tls", "The API over TLS; required elsewhere than on loopback."),
    ("admin.tls.cert_file", "The certificate of the API, with what it is signed by below it."),
    ("admin.tls.key_file", "Its private key."),
    (
        "zones.file",
        "A zone file, whose SOA and NS records stand for nameservers, hostmaster, ttl, negative_ttl and serial.",
    ),
    ("probes.file", "A state file, with lines such as \"192.0.2.10 => up\", or \"down\", or \"degraded\"."),
    (
        "gateways.fallback",
        "The clusters that are answered when health leaves nothing, beside all_down = \"fallback\".",
    ),
    ("gateways.endpoints", "Who serves, by cluster: addresses or one hostname."),
    ("gateways.policy.type", "How the endpoints that can serve are put in order."),
    ("gateways.policy.tiers", "The first that has a healthy endpoint answers."),
    ("gateways.residency.rules.clients", "Names of jurisdictions, or [\"*\"] for all: for whom the rule is."),
    (
        "gateways.residency.rules.clusters",
        "Names of jurisdictions, or [\"*\"] for all: whose clusters serve them.",
    ),
    ("probes.expect.body.contains", "A text that the body must contain."),
    ("probes.expect.body.regex", "A regular expression that the body must match."),
    ("probes.expect.header.name", "The name of a field that the response must have."),
    ("probes.expect.header.contains", "A text that its value must contain."),
    ("probes.expect.header.regex", "A regular expression that its value must match."),
    ("probes.expect.contains", "A text that must come."),
    ("probes.expect.regex", "A regular expression that what comes must match."),
    ("probes.expect.min", "Less than this is a failure."),
    ("probes.expect.max", "More than this is a failure."),
    ("probes.expect.degraded_below", "With less than this the address is degraded."),
    ("probes.expect.degraded_above", "With more than this the address is degraded."),
    ("probes.flap.changes", "So many changes in the window are allowed, 0 to 1000; 0: no damping."),
    ("probes.flap.window", "The time in which changes are counted."),
    ("probes.flap.hold", "How long the first recovery beyond that is put off."),
    ("probes.flap.hold_max", "The longest that one is put off; default 15 minutes, and no less than hold."),
];

/// Puts a description beside every key below a schema of the table at this path.
pub(super) fn describe(schema: &mut Map<String, Value>, path: &str) {
    for (word, inner) in schema.iter_mut() {
        match (word.as_str(), inner) {
            ("properties", Value::Object(properties)) => {
                for (key, property) in properties.iter_mut() {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    let Some(property) = property.as_object_mut() else { continue };
                    describe(property, &path);
                    describe_key(property, &path);
                }
            }
            ("items" | "then", Value::Object(inner)) => describe(inner, path),
            ("allOf" | "anyOf", Value::Array(each)) => {
                each.iter_mut().filter_map(Value::as_object_mut).for_each(|one| describe(one, path));
            }
            _ => {}
        }
    }
}

/// The comment about a key, and behind it what a value must be.
fn describe_key(property: &mut Map<String, Value>, path: &str) {
    let Some(text) = of_key(path) else { return };
    let expected = property.get("description").and_then(Value::as_str).map(ToOwned::to_owned);
    let text = match expected {
        Some(expected) => format!("{text}\n\nExpected: {expected}."),
        None => text.to_owned(),
    };
    property.insert("description".into(), text.into());
}

/// What the reference says of a key.
pub(super) fn of_key(path: &str) -> Option<&'static str> {
    static TEXTS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| texts(REFERENCE));
    let within = || WITHIN.iter().find(|(of, _)| *of == path).map(|(_, text)| *text);
    // The keys of policies and their tiers are listed in comments.
    let listed = || {
        let (_, key) = path.strip_prefix("gateways.policy.")?.rsplit_once('.').unwrap_or(("", path));
        TEXTS.get(&format!("gateways.policy.{key}"))
    };
    let text = || TEXTS.get(path).or_else(listed).map(String::as_str);
    within().or_else(text)
}

//----------- Reading the reference ------------------------------------------

/// The comments by the path of their key.
fn texts(reference: &str) -> BTreeMap<String, String> {
    let mut texts = Texts::default();
    for line in reference.lines() {
        texts.line(line);
    }
    texts.by_path
}

#[derive(Default)]
struct Texts {
    by_path: BTreeMap<String, String>,
    table: String,
    /// The comment lines above.
    above: Vec<String>,
    /// The key whose comment goes on below it.
    last: Option<String>,
    /// What the lines before said, for a key that stands right below another.
    shared: String,
}

/// Columns from which on a comment alone in its line goes on with the one above.
const BESIDE: usize = 20;

impl Texts {
    fn line(&mut self, line: &str) {
        let bare = line.trim_start_matches(['#', ' ']);
        let column = line.len() - bare.len();
        if bare.is_empty() {
            self.above.clear();
            self.shared.clear();
            self.last = None;
        } else if let Some(title) = bare.strip_prefix("---- ") {
            self.above = vec![format!("{}.", title.trim_end_matches(['-', ' ']))];
        } else if let Some(header) = header(bare).filter(|_| !line.starts_with(' ')) {
            self.table = header.to_owned();
            self.shared.clear();
            self.add(header.to_owned(), trailing(bare));
        } else if let Some((key, _)) = bare.split_once(" = ").filter(|(key, _)| is_key(key) && column < 8) {
            let path = format!("{}.{key}", self.table);
            self.add(path.trim_start_matches('.').to_owned(), trailing(bare));
        } else if line.trim_start().starts_with('#') && column >= BESIDE {
            if let Some(text) = self.last.as_ref().and_then(|last| self.by_path.get_mut(last)) {
                text.push(' ');
                text.push_str(bare);
            } else {
                self.above.push(bare.to_owned());
            }
        } else if let Some(comment) = line.strip_prefix('#') {
            self.listed(comment);
            self.above.push(comment.strip_prefix(' ').unwrap_or(comment).to_owned());
        }
    }

    /// The first comment about a key counts.
    fn add(&mut self, path: String, beside: &str) {
        let mut text = self.above.join("\n");
        if !beside.is_empty() {
            text = if text.is_empty() { beside.to_owned() } else { format!("{text}\n{beside}") };
        }
        self.above.clear();
        self.last = None;
        if text.is_empty() {
            text.clone_from(&self.shared);
        }
        self.shared.clone_from(&text);
        if !text.is_empty() && !self.by_path.contains_key(&path) {
            self.by_path.insert(path.clone(), text);
            self.last = Some(path);
        }
    }

    /// `  within_km: 0 to 20000`: the keys of policies are listed so.
    fn listed(&mut self, comment: &str) {
        let bare = comment.trim_start();
        let indented = comment.len() - bare.len() >= 3;
        let Some((word, text)) = bare.split_once([':', ' ']).filter(|_| indented) else { return };
        let is_listed = is_key(word) && (bare[word.len()..].starts_with(':') || text.starts_with(' '));
        if is_listed && text.starts_with(' ') {
            let path = format!("gateways.policy.{word}");
            self.by_path.entry(path.clone()).or_insert_with(|| text.trim().to_owned());
            self.last = Some(path);
        }
    }
}

/// The path in a table's header.
fn header(line: &str) -> Option<&str> {
    let inner = line.strip_prefix("[[").or_else(|| line.strip_prefix('['))?;
    let (path, _) = inner.split_once(']')?;
    path.split('.').all(is_key).then_some(path)
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_')
}

/// The comment at the end of a line.
fn trailing(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return line[at + 1..].trim(),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    ""
}
