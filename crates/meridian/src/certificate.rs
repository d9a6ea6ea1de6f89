//! The certificate of the encrypted transports, from its files.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use meridian_config::{Issue, Located, Matter, read_data};
use meridian_dns::{Certificate, CertificateError};

/// Octets of a file in PEM: a chain of certificates is a few thousand.
const PEM_OCTETS: u64 = 1 << 20;
/// How long before its end a certificate is warned of: automata renew it a month before.
const SOON_DAYS: i64 = 7;
const DAY_S: i64 = 24 * 3600;

/// Reads the certificate that two keys of `file` name, with a warning where it has expired or soon will.
///
/// # Errors
/// An issue at the line of each file that is not what it should be.
pub(crate) fn of(
    file: &Path,
    cert_file: &Located<PathBuf>,
    key_file: &Located<PathBuf>,
    now: SystemTime,
) -> Result<(Certificate, Option<Issue>), Vec<Issue>> {
    let chain = read(file, cert_file, "a file with a certificate in PEM");
    let key = read(file, key_file, "a file with a private key in PEM");
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err([chain.err(), key.err()].into_iter().flatten().collect()),
    };
    let certificate = Certificate::from_pem(&chain, &key).map_err(|error| {
        let (at, expected) = match error {
            CertificateError::Chain(_) => (cert_file, "a file with a certificate in PEM"),
            CertificateError::Key(_) => (key_file, "a file with a private key in PEM"),
            CertificateError::Mismatch => (key_file, "the private key of the certificate in cert_file"),
        };
        vec![Issue::mistake(file, at, expected, &format!("{}: {error}", at.value.display()))]
    })?;
    let warning = expiry(&certificate, now).map(|text| Issue {
        file: file.into(),
        position: Some(cert_file.position),
        key: cert_file.key.clone(),
        matter: Matter::Warning(text),
    });
    Ok((certificate, warning))
}

/// What is to be said of how long a certificate is still good for, if anything.
pub(crate) fn expiry(certificate: &Certificate, now: SystemTime) -> Option<String> {
    let now_s = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let left_s = certificate.not_after_s().saturating_sub_unsigned(now_s);
    match left_s.div_euclid(DAY_S) {
        ..0 => Some(format!("expired {} days ago; it is served all the same", -left_s / DAY_S)),
        days @ 0..SOON_DAYS => Some(format!("expires in {days} days")),
        _ => None,
    }
}

pub(crate) fn read(file: &Path, named: &Located<PathBuf>, expected: &str) -> Result<Vec<u8>, Issue> {
    let issue = |found: &dyn std::fmt::Display| {
        let found = format!("{}: {found}", named.value.display());
        Issue::mistake(file, named, expected, &found)
    };
    read_data(&named.value, PEM_OCTETS).map_err(|reason| issue(&reason))
}
