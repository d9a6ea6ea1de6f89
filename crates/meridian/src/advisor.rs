//! What the API works out: by the code of `explain`, `prove` and `diff`, on the view in force.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_admin::wire::{self, Reloaded};
use meridian_admin::{Advisor, Configuration, Explained};
use meridian_config::Geoip;
use meridian_dns::{Asked, Ground, Live, View};
use meridian_health_probe as health_probe;
use meridian_model::{
    Catalog, Gateway, Order, OverrideTarget, Target, TargetHealth, TargetId, Verdict, Verdicts,
};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::load::{Loaded, load_again, load_text};
use crate::prove::proof;
use crate::{diff, explain};

/// How long is worked on a proof: a client of the API does not wait for ever.
const PROOF_MAX: Duration = Duration::from_secs(10);

/// Works from what is in force.
pub(crate) struct Working {
    live: Arc<Live>,
    configuration: watch::Receiver<Configuration>,
    geoip: watch::Receiver<Geoip>,
}

impl fmt::Debug for Working {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Working")
    }
}

impl Working {
    pub(crate) fn new(
        live: Arc<Live>,
        configuration: watch::Receiver<Configuration>,
        geoip: watch::Receiver<Geoip>,
    ) -> Self {
        Self { live, configuration, geoip }
    }

    /// The file as a reload would read it.
    fn load(&self) -> Result<Loaded, String> {
        let file = self.file().ok_or("nothing to read again")?;
        load_again(&file).map_err(|issues| issues.to_string())
    }

    fn file(&self) -> Option<PathBuf> {
        self.configuration.borrow().file.clone()
    }
}

impl Advisor for Working {
    fn explain(&self, asked: &wire::ExplainQuery) -> Result<Explained, String> {
        let name = meridian_config::name(&asked.name)
            .map_err(|why| format!("name: expected a domain name, found {:?}: {why}", asked.name))?;
        let question_type = asked.question_type.as_deref().unwrap_or("A");
        let question_type: RecordType = question_type
            .to_ascii_uppercase()
            .parse()
            .map_err(|_| format!("type: expected an RR type such as AAAA, found {question_type:?}"))?;
        let question = Asked {
            name,
            question_type: question_type.into(),
            client: asked.client,
            resolver: asked.resolver,
            random: asked.random.unwrap_or(0),
        };
        let geoip = self.geoip.borrow().clone();
        explain::explained(&self.live.load(), &question, &geoip).map_err(|error| format!("{error:#}"))
    }

    fn prove(&self) -> wire::Proof {
        proof(self.live.load().ground(), Some(Instant::now() + PROOF_MAX), |_| true)
    }

    fn diff(&self, text: &str) -> Result<wire::Diff, String> {
        let file = self.file().unwrap_or_else(|| PathBuf::from("the configuration"));
        let new = load_text(text, &file).map_err(|issues| issues.to_string())?;
        diff::between(self.live.load().ground(), &new.ground).map_err(|error| format!("{error:#}"))
    }

    fn endangers(&self, said: &[(OverrideTarget, Order)]) -> bool {
        let now = self.live.load();
        diff::endangers(&now, &overridden(&now, said))
    }

    fn reload_endangers(&self, said: &[(OverrideTarget, Order)]) -> Result<bool, String> {
        let now = self.live.load();
        let ground = self.load()?.ground;
        let (before, after) = (now.ground().catalog(), ground.catalog());
        let same = before.clusters() == after.clusters() && before.jurisdictions() == after.jurisdictions();
        let known: HashMap<&str, &Gateway> =
            before.gateways().iter().map(|gateway| (&*gateway.name, gateway)).collect();
        let is_new = |gateway: &Gateway| !same || known.get(&*gateway.name) != Some(&gateway);
        if !proof(&ground, Some(Instant::now() + PROOF_MAX), is_new).holds {
            return Ok(true);
        }
        Ok(diff::endangers(&now, &reloaded(&now, ground, said)?))
    }

    fn overriding(&self, said: &[(OverrideTarget, Order)]) -> wire::Consequences {
        let now = self.live.load();
        diff::consequences(&now, &overridden(&now, said))
    }

    fn rehearse(&self, said: &[(OverrideTarget, Order)]) -> Result<wire::Rehearsal, String> {
        let Loaded { ground, warnings, text, .. } = self.load()?;
        let now = self.live.load();
        let diff = diff::between(now.ground(), &ground).map_err(|error| format!("{error:#}"))?;
        let until = Instant::now() + PROOF_MAX;
        let holds_now = proof(now.ground(), Some(until), |_| true).holds;
        let proof = proof(&ground, Some(until), |_| true);
        let (gateways, targets) = (ground.catalog().gateways().len(), ground.catalog().targets().len());
        let then = reloaded(&now, ground, said)?;
        Ok(wire::Rehearsal {
            sha256: meridian_admin::sha256(&text).to_string(),
            reloaded: Reloaded {
                gateways,
                targets,
                warnings: warnings.iter().map(ToString::to_string).collect(),
            },
            diff,
            consequences: diff::consequences(&now, &then),
            proof,
            holds_now,
        })
    }
}

/// A view with these overrides in place of those in force.
fn overridden(now: &View, said: &[(OverrideTarget, Order)]) -> View {
    let verdicts = now.verdicts().clone().with_orders(orders(now.ground().catalog(), said));
    View::new(now.ground().clone(), verdicts, Some(now))
}

/// A view of another ground, with the verdicts and overrides of now.
fn reloaded(now: &View, ground: Arc<Ground>, said: &[(OverrideTarget, Order)]) -> Result<View, String> {
    let ground = diff::resolved(ground).map_err(|error| format!("{error:#}"))?;
    let verdicts = carried(now, ground.catalog()).with_orders(orders(ground.catalog(), said));
    Ok(View::new(ground, verdicts, None))
}

fn orders(catalog: &Catalog, said: &[(OverrideTarget, Order)]) -> Arc<meridian_model::Orders> {
    let said: Vec<(&OverrideTarget, Order)> = said.iter().map(|(of, order)| (of, *order)).collect();
    Arc::new(health_probe::orders(catalog, &said))
}

/// What is held now of the targets of another catalog; what is new in it counts as healthy.
fn carried(now: &View, catalog: &Catalog) -> Verdicts {
    let before = now.ground().catalog();
    // By address, port and the number of the probe: few have several.
    let mut known: HashMap<(std::net::IpAddr, u16), Vec<TargetId>> = HashMap::new();
    for (index, target) in before.targets().iter().enumerate() {
        known.entry((target.address, target.port)).or_default().push(TargetId::from_index(index));
    }
    let of = |target: &Target| {
        let same = known.get(&(target.address, target.port))?.iter().find(|&&id| {
            let other = before.targets()[id.index()];
            before.probe(other.probe) == catalog.probe(target.probe)
        })?;
        Some(now.verdicts().get(*same))
    };
    let healthy = TargetHealth { verdict: Verdict::Healthy, ..TargetHealth::default() };
    Verdicts::new(catalog.targets().iter().map(|target| of(target).unwrap_or(healthy)).collect())
}
