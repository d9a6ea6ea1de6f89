//! A value that Prometheus knows, within bounds.
//!
//! Its server is the operator's own and not what is checked: it is found by name, asked over connections
//! that are kept, and its silence says nothing of any address.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderValue, USER_AGENT};
use meridian_model::{Bounds, PrometheusCheck};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::connect::client_config;
use super::finding;
use super::sent::{Sent, field};
use crate::Finding;
use crate::limits::{PROMETHEUS_IDLE_MAX, PROMETHEUS_OCTETS_MAX};

/// A [`PrometheusCheck`] made ready.
#[derive(Debug)]
pub(super) struct Prometheus {
    client: Client,
    /// Those that the client sends.
    headers: HeaderMap,
    url: Url,
    query: Box<str>,
    timeout: Duration,
    wanted: Bounds,
    preferred: Bounds,
}

impl Prometheus {
    /// `timeout`: the probe's, which the server is told.
    pub(super) fn new(check: &PrometheusCheck, timeout: Duration) -> Result<Self, String> {
        let url = format!("{}/api/v1/query", check.url.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|error| format!("the URL {:?}: {error}", check.url))?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("meridian-probe"));
        for (name, value) in &check.headers {
            let (name, value) = field(name, value)?;
            headers.insert(name, value);
        }
        let client = Client::builder()
            .default_headers(headers.clone())
            .tls_backend_preconfigured(client_config(&check.tls)?)
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .pool_max_idle_per_host(PROMETHEUS_IDLE_MAX)
            // A connection is made in the background; it too ends with the time.
            .connect_timeout(timeout)
            .build();
        let client = client.map_err(|error| finding(&error))?;
        let PrometheusCheck { query, wanted, preferred, .. } = check;
        let (query, wanted, preferred) = (query.clone(), *wanted, *preferred);
        Ok(Self { client, headers, url, query, timeout, wanted, preferred })
    }

    pub(super) fn sent(&self) -> Sent {
        let server_name = self.url.host_str().filter(|_| self.url.scheme() == "https");
        Sent::new(server_name.map(str::to_owned), None, &self.headers)
    }

    pub(super) async fn check(&self, at: SocketAddr) -> Finding {
        match self.values(at).await {
            Ok(values) => self.judge(&values),
            Err(why) => Finding::NoData(why),
        }
    }

    async fn values(&self, at: SocketAddr) -> Result<Vec<f64>, String> {
        let query =
            self.query.replace("{address}", &at.ip().to_string()).replace("{port}", &at.port().to_string());
        let mut url = self.url.clone();
        // Told the time, the server does not work for nobody.
        let timeout = format!("{}ms", self.timeout.as_millis());
        url.query_pairs_mut().append_pair("query", &query).append_pair("timeout", &timeout);
        let response = self.client.get(url).send().await.map_err(|error| finding(&error))?;
        let status = response.status().as_u16();
        let body = read(response).await?;
        let reply: Result<Reply, _> = serde_json::from_slice(&body);
        match reply {
            Ok(reply) if status == 200 => reply.values(),
            Ok(reply) => Err(format!("{status}, {}", reply.complaint())),
            Err(_) if status != 200 => Err(format!("{status}, wanted 200")),
            Err(error) => Err(format!("200 without the result of a query: {error}")),
        }
    }

    /// A value out of bounds decides, whatever the others are; without one, all must be numbers.
    fn judge(&self, values: &[f64]) -> Finding {
        let beyond = |bounds: Bounds| {
            let outside: Vec<f64> = values.iter().copied().filter(|value| bounds.exclude(*value)).collect();
            let of = match values.len() {
                1 => String::new(),
                all => format!(" ({} of {all} samples)", outside.len()),
            };
            outside.first().map(|first| format!("{first}{of}, wanted {bounds}"))
        };
        if let Some(why) = beyond(self.wanted) {
            return Finding::Failed(why);
        }
        if values.is_empty() {
            return Finding::NoData("no sample".to_owned());
        }
        if values.iter().any(|value| value.is_nan()) {
            return Finding::NoData("NaN, wanted a number".to_owned());
        }
        beyond(self.preferred).map_or(Finding::Good, Finding::Degraded)
    }
}

/// A body up to its limit, not unpacked.
async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| finding(&error))? {
        if octets.len() + chunk.len() > PROMETHEUS_OCTETS_MAX {
            return Err(format!("a response of over {PROMETHEUS_OCTETS_MAX} octets"));
        }
        octets.extend_from_slice(&chunk);
    }
    Ok(octets)
}

//----------- Reply ----------------------------------------------------------

/// The response of `/api/v1/query` (Prometheus' HTTP API).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Sample>),
    Scalar(Value),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

/// An element of a vector; a native histogram has no value.
#[derive(Deserialize)]
struct Sample {
    value: Option<Value>,
}

/// A time and a number, which stands in quotes.
type Value = (IgnoredAny, String);

impl Reply {
    fn values(self) -> Result<Vec<f64>, String> {
        if self.status != "success" {
            return Err(self.complaint());
        }
        let number = |(_, text): Value| text.parse::<f64>().map_err(|_| format!("{text:?}, wanted a number"));
        match self.data {
            Some(Data::Vector(samples)) => samples
                .into_iter()
                .map(|sample| sample.value.ok_or_else(|| "a histogram, wanted a number".to_owned()))
                .map(|value| number(value?))
                .collect(),
            Some(Data::Scalar(value)) => Ok(vec![number(value)?]),
            Some(Data::Matrix(_)) => Err("a range of values, wanted a vector or a scalar".to_owned()),
            Some(Data::String(_)) => Err("a string, wanted a vector or a scalar".to_owned()),
            None => Err("no data".to_owned()),
        }
    }

    /// `bad_data: invalid parameter "query": …`
    fn complaint(&self) -> String {
        let kind = self.error_type.as_deref().unwrap_or(&self.status);
        let error = self.error.as_deref().unwrap_or("no reason");
        format!("{kind}: {error}").replace(char::is_control, " ")
    }
}
