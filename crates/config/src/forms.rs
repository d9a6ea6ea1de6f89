//! What the texts of the file match, as regular expressions of JSON Schema: what an editor can check of a
//! text while it is typed. Each takes every text that its parser takes, and some more.

/// Anything.
pub(crate) const ANY: &str = "";
/// An address with a port.
pub(crate) const SOCKET: &str = r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]+$";
/// An address.
pub(crate) const ADDRESS: &str = "^[0-9A-Fa-f:.]+$";
/// An address, perhaps with a port.
pub(crate) const SERVER: &str = r"^([0-9A-Fa-f:.]+|\[[0-9A-Fa-f:.%]+\]:[0-9]+)$";
/// An address or an absolute hostname.
pub(crate) const ADDRESS_OR_NAME: &str = r"^([0-9A-Fa-f:.]+|[0-9A-Za-z._-]+\.)$";
/// A prefix of either family.
pub(crate) const PREFIX: &str = "^[0-9A-Fa-f:.]+/[0-9]{1,3}$";
/// A domain name, absolute with or without its final dot.
pub(crate) const NAME: &str = r"^(\.|(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?|\*\.?)$";
/// A hostname or a wildcard of them.
pub(crate) const HOSTNAME: &str = r"^(\*\.)?[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*\.?$";
/// The code of a country.
pub(crate) const COUNTRY: &str = "^[A-Za-z]{2}$";
/// The code of a part of a country.
pub(crate) const PART: &str = "^[A-Za-z]{2}-[0-9A-Za-z]{1,3}$";
/// Either.
pub(crate) const REGION: &str = "^[A-Za-z]{2}(-[0-9A-Za-z]{1,3})?$";
/// What stands behind the hyphen of a part.
pub(crate) const SUBDIVISION: &str = "^[0-9A-Za-z]{1,3}$";
/// Printable ASCII without a space.
pub(crate) const GRAPHIC: &str = "^[!-~]{1,255}$";
/// Base 64.
pub(crate) const BASE64: &str = "^[0-9A-Za-z+/]+={0,2}$";
/// An absolute path of a URI, unescaped.
pub(crate) const PLAIN_PATH: &str = "^/[0-9A-Za-z/._~-]*$";
/// A path and a query of a URI.
pub(crate) const PATH: &str = r#"^/[!-"$-~]*$"#;
/// The methods that probes have.
pub(crate) const METHOD: &str = "^(GET|HEAD|POST|PUT|OPTIONS)$";
/// A host, perhaps with a port.
pub(crate) const HOST: &str = r"^([0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\])(:[+0-9]+)?$";
/// The URL of a server.
pub(crate) const URL: &str = "^https?://[^@/]+(/[!->@-~]*)?$";
/// A token of HTTP.
pub(crate) const TOKEN: &str = r"^[0-9A-Za-z!#$%&'*+.^_`|~-]{1,128}$";
/// A record type by its name or number.
pub(crate) const RECORD_TYPE: &str = "^[A-Za-z0-9]+$";
/// A range of status codes.
pub(crate) const STATUSES: &str = r"^\s*\+?[1-5][0-9]{2}\s*-\s*\+?[1-5][0-9]{2}\s*$";
