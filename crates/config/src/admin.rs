//! `[admin]`: who may see and change a running server from elsewhere.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::csv::{DataFile, Field, Line};
use crate::findings::{Findings, Spot, Spotted};
use crate::issue::quote;
use crate::kinds::{At, FilePath, Section};
use crate::limits;
use crate::reader::Table;
use crate::server::SOCKET;
use crate::settings::{Admin, AdminTls, Role, Token};

/// `[admin]` as written.
#[derive(Default)]
pub(crate) struct AdminSpec {
    spot: Option<Spot>,
    listen: Option<Spotted<SocketAddr>>,
    token_file: Option<Spotted<PathBuf>>,
    tls: Option<TlsSpec>,
    /// Whether there is one, as good as it may be.
    has_tls: bool,
}

/// `[admin.tls]` as written.
struct TlsSpec {
    cert_file: Spotted<PathBuf>,
    key_file: Spotted<PathBuf>,
    client_ca_file: Option<Spotted<PathBuf>>,
}

/// Reads `[admin]`; relative paths begin at the folder of `file`.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> AdminSpec {
    let path = |what| At(FilePath { file, what });
    let tls = |table: &mut Table<'_>| {
        let cert_file = table.required("cert_file", &path("the path of a certificate in PEM"));
        let key_file = table.required("key_file", &path("the path of a private key in PEM"));
        let client_ca_file = table.optional("client_ca_file", &path("the path of certificates in PEM"));
        Some(TlsSpec { cert_file: cert_file?, key_file: key_file?, client_ca_file })
    };
    let read = |table: &mut Table<'_>| AdminSpec {
        spot: Some(table.spot.clone()),
        listen: table.required("listen", &At(SOCKET)),
        token_file: table.optional("token_file", &path("the path of a CSV file")),
        has_tls: table.has("tls"),
        tls: table.optional("tls", &Section { header: "[admin.tls]", read: tls }).flatten(),
    };
    root.or("admin", AdminSpec::default(), &Section { header: "[admin]", read })
}

impl AdminSpec {
    /// The files that it names.
    pub(crate) fn data_files(&self) -> impl Iterator<Item = PathBuf> {
        let tls = self.tls.iter().flat_map(|tls| {
            [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()].into_iter().flatten()
        });
        self.token_file.iter().chain(tls).map(|file| file.value.clone())
    }

    /// Where the API listens.
    pub(crate) fn listen(&self) -> impl Iterator<Item = &Spotted<SocketAddr>> {
        self.listen.iter()
    }

    /// Reads the tokens, and checks that nobody from elsewhere comes without one and in the clear.
    pub(crate) fn build(self, has_data_dir: bool, findings: &Findings<'_>) -> Option<Admin> {
        let Self { spot, listen, token_file, tls, has_tls } = self;
        if let Some(spot) = spot.filter(|_| !has_data_dir) {
            findings.mistake(
                &spot,
                "data_dir under [server], which keeps what is said and who said it",
                "none",
            );
        }
        let listen = listen?;
        if !listen.value.ip().is_loopback() {
            let needed = [("token_file", token_file.is_none()), ("[admin.tls]", !has_tls)];
            for (key, _) in needed.into_iter().filter(|(_, is_missing)| *is_missing) {
                let expected = format_args!("an address of loopback, or {key} beside it");
                findings.mistake(&listen.spot, expected, listen.value);
            }
        }
        Some(Admin {
            listen: listen.value,
            tokens: token_file.map(|file| tokens(&file, findings)),
            tls: tls.map(|TlsSpec { cert_file, key_file, client_ca_file }| AdminTls {
                cert_file: findings.located(cert_file),
                key_file: findings.located(key_file),
                client_ca_file: client_ca_file.map(|file| findings.located(file)),
            }),
        })
    }
}

//----------- Tokens ---------------------------------------------------------

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Role,
    Name,
    Sha256,
}

const COLUMNS: [(&str, Column); 3] =
    [("role", Column::Role), ("name", Column::Name), ("sha256", Column::Sha256)];

/// Reads a file of tokens, of which only hashes stand there; `meridian token` makes both.
fn tokens(named: &Spotted<PathBuf>, findings: &Findings<'_>) -> Vec<Token> {
    let Some(data) = DataFile::read(named, "a CSV file that can be read", findings) else {
        return Vec::new();
    };
    let mut lines = data.lines();
    let first = lines.next();
    let Some(columns) = data.header(first, &COLUMNS) else { return Vec::new() };
    if let Some(header) = first.filter(|_| columns.len() < COLUMNS.len()) {
        data.mistake(header.start(), "syntax", "the columns role, name and sha256", columns.len());
        return Vec::new();
    }
    let mut first_lines = HashMap::new();
    let mut tokens = Vec::new();
    for line in lines {
        if tokens.len() == limits::API_TOKENS {
            let expected = format_args!("at most {} tokens", limits::API_TOKENS);
            data.mistake(line.start(), "syntax", expected, "one more");
            break;
        }
        if let Some(token) = token(line, &columns, &data) {
            match first_lines.insert(token.name.clone(), line.number) {
                None => tokens.push(token),
                Some(first) => {
                    let found = format_args!("{}: line {first} has it already", quote(&token.name));
                    data.mistake(line.start(), "name", "each name once", found);
                }
            }
        }
    }
    tokens
}

/// The token of a line, or `None` after reporting what is wrong with it.
fn token(line: Line<'_>, columns: &[(&'static str, Column)], data: &DataFile<'_>) -> Option<Token> {
    let fields: Vec<Field<'_>> = line.fields().collect();
    if fields.len() != columns.len() {
        let expected = format_args!("{} fields, as many as columns are named", columns.len());
        data.mistake(line.start(), "syntax", expected, fields.len());
        return None;
    }
    let (mut role, mut name, mut sha256) = (None, None, None);
    for ((_, column), field) in columns.iter().zip(fields) {
        match column {
            Column::Role => {
                role = [("viewer", Role::Viewer), ("operator", Role::Operator)]
                    .into_iter()
                    .find_map(|(word, role)| (word == field.text).then_some(role));
                if role.is_none() {
                    data.mistake(field, "role", "viewer or operator", quote(field.text));
                }
            }
            Column::Name => {
                let is_short = (1..=limits::API_TOKEN_NAME_CHARS).contains(&field.text.chars().count());
                let is_good = is_short && !field.text.chars().any(char::is_control);
                name = is_good.then(|| field.text.into());
                if !is_good {
                    let expected = format_args!("1 to {} characters", limits::API_TOKEN_NAME_CHARS);
                    data.mistake(field, "name", expected, quote(field.text));
                }
            }
            Column::Sha256 => {
                let octets = data_encoding::HEXLOWER_PERMISSIVE.decode(field.text.as_bytes()).ok();
                sha256 = octets.and_then(|octets| <[u8; 32]>::try_from(octets).ok());
                if sha256.is_none() {
                    // It may be the token itself.
                    data.mistake(
                        field,
                        "sha256",
                        "64 hexadecimal digits, as `meridian token` prints them",
                        "something else",
                    );
                }
            }
        }
    }
    Some(Token { role: role?, name: name?, sha256: sha256? })
}
