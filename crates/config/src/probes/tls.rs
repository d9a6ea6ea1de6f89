//! How a probe speaks TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meridian_model::Tls;

use super::checks::is_name;
use crate::findings::{Findings, Spotted};
use crate::forms;
use crate::kinds::{At, FilePath, Flag, Parsed};
use crate::limits;
use crate::reader::Table;

const SNI: Parsed<Box<str>> = Parsed {
    what: "the name of a server, such as \"shop.example\"",
    pattern: forms::HOSTNAME,
    parse: |text| if is_name(text) { Ok(text.into()) } else { Err(String::new()) },
};

/// TLS as written, its files read; `None` where one could not be.
pub(super) struct TlsSpec {
    pub(super) tls: Tls,
}

/// Reads the keys about TLS, and the files that they name.
pub(super) fn read(table: &mut Table<'_>, file: &Path, data_files: &mut Vec<PathBuf>) -> Option<TlsSpec> {
    let path = |what| At(FilePath { file, what });
    let sni = table.optional("sni", &SNI);
    let insecure = table.or("insecure", false, &Flag);
    let roots = table.optional("ca_file", &path("the path of certificates in PEM"));
    let certificate = table.optional("cert_file", &path("the path of a client certificate in PEM"));
    let key = table.optional("key_file", &path("the path of a private key in PEM"));
    table.needs("cert_file", "key_file", "a path, as there is cert_file");
    table.needs("key_file", "cert_file", "a path, as there is key_file");
    if let Some(roots) = roots.as_ref().filter(|_| insecure) {
        let expected = "no ca_file beside insecure = true: nothing is verified";
        table.findings.mistake(&roots.spot, expected, roots.value.display());
    }
    data_files.extend([&roots, &certificate, &key].into_iter().flatten().map(|path| path.value.clone()));
    let findings = table.findings;
    let both = certificate.is_some() == key.is_some();
    let load = |of: Option<Spotted<PathBuf>>, marks| match of {
        None => Some(None),
        Some(path) => read_pem(&path, marks, findings).map(Some),
    };
    let (roots, certificate) = (load(roots, CERTIFICATE), load(certificate, CERTIFICATE));
    let key = load(key, KEY);
    let (roots, certificate, key) = (roots?, certificate?, key?);
    both.then(|| TlsSpec {
        tls: Tls { sni, verify: !insecure, roots, identity: certificate.zip(key), certificate_days: 0 },
    })
}

/// Reports the keys about TLS where there is none.
pub(super) fn refuse(table: &mut Table<'_>) {
    for key in ["sni", "insecure", "ca_file", "cert_file", "key_file"] {
        table.refused(key, &format!("no {key}: without TLS there is none"));
    }
}

/// What a PEM file has, and how it begins (RFC 7468).
type Marks = (&'static str, &'static [&'static str]);

const CERTIFICATE: Marks = ("certificates in PEM", &["-----BEGIN CERTIFICATE-----"]);
const KEY: Marks = (
    "a private key in PEM",
    &["-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----"],
);

/// A file's octets, if it looks like PEM of its kind; what is in it is for those who use it to read.
fn read_pem(path: &Spotted<PathBuf>, (what, marks): Marks, findings: &Findings<'_>) -> Option<Arc<[u8]>> {
    let shown = path.value.display();
    let expected = format!("a file with {what}");
    let octets = match crate::read_data(&path.value, limits::PEM_OCTETS) {
        Ok(octets) => octets,
        Err(reason) => {
            findings.mistake(&path.spot, expected, format_args!("{shown}: {reason}"));
            return None;
        }
    };
    let text = String::from_utf8_lossy(&octets);
    if !marks.iter().any(|mark| text.contains(mark)) {
        findings.mistake(&path.spot, expected, format_args!("{shown}: no {:?} in it", marks[0]));
        return None;
    }
    Some(octets.into())
}
