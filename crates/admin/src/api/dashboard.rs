//! The dashboard: a page that is part of the binary, and asks nobody but the server that it came from.

use std::sync::LazyLock;

use axum::Json;
use axum::Router;
use axum::extract::{Extension, Path, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Refused, Sources};
use crate::access::{Caller, Role};
use crate::wire;

/// What the API's document says.
pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(caller))
}

/// The page.
pub(super) fn files() -> Router<Sources> {
    Router::new().route("/", get(page)).route("/dashboard/{*file}", get(file))
}

//----------- Files ----------------------------------------------------------

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const JSON: &str = "application/json";
const IMAGE: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    octets: &'static [u8],
}

macro_rules! files {
    ($($content_type:ident $name:literal,)*) => {
        &[$(File {
            name: $name,
            content_type: $content_type,
            octets: include_bytes!(concat!("../../dashboard/", $name)),
        }),*]
    };
}

/// The first is the page itself. What is in `vendor` is others' work, as its `VERSIONS` says.
const FILES: &[File] = files![
    HTML "index.html",
    SCRIPT "api.js",
    SCRIPT "chart.js",
    SCRIPT "countries.js",
    SCRIPT "dom.js",
    SCRIPT "explain.js",
    IMAGE "favicon.svg",
    SCRIPT "gateways.js",
    SCRIPT "live.js",
    SCRIPT "main.js",
    SCRIPT "map.js",
    SCRIPT "overrides.js",
    STYLE "style.css",
    SCRIPT "theme.js",
    SCRIPT "words.js",
    TEXT "vendor/LICENSE.d3-array",
    TEXT "vendor/LICENSE.d3-geo",
    TEXT "vendor/LICENSE.topojson-client",
    TEXT "vendor/LICENSE.uplot",
    TEXT "vendor/LICENSE.world-atlas",
    TEXT "vendor/VERSIONS",
    JSON "vendor/countries-110m.json",
    SCRIPT "vendor/d3-array.min.js",
    SCRIPT "vendor/d3-geo.min.js",
    SCRIPT "vendor/topojson-client.min.js",
    SCRIPT "vendor/uPlot.iife.min.js",
    STYLE "vendor/uPlot.min.css",
];

/// The tag of each file: that of its content.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |file: &File| {
        let hash = HEXLOWER.encode(digest(&SHA256, file.octets).as_ref());
        HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
    };
    FILES.iter().map(tag).collect()
});

/// Answers `GET /`.
async fn page(headers: HeaderMap) -> Response {
    send(0, &headers)
}

/// Answers `GET /dashboard/{file}`.
async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().position(|file| file.name == name) {
        Some(index) => send(index, &headers),
        None => Refused::new(StatusCode::NOT_FOUND, "no such file of the dashboard").into_response(),
    }
}

/// A browser asks each time whether what it has is what runs: after an update no page is of two versions.
fn send(index: usize, headers: &HeaderMap) -> Response {
    let (Some(file), Some(tag)) = (FILES.get(index), TAGS.get(index)) else {
        return Refused::new(StatusCode::NOT_FOUND, "no such file of the dashboard").into_response();
    };
    let about = [
        (ETAG, tag.clone()),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|list| list.split(',')).map(|known| known.trim().trim_start_matches("W/"));
    if known.any(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(CONTENT_TYPE, file.content_type)], file.octets).into_response()
}

//----------- Safety ---------------------------------------------------------

/// Everything is from this server, nothing is within the page itself, and the page is within no other.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Says with every answer that it is what it says it is, is for no page of others, and is in no history.
pub(super) async fn guarded(request: Request, next: Next) -> Response {
    const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

//----------- Who looks ------------------------------------------------------

/// Who asks, and what that token is good for.
#[utoipa::path(get, path = "/v1/caller", tag = "process", responses((status = 200, body = wire::WhoAsks)))]
async fn caller(caller: Option<Extension<Caller>>) -> Json<wire::WhoAsks> {
    let (name, role) = match caller {
        Some(Extension(Caller { name, role })) => (name.map(String::from), role),
        // Who may open the socket may do everything.
        None => (None, Role::Operator),
    };
    let role = if role == Role::Operator { "operator" } else { "viewer" };
    Json(wire::WhoAsks { name, role: role.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path as FilePath;

    use super::*;

    /// What a browser loads for the page, before it asks for anything.
    const OCTETS_MAX: usize = 600 << 10;

    #[test]
    fn all_of_the_page_is_in_the_binary_and_it_is_light() {
        fn list(folder: &FilePath, within: &str, all: &mut BTreeSet<String>) {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let name = format!("{within}{}", entry.file_name().into_string().unwrap());
                match entry.file_type().unwrap().is_dir() {
                    true => list(&entry.path(), &format!("{name}/"), all),
                    false => all.extend([name]),
                }
            }
        }
        let mut there = BTreeSet::new();
        list(&FilePath::new(env!("CARGO_MANIFEST_DIR")).join("dashboard"), "", &mut there);
        let known: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(known, there);
        let octets: usize = FILES.iter().map(|file| file.octets.len()).sum();
        assert!(octets <= OCTETS_MAX, "{octets}");
        assert_eq!(TAGS.iter().collect::<std::collections::HashSet<_>>().len(), FILES.len());
    }

    /// What the files of others are is what `VERSIONS` says.
    #[test]
    fn the_work_of_others_is_as_it_came() {
        let versions = include_str!("../../dashboard/vendor/VERSIONS");
        let named: Vec<(&str, &str)> = versions
            .lines()
            .filter_map(|line| line.split_once("  "))
            .filter(|(hash, _)| hash.len() == 64)
            .collect();
        for file in FILES.iter().filter(|file| file.name.starts_with("vendor/")) {
            let name = file.name.trim_start_matches("vendor/");
            if name == "VERSIONS" {
                continue;
            }
            let hash = HEXLOWER.encode(digest(&SHA256, file.octets).as_ref());
            assert!(named.contains(&(&hash, name)), "{hash}  {name}");
        }
    }

    /// Nothing that the policy forbids, and nobody else's address but the name that drawings have.
    #[test]
    fn the_page_is_within_its_policy() {
        for file in FILES.iter().filter(|file| !file.name.starts_with("vendor/")) {
            let text = str::from_utf8(file.octets).unwrap().replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{}", file.name);
            for forbidden in ["<script>", "<style", " style=\"", " onclick=", "innerHTML", "eval("] {
                assert!(!text.contains(forbidden), "{}: {forbidden}", file.name);
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_is_known_is_not_sent_again() {
        let first = page(HeaderMap::new()).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CONTENT_TYPE], HTML);
        let tag = first.headers()[ETAG].to_str().unwrap();
        for (sent, wanted) in [
            (tag.to_owned(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", W/{tag}"), StatusCode::NOT_MODIFIED),
            ("\"x\"".to_owned(), StatusCode::OK),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(&sent).unwrap())]);
            assert_eq!(page(headers).await.status(), wanted, "{sent}");
        }
    }
}
