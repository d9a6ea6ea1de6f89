//! What a function asked of one table, and how that becomes a schema.

use schemars::Schema;
use serde_json::{Map, Value, json};

//----------- Given ----------------------------------------------------------

/// What is known of a table.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// A key has this text or truth value.
    Is(&'static str, Value),
    /// A key has some text.
    Present(&'static str),
    /// A key is not there.
    Absent(&'static str),
}

/// Everything known of a table that decides about other keys.
pub(crate) type Case = Vec<Given>;

impl Given {
    /// A line of such a table.
    pub(super) fn to_toml(&self) -> String {
        match self {
            // Texts and truth values are written alike in JSON and TOML.
            Self::Is(key, value) => format!("{key} = {value}\n"),
            Self::Present(key) => format!("{key} = \"?\"\n"),
            Self::Absent(_) => String::new(),
        }
    }
}

/// The schema of tables that are so.
pub(super) fn condition(case: &[Given]) -> Value {
    let parts: Vec<Value> = case
        .iter()
        .map(|given| match given {
            Given::Is(key, value) => json!({ "properties": { *key: { "const": value } }, "required": [key] }),
            Given::Present(key) => json!({ "required": [key] }),
            Given::Absent(key) => json!({ "not": { "required": [key] } }),
        })
        .collect();
    match parts.as_slice() {
        [one] => one.clone(),
        _ => json!({ "allOf": parts }),
    }
}

//----------- Sketch ---------------------------------------------------------

/// What a function asked of one table.
#[derive(Debug, Default)]
pub(crate) struct Sketch {
    /// The keys in their order.
    keys: Vec<Key>,
    /// One of these must be there; all of them may; empty: nothing of the kind.
    pub(crate) any_of: Vec<&'static str>,
    /// The first of each pair needs the second.
    pub(crate) needs: Vec<(&'static str, &'static str)>,
    /// What decides about other keys.
    pub(crate) cases: Vec<Case>,
}

#[derive(Debug)]
struct Key {
    name: &'static str,
    schema: Value,
    required: bool,
}

impl Sketch {
    /// Notes a key; a key that is asked for twice is one.
    pub(crate) fn key(&mut self, name: &'static str, schema: Schema, required: bool) {
        let mut schema = schema.to_value();
        if schema.get("pattern").is_some_and(|pattern| pattern == "") {
            schema.as_object_mut().map(|schema| schema.remove("pattern"));
        }
        match self.keys.iter_mut().find(|key| key.name == name) {
            Some(key) => key.required |= required,
            None => self.keys.push(Key { name, schema, required }),
        }
    }

    /// Notes the value of a key that is not written.
    pub(crate) fn defaults_to(&mut self, name: &'static str, value: Option<Value>) {
        let key = self.keys.iter_mut().find(|key| key.name == name);
        if let Some((schema, value)) = key.and_then(|key| key.schema.as_object_mut()).zip(value) {
            schema.insert("default".into(), value);
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }

    pub(super) fn schema(&self, name: &str) -> Option<&Value> {
        self.keys.iter().find(|key| key.name == name).map(|key| &key.schema)
    }

    pub(super) fn requires(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name && key.required)
    }

    /// How a table that is so is narrower than all of them together; `None`: it is not.
    pub(super) fn narrowing(
        &self,
        all: &Map<String, Value>,
        is_required: impl Fn(&str) -> bool,
    ) -> Option<Value> {
        let required: Vec<&str> =
            self.names().filter(|name| self.requires(name) && !is_required(name)).collect();
        let narrower = all.iter().filter_map(|(name, of_all)| match self.schema(name) {
            None => Some((name.clone(), Value::Bool(false))),
            Some(own) => {
                let own = undecided(own.clone());
                (own != undecided(of_all.clone())).then(|| (name.clone(), own))
            }
        });
        let narrower: Map<String, Value> = narrower.collect();
        let mut then = Map::new();
        if !required.is_empty() {
            then.insert("required".into(), json!(required));
        }
        if !narrower.is_empty() {
            then.insert("properties".into(), Value::Object(narrower));
        }
        (!then.is_empty()).then_some(Value::Object(then))
    }
}

/// The schema of a key that is one of these, by what else is there.
pub(super) fn union<'s>(schemas: impl Iterator<Item = &'s Value>) -> Value {
    let mut each: Vec<&Value> = Vec::new();
    let mut alike: Vec<Value> = Vec::new();
    for schema in schemas {
        if !each.contains(&schema) {
            each.push(schema);
        }
        let undecided = undecided(schema.clone());
        if !alike.contains(&undecided) {
            alike.push(undecided);
        }
    }
    match (each.as_slice(), alike.as_slice()) {
        ([one], _) => (*one).clone(),
        // Only the default depends on something.
        (_, [one]) => one.clone(),
        _ => json!({ "anyOf": alike }),
    }
}

/// A schema without its default.
fn undecided(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("default");
    }
    schema
}
