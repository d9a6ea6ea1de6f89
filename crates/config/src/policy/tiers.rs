//! Tiers: some of the clusters, with a policy among them.

use meridian_model::{Share, Tier};
use schemars::{Schema, json_schema};
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::findings::Spotted;
use crate::kinds::{At, Sections, Whole};
use crate::limits;
use crate::policy::{Candidates, Context, GLOBS, PolicyKind, PolicySpec, resolve_globs};
use crate::reader::{Cursor, Kind, Table};

/// One healthy endpoint is enough.
const MIN_HEALTHY_DEFAULT: u16 = 0;
/// No panic: an unhealthy endpoint gets nobody while there is a healthy one.
const PANIC_BELOW_DEFAULT: Share = Share::NONE;

const MIN_HEALTHY: Whole<u16> = Whole { min: 0, max: limits::ENDPOINTS as u16, unit: "endpoints" };

/// A tier as written.
pub(crate) struct TierSpec {
    clusters: Vec<Spotted<Box<str>>>,
    policy: PolicySpec,
    min_healthy: Option<Spotted<u16>>,
    panic_below: Share,
}

/// Reads `tiers`.
pub(super) fn read(table: &mut Table<'_>, kind: PolicyKind<'_>, required: bool) -> Option<Vec<TierSpec>> {
    let tiers = Sections {
        header: "tiers = [ { clusters = [ … ] } ]",
        min: 1,
        max: limits::TIERS,
        read: |tier: &mut Table<'_>| read_tier(tier, kind),
    };
    table.wanted("tiers", required, &tiers).map(|tiers| tiers.list)
}

/// Reads the keys of a tier; policies in it are of this kind.
pub(super) fn read_tier(table: &mut Table<'_>, kind: PolicyKind<'_>) -> TierSpec {
    TierSpec {
        clusters: table.required("clusters", &GLOBS).unwrap_or_default(),
        policy: table.or("policy", PolicySpec::default(), &kind),
        min_healthy: {
            let min_healthy = table.optional("min_healthy", &At(MIN_HEALTHY));
            table.default("min_healthy", || MIN_HEALTHY.written(&MIN_HEALTHY_DEFAULT));
            min_healthy
        },
        panic_below: table.or("panic_below", PANIC_BELOW_DEFAULT, &Fraction),
    }
}

/// The tier over the candidates; `None` where an issue says why.
pub(super) fn resolve(
    spec: TierSpec,
    candidates: &Candidates<'_>,
    context: &mut Context<'_, '_>,
) -> Option<Tier> {
    let TierSpec { clusters, policy, min_healthy, panic_below } = spec;
    let matched = resolve_globs(&clusters, candidates, context.findings);
    // Of a tier that matches nothing the first issue is enough.
    let inner = if matched.clusters.is_empty() { candidates } else { &matched };
    if let Some(min_healthy) = &min_healthy
        && usize::from(min_healthy.value) > inner.endpoints()
    {
        let expected = format_args!("at most {}, the endpoints in these clusters", inner.endpoints());
        context.findings.mistake(&min_healthy.spot, expected, min_healthy.value);
    }
    let policy = super::resolve(policy, inner, context)?;
    let min_healthy = min_healthy.map_or(MIN_HEALTHY_DEFAULT, |number| number.value);
    Some(Tier { clusters: matched.ids(), policy, min_healthy, panic_below })
}

//----------- Fraction -------------------------------------------------------

/// A part of a whole, from 0 to 1.
struct Fraction;

impl Kind for Fraction {
    type Value = Share;

    fn expected(&self) -> String {
        "a number from 0.0 to 1.0".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Share> {
        let fraction: Option<f64> = match cursor.value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        match fraction.and_then(Share::from_fraction) {
            Some(share) => Some(share),
            None => cursor.wrong(self.expected()),
        }
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }

    fn written(&self, value: &Share) -> Option<Value> {
        Some(json!(f64::from(value.millionths()) / 1e6))
    }
}
