//! What the encrypted transports show of themselves.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::parse_x509_certificate;

/// A certificate with what it is signed by, and its private key.
#[derive(Clone, Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    not_after_s: i64,
}

/// Why two files are no certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The first holds no certificate that can be read.
    #[error("no certificate: {0}")]
    Chain(String),
    /// The second holds no private key that can be used.
    #[error("no private key: {0}")]
    Key(String),
    /// The key is not that of the certificate.
    #[error("the private key of another certificate")]
    Mismatch,
}

impl Certificate {
    /// Reads both in PEM: the server's certificate first, and its private key (PKCS #8, PKCS #1 or SEC 1).
    ///
    /// # Errors
    /// Which of the two cannot be used, or that they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| CertificateError::Chain(error.to_string()))?;
        let Some(own) = chain.first() else {
            return Err(CertificateError::Chain("no section \"CERTIFICATE\"".to_owned()));
        };
        let (_, parsed) =
            parse_x509_certificate(own).map_err(|error| CertificateError::Chain(error.to_string()))?;
        let not_after_s = parsed.validity().not_after.timestamp();
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| CertificateError::Key(error.to_string()))?;
        let key = default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| CertificateError::Key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch,
            error => CertificateError::Chain(error.to_string()),
        })?;
        Ok(Self { key: Arc::new(certified), not_after_s })
    }

    /// When it expires, in seconds since 1970.
    #[must_use]
    pub fn not_after_s(&self) -> i64 {
        self.not_after_s
    }

    /// What signs handshakes.
    #[must_use]
    pub fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}
