//! The JSON Schema of the file, for editors and for checks that have no `meridian` at hand.
//!
//! It is drawn by the functions that read the file: each is run over tables that are empty, or have
//! the few keys that others depend on, while the table notes what is asked of it ([`Sketch`]). So
//! there is no second list of keys, and a kind of value that says nothing here does not compile.
//! Descriptions are the comments of `deploy/meridian.toml` ([`texts`]).
//!
//! What a schema cannot say, it leaves to `meridian check`: whatever needs two places of the file, or
//! another file, and the bounds of durations. It never refuses what that takes.

mod sketch;
mod texts;

use std::cell::RefCell;
use std::path::Path;

use schemars::consts::meta_schemas;
use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};
use toml::de::DeTable;

use crate::findings::{Findings, KeyPath, Source, Spot};
use crate::policy::PolicyKind;
use crate::reader::Table;

pub(crate) use sketch::{Case, Given, Sketch};

/// Where policies are, as they nest.
pub(crate) const POLICY: &str = "#/$defs/policy";

/// The JSON Schema (draft 2020-12) of the configuration file.
#[must_use]
pub fn schema() -> Schema {
    let file = Path::new("meridian.toml");
    let mut root = of_table(&|root: &mut Table<'_>| crate::read_root(root, file));
    let mut policy = PolicyKind { depth: 0, file }.definition();
    texts::describe(root.ensure_object(), "");
    texts::describe(policy.ensure_object(), "gateways.policy");
    let mut schema = json_schema!({
        "$schema": meta_schemas::DRAFT2020_12,
        "title": "Meridian",
        "description": "The configuration file of Meridian, version 1. `meridian check` is the last word on one.",
    });
    schema.ensure_object().append(root.ensure_object());
    schema.insert("$defs".into(), json!({ "policy": policy }));
    schema
}

/// The schema of a table, by the function that reads its keys.
pub(crate) fn of_table<T>(read: &impl Fn(&mut Table<'_>) -> T) -> Schema {
    let mut base = draw(&[], read);
    let cases: Vec<(Case, Sketch)> = std::mem::take(&mut base.cases)
        .into_iter()
        .map(|case| {
            let sketch = draw(&case, read);
            (case, sketch)
        })
        .collect();
    let all = || std::iter::once(&base).chain(cases.iter().map(|(_, sketch)| sketch));
    let mut properties = Map::new();
    for key in all().flat_map(Sketch::names) {
        if !properties.contains_key(key) {
            properties.insert(key.into(), sketch::union(all().filter_map(|sketch| sketch.schema(key))));
        }
    }
    let is_always_required = |key: &str| all().all(|sketch| sketch.requires(key));
    let required: Vec<&str> = base.names().filter(|key| is_always_required(key)).collect();
    let mut schema = json_schema!({ "type": "object", "additionalProperties": false });
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    if !base.any_of.is_empty() {
        let each: Vec<Value> = base.any_of.iter().map(|key| json!({ "required": [key] })).collect();
        schema.insert("anyOf".into(), json!(each));
    }
    if !base.needs.is_empty() {
        let needs = base.needs.iter().map(|(key, other)| ((*key).to_owned(), json!([other]))).collect();
        schema.insert("dependentRequired".into(), Value::Object(needs));
    }
    let rules: Vec<Value> = cases
        .iter()
        .filter_map(|(case, sketch)| {
            let then = sketch.narrowing(&properties, is_always_required)?;
            Some(json!({ "if": sketch::condition(case), "then": then }))
        })
        .collect();
    if !rules.is_empty() {
        schema.insert("allOf".into(), json!(rules));
    }
    schema.insert("properties".into(), Value::Object(properties));
    schema
}

/// What a function asks of a table with these keys.
fn draw<T>(case: &[Given], read: &impl Fn(&mut Table<'_>) -> T) -> Sketch {
    let text: String = case.iter().map(Given::to_toml).collect();
    let source = Source::new(Path::new(""), &text);
    let findings = Findings::new(&source);
    let sketch = RefCell::new(Sketch::default());
    let (entries, _) = DeTable::parse_recoverable(&text);
    Table::draw(entries.get_ref(), Spot::here(0, KeyPath::default()), &findings, &sketch, read);
    sketch.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An editor says of every key what the reference says.
    #[test]
    fn every_key_has_a_description() {
        let mut without = Vec::new();
        let schema = schema().to_value();
        collect(&schema, "", &mut without);
        collect(&schema["$defs"]["policy"], "gateways.policy", &mut without);
        without.sort_unstable();
        without.dedup();
        assert!(without.is_empty(), "{without:#?}");
    }

    fn collect(schema: &Value, path: &str, without: &mut Vec<String>) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if texts::of_key(&path).is_none() {
                without.push(path.clone());
            }
            collect(property, &path, without);
        }
        collect_within(schema, path, without);
    }

    fn collect_within(schema: &Value, path: &str, without: &mut Vec<String>) {
        let lists = ["anyOf", "allOf"].into_iter().flat_map(|word| schema[word].as_array()).flatten();
        for inner in lists.chain(["items", "then"].into_iter().filter_map(|word| schema.get(word))) {
            collect(inner, path, without);
        }
    }
}
