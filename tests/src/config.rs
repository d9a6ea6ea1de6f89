//! Configurations, put together.

use std::fmt::Write;

use crate::cluster::Site;

/// Dublin, Virginia, Tokyo: name, latitude, longitude.
pub const WORLD: [(&str, f64, f64); 3] =
    [("eu-west", 53.35, -6.26), ("us-east", 39.04, -77.49), ("ap-northeast", 35.68, 139.77)];

/// Keys of a gateway whose first cluster is asked for unless it is down.
pub const FIRST_UNLESS_DOWN: &str =
    "policy = { type = \"failover\", tiers = [ { clusters = [\"frankfurt\"] }, { clusters = [\"*\"] } ] }\n";

/// A configuration in the making; its parts may come in any order.
#[derive(Clone, Debug)]
pub struct Config(String);

impl Config {
    /// Begins with the zone `gslb.example`: two name servers, one of them within it, serial 7.
    #[must_use]
    pub fn new() -> Self {
        Self::bare(
            "name = \"gslb.example\"\nnameservers = [\"ns1.gslb.example\", \"ns2.elsewhere.example\"]\nhostmaster = \"hostmaster.example\"\nserial = 7\n",
        )
        .record("ns1", "A", "\"127.0.0.1\"")
    }

    /// Begins with a zone of these keys.
    #[must_use]
    pub fn bare(keys: &str) -> Self {
        Self("version = 1\n".to_owned()).with("[[zones]]\n").with(keys)
    }

    /// Adds a text as it stands.
    #[must_use]
    pub fn with(mut self, text: &str) -> Self {
        self.0.push_str(text);
        self
    }

    /// Adds records to the zone; `data` is a list of TOML strings without its brackets.
    #[must_use]
    pub fn record(self, name: &str, record_type: &str, data: &str) -> Self {
        self.with(&format!(
            "[[zones.records]]\nname = \"{name}\"\ntype = \"{record_type}\"\ndata = [{data}]\n"
        ))
    }

    /// Adds networks of the operator: prefix and country.
    #[must_use]
    pub fn networks<'n>(mut self, networks: impl IntoIterator<Item = (&'n str, &'n str)>) -> Self {
        for (prefix, country) in networks {
            self =
                self.with(&format!("[[geoip.networks]]\nprefix = \"{prefix}\"\ncountry = \"{country}\"\n"));
        }
        self
    }

    /// Adds clusters: name, latitude, longitude.
    #[must_use]
    pub fn clusters(mut self, clusters: &[(&str, f64, f64)]) -> Self {
        for (name, latitude, longitude) in clusters {
            self = self.with(&format!(
                "[[clusters]]\nname = \"{name}\"\nlatitude = {latitude:?}\nlongitude = {longitude:?}\n"
            ));
        }
        self
    }

    /// Adds a gateway with one endpoint a cluster: the cluster's name, and its addresses separated by
    /// commas. `keys` are further lines of the gateway.
    #[must_use]
    pub fn gateway(self, name: &str, hostnames: &[&str], keys: &str, endpoints: &[(&str, &str)]) -> Self {
        let mut text = format!("[[gateways]]\nname = \"{name}\"\nhostnames = {hostnames:?}\n{keys}");
        for (cluster, addresses) in endpoints {
            let addresses: Vec<&str> = addresses.split(',').collect();
            // Writing to a string cannot fail.
            let _infallible =
                write!(text, "[[gateways.endpoints]]\ncluster = \"{cluster}\"\naddresses = {addresses:?}\n");
        }
        self.with(&text)
    }

    /// Adds the gateway `shop` with a cluster each in Frankfurt and Tokyo, the first two of a site, which is probed
    /// ten times a second; `keys` are further lines of the gateway, `hold_down` is the probe's.
    #[must_use]
    pub fn watched(self, site: &Site, hold_down: &str, keys: &str) -> Self {
        let probe = format!(
            "[[probes]]\nname = \"web\"\ntype = \"tcp\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\nrise = 2\nhold_down = \"{hold_down}\"\n",
            site.port
        );
        let [first, second] = [1, 2].map(|host| site.address(host).to_string());
        self.with(&probe).clusters(&[("frankfurt", 50.11, 8.68), ("tokyo", 35.68, 139.77)]).gateway(
            "shop",
            &["shop.gslb.example"],
            &format!("probe = \"web\"\n{keys}"),
            &[("frankfurt", &first), ("tokyo", &second)],
        )
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
