//! A gateway's policy: reading it in either form, and resolving names to ids.

mod geo;
mod globs;
mod nearest;
mod tiers;

use std::path::Path;

use meridian_model::{Latency, Policy};
use schemars::{Schema, json_schema};
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::clusters::Clusters;
use crate::findings::{Findings, Spotted};
use crate::kinds::{At, Choice, Whole};
use crate::latency::{TableKind, TablePath};
use crate::limits;
use crate::policy::geo::GeoSpec;
use crate::policy::nearest::NearestSpec;
use crate::policy::tiers::TierSpec;
use crate::reader::{Cursor, Kind, Table};
use crate::schema::{self, Given, POLICY};
use crate::shared::Shared;

pub(crate) use globs::{Candidate, Candidates, GLOBS, resolve_globs};

/// Only the fastest, by a measured table.
const WITHIN_MS_DEFAULT: u32 = 0;

//----------- PolicySpec -----------------------------------------------------

/// A policy as written.
pub(crate) enum PolicySpec {
    Nearest(NearestSpec),
    Geo(Box<GeoSpec>),
    Latency { table: Spotted<TablePath>, within_ms: u32 },
    Weighted,
    All,
    Failover(Vec<TierSpec>),
}

/// `nearest`: what a client gains from this server at all.
impl Default for PolicySpec {
    fn default() -> Self {
        Self::Nearest(NearestSpec::default())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Nearest,
    Geo,
    Latency,
    Weighted,
    All,
    Failover,
}

const TYPES: Choice<Type> = Choice(&[
    ("nearest", Type::Nearest),
    ("geo", Type::Geo),
    ("latency", Type::Latency),
    ("weighted", Type::Weighted),
    ("all", Type::All),
    ("failover", Type::Failover),
]);

/// The keys that go with one type alone.
const KEYS: [(Type, &str, &[&str]); 4] = [
    (Type::Nearest, "nearest", &["within_km", "max_km", "bias"]),
    (Type::Geo, "geo", &["rules", "default"]),
    (Type::Latency, "latency", &["table", "within_ms"]),
    (Type::Failover, "failover", &["tiers"]),
];

//----------- PolicyKind -----------------------------------------------------

/// A policy: its name, or a table with its `type`.
#[derive(Clone, Copy)]
pub(crate) struct PolicyKind<'f> {
    /// How many policies this one is inside of.
    pub(crate) depth: usize,
    /// The configuration file: paths begin at its folder.
    pub(crate) file: &'f Path,
}

impl Kind for PolicyKind<'_> {
    type Value = PolicySpec;

    fn expected(&self) -> String {
        "\"nearest\", \"weighted\", \"all\" or a table such as { type = \"failover\", tiers = [ … ] }".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<PolicySpec> {
        if self.depth >= limits::POLICY_DEPTH {
            let most = limits::POLICY_DEPTH;
            return cursor.wrong_because(format_args!("policies at most {most} deep"), "one level more");
        }
        if let Some(policy) = cursor.table(|table| self.read_table(table)) {
            return policy;
        }
        match cursor.value {
            DeValue::String(text) => match &**text {
                "nearest" => Some(PolicySpec::default()),
                "weighted" => Some(PolicySpec::Weighted),
                "all" => Some(PolicySpec::All),
                "failover" => cursor.wrong_because(self.expected(), "failover needs its tiers"),
                "geo" => cursor.wrong_because(self.expected(), "geo needs its rules"),
                "latency" => cursor.wrong_because(self.expected(), "latency needs its table"),
                _ => cursor.wrong(self.expected()),
            },
            _ => cursor.wrong(self.expected()),
        }
    }

    /// Policies nest, so that only a reference to what they are is finite.
    fn schema(&self) -> Schema {
        Schema::new_ref(POLICY.into())
    }

    fn written(&self, value: &PolicySpec) -> Option<Value> {
        matches!(value, PolicySpec::Nearest(_)).then(|| json!("nearest"))
    }
}

impl PolicyKind<'_> {
    /// What a reference to a policy refers to.
    pub(crate) fn definition(self) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "enum": ["nearest", "weighted", "all"] },
                schema::of_table(&|table: &mut Table<'_>| self.read_table(table)),
            ],
            "description": self.expected(),
        })
    }

    fn read_table(self, table: &mut Table<'_>) -> Option<PolicySpec> {
        table.cases(|| TYPES.0.iter().map(|(word, _)| vec![Given::Is("type", json!(word))]).collect());
        let kind = table.required("type", &TYPES);
        for (of, name, keys) in KEYS {
            if kind.is_some_and(|kind| kind != of) {
                for key in keys {
                    table.refused(key, &format!("no {key}, a key of type {name:?} alone"));
                }
            }
        }
        let inner = Self { depth: self.depth + 1, ..self };
        match kind {
            Some(Type::Nearest) => Some(PolicySpec::Nearest(nearest::read(table))),
            Some(Type::Geo) => geo::read(table, inner, true).map(|geo| PolicySpec::Geo(Box::new(geo))),
            Some(Type::Latency) => self.read_latency(table, true),
            Some(Type::Weighted) => Some(PolicySpec::Weighted),
            Some(Type::All) => Some(PolicySpec::All),
            Some(Type::Failover) => tiers::read(table, inner, true).map(PolicySpec::Failover),
            // Of what nobody knows the type each key is still held to its own form.
            None => {
                nearest::read(table);
                geo::read(table, inner, false);
                self.read_latency(table, false);
                tiers::read(table, inner, false);
                None
            }
        }
    }

    fn read_latency(self, table: &mut Table<'_>, required: bool) -> Option<PolicySpec> {
        let path = table.wanted("table", required, &At(TableKind { file: self.file }));
        let within = Whole { min: 0, max: limits::LATENCY_MS, unit: "milliseconds" };
        let within_ms = table.or("within_ms", WITHIN_MS_DEFAULT, &within);
        Some(PolicySpec::Latency { table: path?, within_ms })
    }
}

//----------- Resolving ------------------------------------------------------

/// What names in a gateway are resolved with.
pub(crate) struct Context<'c, 'f> {
    pub(crate) clusters: &'c Clusters,
    pub(crate) shared: &'c mut Shared,
    pub(crate) findings: &'c Findings<'f>,
}

/// The policy over a gateway's clusters; `None` where an issue says why.
pub(crate) fn resolve(
    spec: PolicySpec,
    candidates: &Candidates<'_>,
    context: &mut Context<'_, '_>,
) -> Option<Policy> {
    match spec {
        PolicySpec::Nearest(spec) => {
            Some(Policy::Nearest(nearest::resolve(spec, candidates, context.findings)))
        }
        PolicySpec::Geo(spec) => {
            geo::resolve(*spec, candidates, context).map(|geo| Policy::Geo(Box::new(geo)))
        }
        PolicySpec::Latency { table, within_ms } => {
            let Shared { tables, prefixes, .. } = &mut *context.shared;
            let id = tables.find(&table, &context.clusters.names, prefixes, context.findings)?;
            tables.check_rows(id, &table, candidates, context.findings);
            Some(Policy::Latency(Latency { table: id, within_ms }))
        }
        PolicySpec::Weighted => Some(Policy::Weighted),
        PolicySpec::All => Some(Policy::All),
        PolicySpec::Failover(specs) => {
            // All of them, also after the first that cannot be.
            let tiers: Vec<_> =
                specs.into_iter().map(|spec| tiers::resolve(spec, candidates, context)).collect();
            tiers.into_iter().collect::<Option<_>>().map(Policy::Failover)
        }
    }
}
