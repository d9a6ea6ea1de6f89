//! Why an answer is what it is: steps 3 to 5 on the same view, with notes.
//!
//! There is no second implementation: what is selected comes from the function that answers, and the
//! notes from the functions that made its plans, run once more for this one client.

use std::borrow::Cow;
use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use meridian_geoip::Origin;
use meridian_model::{ClusterId, DomainName, GatewayId, Place, PrefixId, Share, Track};
use meridian_steering::{
    Client, Decision, Doubt, Family, Given, Note, Outlook, Permit, Ranker, client_hash, decide_for_track,
    live_track, permit, standings, trial_draw,
};

use crate::answer::meet;
use crate::message::{Received, receive};
use crate::name::{QueryName, to_name};
use crate::outlooks::{OutlookKey, clusters_of, marks, resolver_permit};
use crate::peer::{Moment, Peer};
use crate::reply::CLASS_IN;
use crate::select::{Asker, Selected, is_address, select, select_site};
use crate::view::View;
use crate::zone::Found;

//----------- Explanation ----------------------------------------------------

/// What is asked, by whom.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The name.
    pub name: DomainName,
    /// The RR type's number.
    pub question_type: u16,
    /// The client: as a subnet that its resolver disclosed or, without one, the resolver itself.
    pub client: IpAddr,
    /// The resolver, where it is not the client.
    pub resolver: Option<IpAddr>,
    /// What chooses where nothing else does.
    pub random: u64,
}

impl Asked {
    /// What a packet asked, as it was read when it was answered; `None` where that was no question of class IN. Of a
    /// client that its resolver disclosed the first address of the subnet stands for all.
    #[must_use]
    pub fn of(view: &View, packet: &[u8], peer: Peer, moment: Moment) -> Option<Self> {
        let Received::Query(mut query, _) = receive(packet) else { return None };
        if query.class != CLASS_IN {
            return None;
        }
        meet(view, query.edns.as_mut(), peer);
        let asker = Asker::new(query.edns.as_ref(), &peer, moment.random);
        Some(Self {
            name: DomainName::from_wire(query.name.ancestor(0))?,
            question_type: query.question_type,
            client: asker.client,
            resolver: (asker.client != peer.address).then_some(peer.address),
            random: moment.random,
        })
    }

    /// Whose name it is, where the answer depends on who asks.
    #[must_use]
    pub fn gateway(&self, view: &View) -> Option<GatewayId> {
        let name = QueryName::from_name(&to_name(&self.name).ok()?)?;
        match view.zones().follow(&name, RecordType::from(self.question_type)).0 {
            Found::Steered { gateway, .. } | Found::Site { gateway, .. } => Some(gateway),
            _ => None,
        }
    }
}

/// What the zones hold for a question, and for a steered name how the answer comes about.
#[derive(Clone, Debug, PartialEq)]
pub enum Explanation {
    /// The name is in none of our zones (REFUSED).
    NotOurs,
    /// There is no such name (NXDOMAIN).
    NoName,
    /// The name has nothing of this type (NODATA).
    NoData,
    /// Records that are the same for all.
    Static,
    /// A CNAME that is the same for all.
    Alias,
    /// The name is delegated away.
    Delegated,
    /// All types are asked for, which has an answer of its own (RFC 8482).
    AnyType,
    /// It depends on who asks.
    Steered(Box<Steering>),
}

/// How a steered answer comes about.
#[derive(Clone, Debug, PartialEq)]
pub struct Steering {
    /// Whose name it is.
    pub gateway: GatewayId,
    /// Of which cluster it is the test name, if it is one.
    pub site: Option<ClusterId>,
    /// The names that the question goes through, each a CNAME for the next, the last the one that is
    /// steered; empty where that is the name that was asked for.
    pub aliases: Vec<String>,
    /// Where the client is.
    pub client: Located,
    /// Where the resolver is, if it is another and residency asks.
    pub resolver: Option<Located>,
    /// How residency came to its permit; empty where the gateway has none.
    pub residency: Vec<Note>,
    /// The same for the resolver.
    pub resolver_residency: Vec<Note>,
    /// Which clusters may serve.
    pub permit: Permit,
    /// How the policy put the clusters in order.
    pub ranking: Vec<Note>,
    /// By family: A, AAAA, or both for other types.
    pub choices: Vec<Choice>,
}

/// An address and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The address.
    pub address: IpAddr,
    /// What is known of where it is.
    pub place: Place,
    /// Which sources say so.
    pub origin: Origin,
    /// The length of the prefix around the address that is in this place.
    pub prefix_len: u8,
    /// The longest of the catalog's prefixes that holds it.
    pub prefix: Option<PrefixId>,
}

/// What is chosen in one family.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Which.
    pub family: Family,
    /// The client's track; `None` for a test name, which has none.
    pub track: Option<Track>,
    /// Where the client is among all, as a share, and how large the trial's share is.
    pub trial: Option<(Share, Share)>,
    /// How it was decided.
    pub notes: Vec<Note>,
    /// What was decided; `None` for a test name.
    pub decision: Option<Decision>,
    /// The addresses of this answer.
    pub addresses: Vec<IpAddr>,
    /// The endpoint whose hostname is the answer instead.
    pub cname: Option<u16>,
    /// Whether another client, or another time, could have got others of the same candidates.
    pub drawn: bool,
    /// Seconds.
    pub ttl: u32,
    /// Why the TTL is short, if it is.
    pub doubt: Option<Doubt>,
    /// Whether a hostname's own TTL limits it.
    pub capped: bool,
    /// The ECS scope.
    pub scope: u8,
    /// The length of the prefix in which the decision holds.
    pub area: u8,
    /// Whether the client's network, beside its place, makes the scope.
    pub by_network: bool,
}

//----------- explain --------------------------------------------------------

/// Explains the answer to a question.
#[must_use]
pub fn explain(view: &View, asked: &Asked) -> Explanation {
    let question_type = RecordType::from(asked.question_type);
    let name = to_name(&asked.name).ok().and_then(|name| QueryName::from_name(&name));
    let Some(name) = name else {
        return Explanation::NotOurs;
    };
    let (found, passed) = view.zones().follow(&name, question_type);
    let aliases: Vec<String> = passed.iter().map(ToString::to_string).collect();
    match found {
        Found::Steered { .. } | Found::Site { .. } => {}
        _ if !aliases.is_empty() => return Explanation::Alias,
        _ => {}
    }
    let explaining = |gateway, site, aliases| Explaining { view, asked, gateway, site, aliases };
    match found {
        Found::NotOurs => Explanation::NotOurs,
        Found::NoName { .. } => Explanation::NoName,
        Found::NoData { .. } => Explanation::NoData,
        Found::Static { .. } => Explanation::Static,
        Found::Alias { .. } | Found::Redirected { .. } => Explanation::Alias,
        Found::Delegated { .. } => Explanation::Delegated,
        Found::AnyType => Explanation::AnyType,
        Found::Steered { gateway, .. } => {
            Explanation::Steered(Box::new(explaining(gateway, None, aliases).all(question_type)))
        }
        Found::Site { gateway, site, .. } => {
            Explanation::Steered(Box::new(explaining(gateway, Some(site), aliases).all(question_type)))
        }
    }
}

struct Explaining<'e> {
    view: &'e View,
    asked: &'e Asked,
    gateway: GatewayId,
    site: Option<ClusterId>,
    aliases: Vec<String>,
}

impl Explaining<'_> {
    fn all(&self, question_type: RecordType) -> Steering {
        let ground = self.view.ground();
        let catalog = ground.catalog();
        let gateway = catalog.gateway(self.gateway);
        let key = OutlookKey::of(gateway);
        let client = self.located(self.asked.client);
        let (mut residency, mut resolver_residency) = (Vec::new(), Vec::new());
        let mut resolver = None;
        if let Some(rules) = &gateway.residency {
            let clusters = clusters_of(gateway);
            // For its notes: with the resolver taken into account, the view says what may serve.
            let _own = permit(rules, &clusters, &client.place, catalog, &mut residency);
            if let Some(address) = self.asked.resolver {
                let located = self.located(address);
                if resolver_permit(rules, &clusters, &located.place, catalog) != Permit::All {
                    let _theirs = permit(rules, &clusters, &located.place, catalog, &mut resolver_residency);
                }
                resolver = Some(located);
            }
        }
        let permit = self
            .view
            .permit(self.gateway, Asker::alone(self.asked.client, self.resolver(), 0))
            .map_or(Permit::Only(Box::default()), |(permit, _)| permit);
        let mut ranking = Vec::new();
        let asker = Client { place: &client.place, prefix: client.prefix };
        let rank = Ranker::new(catalog).rank(&key.policy, &key.clusters, asker, &mut ranking);
        let outlook = Outlook { permit: permit.clone(), rank };
        let families = match question_type {
            RecordType::A => &[Family::V4][..],
            RecordType::AAAA => &[Family::V6],
            _ => &Family::ALL,
        };
        let choices = families.iter().filter_map(|&family| self.choice(family, &outlook)).collect();
        let (gateway, site, aliases) = (self.gateway, self.site, self.aliases.clone());
        Steering {
            gateway,
            site,
            aliases,
            client,
            resolver,
            residency,
            resolver_residency,
            permit,
            ranking,
            choices,
        }
    }

    fn choice(&self, family: Family, outlook: &Outlook) -> Option<Choice> {
        let view = self.view;
        let asker = Asker {
            in_both: !is_address(self.asked.question_type),
            ..Asker::alone(self.asked.client, self.resolver(), self.asked.random)
        };
        let mut addresses = Given::new();
        let Selected { picked, ttl, scope, reasons, .. } = match self.site {
            None => select(view, self.gateway, family, &asker, &mut addresses)?,
            Some(site) => select_site(view, self.gateway, site, family, asker, &mut addresses)?,
        };
        let gateway = view.ground().catalog().gateway(self.gateway);
        let mut notes = Vec::new();
        let live = live_track(gateway);
        let trial = gateway.rollout.trial.filter(|trial| trial.share > Share::NONE);
        let on_trial = trial.filter(|trial| {
            let all = trial.share == Share::ALL && reasons.on_trial.is_none();
            reasons.on_trial == Some(true) || all
        });
        let track = on_trial.map_or(live, |trial| trial.track);
        if self.site.is_none() {
            let standings = standings(gateway, family, view.health(self.gateway));
            let again = decide_for_track(gateway, family, &standings, outlook, track, &mut notes);
            debug_assert_eq!(Some(&again), reasons.decision.as_deref(), "an explanation of another answer");
        }
        let network = meridian_geoip::client_network(self.asked.client);
        let salt = view.offered(self.gateway, family)?.offer.salt;
        let position = share_of(trial_draw(client_hash(salt, network.key)));
        Some(Choice {
            family,
            track: self.site.is_none().then_some(track),
            trial: trial.filter(|_| self.site.is_none()).map(|trial| (position, trial.share)),
            notes,
            decision: reasons.decision.map(Cow::into_owned),
            addresses: addresses.into_vec(),
            cname: picked.cname,
            drawn: picked.drawn,
            ttl,
            doubt: reasons.doubt,
            capped: reasons.capped,
            scope,
            area: reasons.area,
            by_network: reasons.by_network,
        })
    }

    fn resolver(&self) -> IpAddr {
        self.asked.resolver.unwrap_or(self.asked.client)
    }

    fn located(&self, address: IpAddr) -> Located {
        let ground = self.view.ground();
        let locality = ground.locality();
        let (place_id, prefix_len) = locality.lookup(address);
        let place = locality.places().get(place_id.index()).cloned().unwrap_or_default();
        let prefix = marks(ground.catalog()).lookup(address).map(PrefixId::from_index);
        Located { address, place, origin: locality.origin(place_id), prefix_len, prefix }
    }
}

/// A number drawn from 64 bits as a share of them.
fn share_of(drawn: u64) -> Share {
    #[expect(clippy::cast_precision_loss, reason = "shown to six digits")]
    let fraction = drawn as f64 / 2_f64.powi(64);
    Share::from_fraction(fraction).unwrap_or_default()
}
