//! `nearest`: by distance, with what bends it.

use std::collections::HashMap;
use std::rc::Rc;

use meridian_model::{ClusterId, Nearest};
use schemars::{Schema, json_schema};
use toml::de::DeValue;

use crate::findings::{Findings, Spot, Spotted, Step};
use crate::issue::quote;
use crate::kinds::Whole;
use crate::limits;
use crate::policy::Candidates;
use crate::reader::{Cursor, Kind, Table};

/// Only the nearest.
const WITHIN_KM_DEFAULT: u32 = 0;

/// By distance, as written. No `max_km` by default: a far cluster is better than none.
#[derive(Default)]
pub(crate) struct NearestSpec {
    within_km: u32,
    max_km: Option<u32>,
    bias: Vec<(Spotted<Box<str>>, i8)>,
}

/// Reads the keys of the policy.
pub(super) fn read(table: &mut Table<'_>) -> NearestSpec {
    let within = Whole { min: 0, max: limits::WITHIN_KM, unit: "kilometres" };
    NearestSpec {
        within_km: table.or("within_km", WITHIN_KM_DEFAULT, &within),
        max_km: table.optional("max_km", &Whole { min: 1, max: limits::MAX_KM, unit: "kilometres" }),
        bias: table.or("bias", Vec::new(), &Biases),
    }
}

/// The policy over the candidates; reports patterns that match none, or one that has a bias.
pub(super) fn resolve(spec: NearestSpec, candidates: &Candidates<'_>, findings: &Findings<'_>) -> Nearest {
    let NearestSpec { within_km, max_km, bias } = spec;
    let mut first: HashMap<ClusterId, &Spotted<Box<str>>> = HashMap::new();
    let mut biases = Vec::new();
    for (glob, bias) in &bias {
        for cluster in candidates.matching(glob, findings) {
            if let Some(other) = first.insert(cluster.id, glob) {
                let expected = format_args!("one bias for the cluster {}", quote(cluster.name));
                let found = format_args!(
                    "{}: {} in line {} has it already",
                    quote(&glob.value),
                    quote(&other.value),
                    findings.line(&other.spot)
                );
                findings.mistake(&glob.spot, expected, found);
                // One issue a pattern is enough.
                break;
            }
            // Without a bias is the same as with none.
            if *bias != 0 {
                biases.push((cluster.id, *bias));
            }
        }
    }
    biases.sort_unstable();
    Nearest { within_km, max_km, bias: biases }
}

//----------- Biases ---------------------------------------------------------

const BIAS: Whole<i8> = Whole { min: -limits::BIAS, max: limits::BIAS, unit: "" };

/// A table of biases by cluster.
struct Biases;

impl Kind for Biases {
    type Value = Vec<(Spotted<Box<str>>, i8)>;

    fn expected(&self) -> String {
        "a table of whole numbers by cluster, bias = { \"eu-*\" = 20 }".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Self::Value> {
        let DeValue::Table(entries) = cursor.value else { return cursor.wrong(self.expected()) };
        if entries.len() > limits::BIASES {
            let most = limits::BIASES;
            return cursor.wrong_because(self.expected(), format_args!("more than {most} keys"));
        }
        let mut biases = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name: &str = key.get_ref();
            let path = cursor.spot.path.child(Step::Name(Rc::from(name)));
            let spot = Spot::here(value.span().start, path.clone());
            let at = Cursor { value: value.get_ref(), spot, findings: cursor.findings };
            if let Some(bias) = BIAS.read(&at) {
                let spot = Spot::here(key.span().start, path);
                biases.push((Spotted { value: name.into(), spot }, bias));
            }
        }
        // The first of two for one cluster is the one that stands first.
        biases.sort_by_key(|(key, _)| key.spot.place);
        Some(biases)
    }

    fn schema(&self) -> Schema {
        json_schema!({
            "type": "object", "additionalProperties": BIAS.schema(), "maxProperties": limits::BIASES,
            "description": self.expected(),
        })
    }
}
