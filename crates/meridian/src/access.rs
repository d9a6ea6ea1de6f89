//! Who may use the API over a network, and how that is encrypted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use meridian_admin::{Access, Role, Token};
use meridian_config::{Admin, AdminTls, Issue, Located};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};

use crate::certificate;

/// When a certificate expires, in seconds since 1970, and what is to be said of it.
type Expiry = (i64, Option<Issue>);

/// Reads what `[admin]` of `file` names, with a warning where its certificate has expired or soon will.
///
/// # Errors
/// An issue at the line of each file that is not what it should be.
pub(crate) fn of(
    file: &Path,
    admin: &Admin,
    now: SystemTime,
) -> Result<(Access, Option<Expiry>), Vec<Issue>> {
    let tokens = admin.tokens.as_ref().map(|tokens| tokens.iter().map(token).collect());
    let Some(tls) = &admin.tls else { return Ok((Access { tokens, tls: None }, None)) };
    let (config, expiry) = config(file, tls, now)?;
    Ok((Access { tokens, tls: Some(Arc::new(config)) }, Some(expiry)))
}

fn token(of: &meridian_config::Token) -> Token {
    let role = match of.role {
        meridian_config::Role::Viewer => Role::Viewer,
        meridian_config::Role::Operator => Role::Operator,
    };
    Token { role, name: of.name.clone(), sha256: of.sha256 }
}

/// TLS 1.2 or later, as the encrypted transports of DNS have it.
fn config(file: &Path, tls: &AdminTls, now: SystemTime) -> Result<(ServerConfig, Expiry), Vec<Issue>> {
    let AdminTls { cert_file, key_file, client_ca_file } = tls;
    let certificate = certificate::of(file, cert_file, key_file, now);
    let authorities = client_ca_file.as_ref().map(|named| authorities(file, named)).transpose();
    let ((certificate, warning), authorities) = match (certificate, authorities) {
        (Ok(certificate), Ok(authorities)) => (certificate, authorities),
        (certificate, authorities) => {
            let mut issues = certificate.err().unwrap_or_default();
            issues.extend(authorities.err());
            return Err(issues);
        }
    };
    let unusable = |error: &dyn std::fmt::Display| {
        let found = format!("{}: {error}", cert_file.value.display());
        vec![Issue::mistake(file, cert_file, "a certificate that TLS can use", &found)]
    };
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match authorities {
        Some(authorities) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| unusable(&error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let key = SingleCertAndKey::from((**certificate.key()).clone());
    let mut config = builder.with_cert_resolver(Arc::new(key));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, (certificate.not_after_s(), warning)))
}

/// Those by whom clients have to be certified.
fn authorities(file: &Path, named: &Located<PathBuf>) -> Result<RootCertStore, Issue> {
    const EXPECTED: &str = "a file with certificates of authorities in PEM";
    let octets = certificate::read(file, named, EXPECTED)?;
    let mistake = |found: &dyn std::fmt::Display| {
        Issue::mistake(file, named, EXPECTED, &format!("{}: {found}", named.value.display()))
    };
    let mut authorities = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&octets) {
        let authority = authority.map_err(|error| mistake(&error))?;
        authorities.add(authority).map_err(|error| mistake(&error))?;
    }
    if authorities.is_empty() { Err(mistake(&"no section \"CERTIFICATE\"")) } else { Ok(authorities) }
}
