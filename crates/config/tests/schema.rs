//! The schema and the loader say the same of a file, as far as a schema can.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use meridian_config::{load, parse, schema};
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn reference() -> PathBuf {
    root().join("deploy/meridian.toml")
}

fn validator() -> Validator {
    jsonschema::draft202012::new(schema().as_value()).expect("a schema")
}

//----------- TOML and JSON --------------------------------------------------

/// A file as an editor shows it to its validator; `None` where it is no TOML.
fn to_json(text: &str) -> Option<Value> {
    let (table, errors) = DeTable::parse_recoverable(text);
    errors.is_empty().then(|| of_table(table.get_ref()))
}

fn of_table(table: &DeTable<'_>) -> Value {
    table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), of_value(value.get_ref())))
        .collect::<Map<_, _>>()
        .into()
}

fn of_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| json!(1e30), |number| json!(number)),
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().expect("a number")),
        DeValue::Boolean(value) => json!(value),
        DeValue::Datetime(value) => json!(value.to_string()),
        DeValue::Array(array) => array.iter().map(|one| of_value(one.get_ref())).collect(),
        DeValue::Table(table) => of_table(table),
    }
}

/// A file that says the same as this JSON: what JSON writes is TOML but for tables.
fn to_toml(root: &Value) -> String {
    let lines = root
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{} = {}\n", json!(key), inline(value)));
    lines.collect()
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let pairs = table.iter().map(|(key, value)| format!("{} = {}", json!(key), inline(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

//----------- Files ----------------------------------------------------------

/// Every configuration that the tests of the tree have as a file or in one, with its place.
fn files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let read = |path: &Path| {
        std::fs::read(path).map(|octets| String::from_utf8_lossy(&octets).into_owned()).expect("a file")
    };
    for path in
        [reference(), root().join("crates/meridian/src/demo/demo.toml"), root().join("tests/fuzz/world.toml")]
    {
        found.push((path.clone(), read(&path)));
    }
    let in_folder = |folder: &str| {
        std::fs::read_dir(root().join(folder)).expect("a folder").map(|entry| entry.expect("a file").path())
    };
    for path in in_folder("crates/config/tests/mistakes").filter(|path| path.is_file()) {
        let cases = read(&path);
        for case in cases.split("#### ").filter_map(|case| case.split_once('\n')) {
            let text = case.1.split_once("---->").map_or(case.1, |(text, _)| text);
            let text = text.split_once("==== networks.csv\n").map_or(text, |(text, _)| text);
            found.push((path.with_file_name(case.0), text.to_owned()));
        }
    }
    for path in in_folder("tests/replay") {
        let text = read(&path);
        let config = text.split_once("CONFIG_BEGIN\n").and_then(|(_, rest)| rest.split_once("CONFIG_END"));
        found.extend(config.map(|(config, _)| (path.clone(), config.to_owned())));
    }
    found.extend(in_folder("tests/fuzz/corpus/toml").map(|path| (path.clone(), read(&path))));
    found
}

/// Completes a file with what refers to nothing else and must be there.
fn completed(mut file: Value) -> Value {
    if let Some(root) = file.as_object_mut() {
        root.entry("version").or_insert(json!(1));
    }
    file
}

#[test]
fn what_loads_is_valid() {
    let validator = validator();
    let (mut loaded, mut refused, mut invalid) = (0, 0, 0);
    for (place, text) in files() {
        let Some(json) = to_json(&text) else { continue };
        let is_good = parse(&text, &place).is_ok();
        let issues: Vec<String> =
            validator.iter_errors(&json).map(|issue| format!("{}: {issue}", issue.instance_path())).collect();
        assert!(!is_good || issues.is_empty(), "{}: {issues:#?}", place.display());
        loaded += usize::from(is_good);
        refused += usize::from(!is_good);
        invalid += usize::from(!issues.is_empty());
    }
    // Not for nothing: there are many of either sort.
    assert!(loaded >= 40 && refused >= 200 && invalid >= 100, "{loaded} {refused} {invalid}");
    load(&reference()).unwrap();
}

#[test]
fn strange_keys_are_invalid() {
    let validator = validator();
    let mut strange = 0;
    for (place, text) in files() {
        let Some(json) = to_json(&text) else { continue };
        let Err(issues) = parse(&text, &place) else { continue };
        if issues.to_string().contains("found an unknown key") {
            strange += 1;
            assert!(!validator.is_valid(&completed(json)), "{}: {issues}", place.display());
        }
    }
    assert!(strange >= 10, "{strange}");
}

//----------- Mutations ------------------------------------------------------

/// Every place of a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(table) => {
            table.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (step, value) in inner {
        let at = format!("{at}/{step}");
        found.push(at.clone());
        places(value, &at, found);
    }
}

/// Two values of types that a value has not, in turn.
fn others(value: &Value, turn: usize) -> Vec<Value> {
    let all = [json!("\u{7f}"), json!(1e9), json!(true), json!([{}]), json!({ "zz": 1 })];
    let kind = std::mem::discriminant::<Value>;
    let others: Vec<Value> = all.into_iter().filter(|other| kind(other) != kind(value)).collect();
    others.iter().cycle().skip(turn).take(2).cloned().collect()
}

#[test]
fn wrong_types_and_strange_keys_are_refused_by_both() {
    let validator = validator();
    let file = to_json(&std::fs::read_to_string(reference()).unwrap()).unwrap();
    assert!(parse(&to_toml(&file), &reference()).is_ok());
    let mut all = vec![String::new()];
    places(&file, "", &mut all);
    let mut tried = 0;
    for (turn, place) in all.iter().enumerate() {
        let mut wrong: Vec<Value> = Vec::new();
        let value = file.pointer(place).unwrap();
        if !place.is_empty() {
            wrong.extend(others(value, turn).into_iter().map(|other| {
                let mut mutant = file.clone();
                *mutant.pointer_mut(place).unwrap() = other;
                mutant
            }));
        }
        // A header field and the bias of a cluster have names of the user's own.
        if value.is_object() && !place.ends_with("/headers") && !place.ends_with("/bias") {
            let mut mutant = file.clone();
            mutant.pointer_mut(place).unwrap()["zz"] = json!(1);
            wrong.push(mutant);
        }
        for mutant in wrong {
            tried += 1;
            let mutated = mutant.pointer(place).unwrap();
            let is_loaded = parse(&to_toml(&mutant), &reference()).is_ok();
            assert_eq!((is_loaded, validator.is_valid(&mutant)), (false, false), "{place}: {mutated}");
        }
    }
    assert!(tried > 800, "{tried}");
}

/// What is left away, and numbers and words out of range: the schema is no stricter than the loader.
#[test]
fn the_schema_refuses_nothing_that_loads() {
    let validator = validator();
    let file = to_json(&std::fs::read_to_string(reference()).unwrap()).unwrap();
    let mut all = Vec::new();
    places(&file, "", &mut all);
    let (mut refused, mut required) = (0, 0);
    for place in &all {
        let mut less = file.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        let is_removed = match less.pointer_mut(parent).unwrap() {
            Value::Object(table) => table.remove(key).is_some(),
            _ => false,
        };
        let number = |by: i64| {
            let mut mutant = file.clone();
            let value = mutant.pointer_mut(place)?;
            *value = json!(value.as_i64()? + by);
            Some(mutant)
        };
        let mutants =
            is_removed.then_some(less).into_iter().chain(number(1)).chain(number(-1)).chain(number(1 << 40));
        for (index, mutant) in mutants.enumerate() {
            if !validator.is_valid(&mutant) {
                refused += 1;
                required += usize::from(index == 0);
                assert!(
                    parse(&to_toml(&mutant), &reference()).is_err(),
                    "{place}: {:?}",
                    mutant.pointer(place)
                );
            }
        }
    }
    assert!(refused > 100 && required > 60, "{refused} {required}");
}

//----------- Keys -----------------------------------------------------------

/// A file with a strange key in every table, also in those of each type.
fn strangers() -> Value {
    let probe = |kind: &str| {
        json!({
            "type": kind, "zz": 1, "flap": { "zz": 1 },
            "expect": { "zz": 1, "header": [{ "zz": 1 }], "body": { "zz": 1 } },
        })
    };
    let types = [
        "http",
        "https",
        "http2",
        "tcp",
        "tls",
        "file",
        "exec",
        "grpc",
        "icmp",
        "dns",
        "prometheus",
        "all",
        "any",
        "at_least",
    ];
    let below = |names: &[&str]| -> Value {
        let each = names.iter().map(|name| ((*name).to_owned(), json!({ "zz": 1 })));
        each.chain([("zz".to_owned(), json!(1))]).collect::<Map<_, _>>().into()
    };
    let tier = json!({ "zz": 1 });
    let policy = json!({ "zz": 1, "tiers": [tier], "rules": [tier], "default": tier });
    json!({
        "zz": 1,
        "server": below(&["tls", "tcp", "proxy", "identity", "cookies", "client_subnet", "rate_limit"]),
        "admin": below(&["tls"]),
        "resolver": below(&[]),
        "health": below(&[]),
        "metrics": below(&[]),
        "query_log": below(&[]),
        "dnstap": below(&[]),
        "traces": below(&[]),
        "geoip": { "zz": 1, "networks": [{ "zz": 1 }] },
        "keys": [{ "zz": 1 }],
        "zones": [{ "zz": 1, "records": [{ "zz": 1 }], "transfer": { "zz": 1 } }],
        "jurisdictions": [{ "zz": 1 }],
        "clusters": [{ "zz": 1 }],
        "probes": types.map(probe),
        "gateways": [{
            "zz": 1, "endpoints": [{ "zz": 1 }], "policy": policy, "rollout": { "zz": 1 }, "https": { "zz": 1 },
            "residency": { "zz": 1, "rules": [{ "zz": 1 }] },
        }],
    })
}

/// The keys of all tables of a schema, by their paths.
fn keys(schema: &Value, path: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        found.entry(path.to_owned()).or_default().insert(key.clone());
        keys(inner, format!("{path}.{key}").trim_start_matches('.'), found);
    }
    let lists = ["anyOf", "allOf"].into_iter().flat_map(|word| schema[word].as_array()).flatten();
    for inner in lists.chain(["items", "then"].into_iter().filter_map(|word| schema.get(word))) {
        keys(inner, path, found);
    }
}

/// The loader lists the keys of a table to whoever writes one it does not know: they are those of the schema.
#[test]
fn keys_are_those_of_the_loader() {
    let schema = schema().to_value();
    let mut of_schema = BTreeMap::new();
    keys(&schema, "", &mut of_schema);
    keys(&schema["$defs"]["policy"], "gateways.policy", &mut of_schema);
    let issues = parse(&to_toml(&strangers()), &reference()).unwrap_err();
    let mut of_loader: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for issue in issues.iter() {
        let text = issue.to_string();
        let Some((_, list)) = text.split_once("one of the keys ") else { continue };
        let Some((list, _)) = list.split_once(", found an unknown key") else { continue };
        let words = list.split([',', ' ']).filter(|word| !word.is_empty() && *word != "or");
        let path: String = issue.key.split(['[', ']']).filter(|part| part.parse::<u32>().is_err()).collect();
        let Some(path) = path.strip_suffix("zz").map(|path| path.trim_end_matches('.').to_owned()) else {
            continue;
        };
        of_loader.entry(path).or_default().extend(words.map(ToOwned::to_owned));
    }
    let tables = |of: &BTreeMap<String, BTreeSet<String>>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(tables(&of_loader), tables(&of_schema));
    assert_eq!(of_loader, of_schema);
}

/// Defaults are values that the key itself takes.
#[test]
fn defaults_are_valid() {
    let schema = schema().to_value();
    let (mut found, mut all) = (0, Vec::new());
    places(&schema, "", &mut all);
    for place in
        all.iter().filter(|place| place.ends_with("/default") && !place.ends_with("/properties/default"))
    {
        let (parent, _) = place.rsplit_once('/').unwrap();
        let mut of_key = schema.pointer(parent).unwrap().clone();
        of_key["$defs"] = schema["$defs"].clone();
        assert!(jsonschema::is_valid(&of_key, schema.pointer(place).unwrap()), "{place}");
        found += 1;
    }
    assert!(found > 60, "{found}");
}
