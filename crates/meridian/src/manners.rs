//! How queries are met, from the settings.

use std::io;
use std::sync::OnceLock;

use meridian_config::{
    AnswerLabel, Cookies, Key, KeyAlgorithm, Metrics, RateLimit as RateLimitSettings, Settings,
};
use meridian_dns::{
    AnswerLabels, Certificate, CookieSecrets, Manners, RateLimit, Streams, TsigAlgorithm, TsigKey,
};

/// The secret of a server that shares none: one for the life of the process, so that cookies outlive a reload.
static OWN: OnceLock<CookieSecrets> = OnceLock::new();

/// # Errors
/// The system gives no random octets.
pub(crate) fn of(settings: &Settings, certificate: Option<Certificate>) -> io::Result<Manners> {
    let meridian_config::Manners { identity, cookies, subnets_of, rate_limit, streams, proxies } =
        &settings.server.manners;
    let mut manners = Manners::default();
    manners.nsid.clone_from(&identity.nsid);
    manners.version.clone_from(&identity.version);
    manners.id.clone_from(&identity.id);
    manners.subnets_of.clone_from(subnets_of);
    manners.cookies = secrets(cookies)?;
    manners.keys = settings.keys.iter().map(key).collect();
    let meridian_config::Streams { connections, per_client, idle, lifetime } = *streams;
    manners.proxies.clone_from(proxies);
    manners.certificate = certificate;
    if let Some(tls) = &settings.server.tls {
        manners.doh_path.clone_from(&tls.path);
    }
    manners.answers_by = answers_by(&settings.metrics);
    manners.streams = Streams { connections, per_client, idle, lifetime };
    Ok(match rate_limit {
        None => manners,
        Some(limit) => manners.limited(self::limit(limit)),
    })
}

fn answers_by(settings: &Metrics) -> AnswerLabels {
    let has = |label| settings.answers_by.contains(&label);
    AnswerLabels {
        gateway: has(AnswerLabel::Gateway),
        cluster: has(AnswerLabel::Cluster),
        country: has(AnswerLabel::Country),
    }
}

fn secrets(cookies: &Cookies) -> io::Result<Option<CookieSecrets>> {
    match cookies {
        Cookies::Off => Ok(None),
        Cookies::Own => own().map(Some),
        Cookies::Shared(secrets) => match secrets.split_first() {
            Some((first, others)) => Ok(Some(CookieSecrets::new(*first, others.iter().copied()))),
            // The loader takes no file without one.
            None => own().map(Some),
        },
    }
}

fn own() -> io::Result<CookieSecrets> {
    if let Some(own) = OWN.get() {
        return Ok(own.clone());
    }
    let made = CookieSecrets::random()?;
    Ok(OWN.get_or_init(|| made).clone())
}

fn key(key: &Key) -> TsigKey {
    let algorithm = match key.algorithm {
        KeyAlgorithm::Sha256 => TsigAlgorithm::Sha256,
        KeyAlgorithm::Sha384 => TsigAlgorithm::Sha384,
        KeyAlgorithm::Sha512 => TsigAlgorithm::Sha512,
    };
    TsigKey::new(&key.name, algorithm, &key.secret)
}

fn limit(settings: &RateLimitSettings) -> RateLimit {
    let RateLimitSettings { per_client, per_name, errors, slip, ipv4_prefix, ipv6_prefix, exempt } =
        settings.clone();
    RateLimit { per_client, per_name, errors, slip, ipv4_prefix, ipv6_prefix, exempt }
}
