//! What a check sends that its cause does not say, without secrets.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// Parts of the names of header fields whose values let their holder in: `authorization`, `cookie`,
/// `x-api-key`. A name that has one by chance hides what is no secret, which costs less than the contrary.
const SECRET: [&str; 9] =
    ["auth", "cookie", "credential", "key", "pass", "secret", "session", "signature", "token"];

/// What a check sends beside what its cause says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Whose certificate TLS asks for: a name, which is sent (SNI), or the address, which is not; `None` without
    /// TLS.
    pub server_name: Option<String>,
    /// The header fields by name; `None` in place of a value that may be a secret.
    pub fields: Vec<(String, Option<String>)>,
}

impl Sent {
    /// `authority`: of HTTP/2, where the host is no header field.
    pub(super) fn new(server_name: Option<String>, authority: Option<String>, fields: &HeaderMap) -> Self {
        let shown = |value: &HeaderValue| {
            (!value.is_sensitive()).then(|| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let authority = authority.map(|host| (":authority".to_owned(), Some(host)));
        let fields = fields.iter().map(|(name, value)| (name.to_string(), shown(value)));
        Self { server_name, fields: authority.into_iter().chain(fields).collect() }
    }
}

/// A header field of the operator's; its value is marked where it may be a secret.
pub(super) fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let header_name = field_name(name)?;
    // The value is not repeated: it may be a secret.
    let wrong = |_| format!("the value of the header field {name:?}");
    let mut value = HeaderValue::from_str(value).map_err(wrong)?;
    value.set_sensitive(SECRET.iter().any(|part| header_name.as_str().contains(part)));
    Ok((header_name, value))
}

pub(super) fn field_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("the header field {name:?}"))
}
