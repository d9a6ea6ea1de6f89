//! `[[keys]]`: secrets that messages are signed with (TSIG, RFC 8945).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use meridian_model::DomainName;

use crate::csv::DataFile;
use crate::findings::{Findings, Spot, Spotted};
use crate::issue::{any_of, did_you_mean, quote};
use crate::kinds::{At, Choice, FilePath, Sections};
use crate::limits;
use crate::reader::{Many, Table};
use crate::settings::{Key, KeyAlgorithm};
use crate::zones::DOMAIN_NAME;

const ALGORITHM: Choice<KeyAlgorithm> = Choice(&[
    ("hmac-sha256", KeyAlgorithm::Sha256),
    ("hmac-sha384", KeyAlgorithm::Sha384),
    ("hmac-sha512", KeyAlgorithm::Sha512),
]);

/// A key as written.
pub(crate) struct KeySpec {
    name: Option<Spotted<DomainName>>,
    algorithm: KeyAlgorithm,
    secret_file: Option<Spotted<PathBuf>>,
}

/// Reads `[[keys]]`; relative paths begin at the folder of `file`.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> Many<KeySpec> {
    let secret_file = At(FilePath { file, what: "the path of a file" });
    let read = |table: &mut Table<'_>| KeySpec {
        name: table.required("name", &At(DOMAIN_NAME)),
        algorithm: table.or("algorithm", KeyAlgorithm::Sha256, &ALGORITHM),
        secret_file: table.required("secret_file", &secret_file),
    };
    root.many("keys", &Sections { header: "[[keys]]", min: 0, max: limits::KEYS, read })
}

/// All keys, to be found by name.
pub(crate) struct Keys {
    pub(crate) keys: Vec<Key>,
    /// The files of their secrets.
    pub(crate) data_files: Vec<PathBuf>,
    names: HashMap<DomainName, Spot>,
    /// No name is missing.
    whole: bool,
}

impl Keys {
    /// Reads the secrets, and checks that the names differ.
    pub(crate) fn build(specs: Many<KeySpec>, findings: &Findings<'_>) -> Self {
        let Many { list, whole } = specs;
        let mut all = Self {
            keys: Vec::new(),
            data_files: Vec::new(),
            names: HashMap::new(),
            whole: whole && list.iter().all(|spec| spec.name.is_some()),
        };
        for KeySpec { name, algorithm, secret_file } in list {
            let secret = secret_file.and_then(|named| {
                all.data_files.push(named.value.clone());
                secret(&named, findings)
            });
            let Some(name) = name else { continue };
            if let Some(first) = all.names.get(&name.value) {
                let line = findings.line(first);
                let found = format_args!("{}: the key in line {line} has it", quote(name.value.as_str()));
                findings.mistake(&name.spot, "a name that no other key has", found);
                continue;
            }
            if let Some(secret) = secret {
                all.keys.push(Key { name: name.value.clone(), algorithm, secret });
            }
            all.names.insert(name.value, name.spot);
        }
        all
    }

    /// Checks that there is a key of a name that someone refers to.
    pub(crate) fn check(&self, name: &Spotted<DomainName>, findings: &Findings<'_>) {
        if self.names.contains_key(&name.value) || !self.whole {
            return;
        }
        let mut names: Vec<&str> = self.names.keys().map(DomainName::as_str).collect();
        names.sort_unstable();
        let found = quote(name.value.as_str());
        match names.as_slice() {
            [] => findings.mistake(&name.spot, "the name of a key, and there is no [[keys]]", found),
            names => {
                let hint = did_you_mean(name.value.as_str(), names.iter().copied());
                let expected = format_args!("the name of a key ({})", any_of(names));
                findings.mistake(&name.spot, expected, format_args!("{found}{hint}"));
            }
        }
    }
}

/// Reads a file with one secret; never says what stands there.
fn secret(named: &Spotted<PathBuf>, findings: &Findings<'_>) -> Option<Vec<u8>> {
    const EXPECTED: &str = "a file with a secret in base 64, of 16 to 128 octets, in one line";
    let data = DataFile::read(named, EXPECTED, findings)?;
    let mut lines = data.lines();
    let Some(line) = lines.next() else {
        let found = format_args!("none in {}", quote(&named.value.display().to_string()));
        findings.mistake(&named.spot, EXPECTED, found);
        return None;
    };
    let decoded = data_encoding::BASE64.decode(line.start().text.trim().as_bytes()).ok();
    let good = decoded.filter(|octets| limits::KEY_OCTETS.contains(&octets.len()));
    if good.is_none() {
        data.mistake(line.start(), "secret", "16 to 128 octets in base 64", "something else");
    }
    if let Some(more) = lines.next() {
        data.mistake(more.start(), "secret", "one secret", "one more line");
        return None;
    }
    good
}
