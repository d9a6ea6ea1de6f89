//! In which series answers count: by gateway, cluster and country, as far as is wanted, and never more than a limit.
//!
//! A ground has the table from its endpoints to series, so that an answer counts by one look at it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use meridian_geoip::{ClassMap, Locality};
use meridian_model::{Catalog, CountryCode};

use crate::limits::ANSWER_SERIES;
use crate::outlooks::index;

/// The labels that answers are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerLabels {
    /// The gateway's name.
    pub gateway: bool,
    /// The name of the cluster of the first address.
    pub cluster: bool,
    /// The country of the client.
    pub country: bool,
}

/// What one series of answers is of; `None` where that is no label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswersOf {
    /// The gateway's name, or [`OTHER`].
    pub gateway: Option<Arc<str>>,
    /// The cluster's name, or [`OTHER`].
    pub cluster: Option<Arc<str>>,
    /// The code of the client's country, or [`UNKNOWN`].
    pub country: Option<Arc<str>>,
}

/// In place of the names of what has no series of its own. No name has parentheses.
pub const OTHER: &str = "(other)";
/// In place of the country of a client without one.
pub const UNKNOWN: &str = "(unknown)";

/// The series of one ground: by row (gateway and cluster), and in each by country.
#[derive(Debug)]
pub(crate) struct Series {
    labels: AnswerLabels,
    rows: Vec<Row>,
    /// By the number of an endpoint in the ground: its row.
    row_of: Box<[u32]>,
    countries: Option<Arc<Countries>>,
    /// How many rows are one, for want of series.
    beyond: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    gateway: Option<Arc<str>>,
    cluster: Option<Arc<str>>,
}

/// Which country every address is in.
#[derive(Debug)]
struct Countries {
    /// Whose they are.
    locality: Arc<Locality>,
    map: ClassMap,
    /// By class.
    codes: Vec<Arc<str>>,
}

impl Series {
    /// `None`: answers are not counted. Those of the ground before are taken over where they are the same.
    pub(crate) fn new(
        labels: AnswerLabels,
        catalog: &Catalog,
        locality: &Arc<Locality>,
        before: Option<&Arc<Self>>,
    ) -> Option<Arc<Self>> {
        if labels == AnswerLabels::default() {
            return None;
        }
        let countries = labels.country.then(|| Countries::new(locality, before));
        let columns = countries.as_ref().map_or(1, |countries| countries.codes.len());
        // One row is for all that have none.
        let most = (ANSWER_SERIES / columns).max(2) - 1;
        let mut rows: Vec<Row> = Vec::new();
        let mut row_of = Vec::new();
        let (mut known, mut beyond) = (HashMap::new(), 0);
        for (number, gateway) in catalog.gateways().iter().enumerate() {
            for endpoint in &gateway.endpoints {
                let key = (labels.gateway.then_some(number), labels.cluster.then_some(endpoint.cluster));
                let row = *known.entry(key).or_insert_with(|| {
                    if rows.len() >= most {
                        beyond += 1;
                        return index(most);
                    }
                    let cluster = &catalog.cluster(endpoint.cluster).name;
                    rows.push(Row {
                        gateway: labels.gateway.then(|| Arc::from(&*gateway.name)),
                        cluster: labels.cluster.then(|| Arc::from(&**cluster)),
                    });
                    index(rows.len() - 1)
                });
                row_of.push(row);
            }
        }
        if beyond > 0 {
            let other = || Some(Arc::from(OTHER));
            let (gateway, cluster) =
                (labels.gateway.then(other).flatten(), labels.cluster.then(other).flatten());
            rows.push(Row { gateway, cluster });
        }
        let series = Self { labels, rows, row_of: row_of.into(), countries, beyond };
        Some(before.filter(|before| ***before == series).cloned().unwrap_or_else(|| Arc::new(series)))
    }

    /// Of gateways with these names, for tests.
    #[cfg(test)]
    pub(crate) fn named(names: &[&str]) -> Arc<Self> {
        let labels = AnswerLabels { gateway: true, ..AnswerLabels::default() };
        let rows = names.iter().map(|name| Row { gateway: Some(Arc::from(*name)), cluster: None }).collect();
        Arc::new(Self { labels, rows, row_of: Box::default(), countries: None, beyond: 0 })
    }

    /// In which an answer counts that begins with an address of this endpoint, by its number in the ground.
    #[inline]
    pub(crate) fn of(&self, endpoint: usize, client: IpAddr) -> Option<u32> {
        let row = *self.row_of.get(endpoint)?;
        match &self.countries {
            None => Some(row),
            Some(countries) => Some(row * index(countries.codes.len()) + countries.map.lookup(client).0),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() * self.columns()
    }

    /// How many gateways with a cluster have no series of their own.
    pub(crate) fn beyond(&self) -> usize {
        self.beyond
    }

    /// What each is of.
    pub(crate) fn all(&self) -> impl Iterator<Item = AnswersOf> {
        let codes = self.countries.as_ref().map(|countries| &countries.codes);
        self.rows.iter().flat_map(move |Row { gateway, cluster }| {
            (0..self.columns()).map(move |column| AnswersOf {
                gateway: gateway.clone(),
                cluster: cluster.clone(),
                country: codes.and_then(|codes| codes.get(column)).cloned(),
            })
        })
    }

    /// Whether a series is shown before it has counted anything: those of countries would be too many.
    pub(crate) fn shows_zeros(&self) -> bool {
        self.countries.is_none()
    }

    fn columns(&self) -> usize {
        self.countries.as_ref().map_or(1, |countries| countries.codes.len())
    }
}

impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        let alike = match (&self.countries, &other.countries) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (one, two) => one.is_none() && two.is_none(),
        };
        alike
            && (self.labels, self.beyond) == (other.labels, other.beyond)
            && (&self.rows, &self.row_of) == (&other.rows, &other.row_of)
    }
}

impl Countries {
    fn new(locality: &Arc<Locality>, before: Option<&Arc<Series>>) -> Arc<Self> {
        let known = before.and_then(|before| before.countries.as_ref());
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.locality, locality)) {
            return Arc::clone(known);
        }
        let mut codes = vec![Arc::from(UNKNOWN)];
        let mut classes: HashMap<CountryCode, u32> = HashMap::new();
        let places = locality.places();
        let map = locality.classify(|place| {
            let country = places.get(place.index()).and_then(|place| place.country);
            country.map_or(0, |country| {
                *classes.entry(country).or_insert_with(|| {
                    codes.push(country.to_string().into());
                    index(codes.len() - 1)
                })
            })
        });
        Arc::new(Self { locality: Arc::clone(locality), map, codes })
    }
}
