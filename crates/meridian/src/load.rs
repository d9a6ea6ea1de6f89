//! One way from a file to what is served: for `check`, `serve`, reload and the demo.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meridian_admin::{Access, Data, Database};
use meridian_config::{Issue, Issues, Located, Settings};
use meridian_dns::{Certificate, Ground};
use meridian_geoip::{DatabaseError, Edition, Locality};
use meridian_model::Network;

use crate::serve::wall;
use crate::watch::Watch;
use crate::{access, certificate, manners, probes, unreached};

/// How long files must stay as they were read, and how often that is tried: who writes a file waits less between two
/// parts of it, and is done sooner.
const MOMENT: Duration = Duration::from_millis(50);
const MOMENTS: usize = 100;

/// A configuration that can be served.
pub struct Loaded {
    /// Names and places, ready for verdicts; holds the catalog.
    pub ground: Arc<Ground>,
    /// What is not the catalog's.
    pub settings: Settings,
    /// What the author should know all the same.
    pub warnings: Vec<Issue>,
    /// Who may use the API over a network, where it is on one.
    pub(crate) access: Option<Access>,
    /// When the certificate of that expires, in seconds since 1970.
    pub(crate) access_expires_s: Option<i64>,
    /// The databases and tables that were read.
    pub(crate) watch: Watch,
    /// The file itself; `None` for a text.
    pub(crate) of_file: Option<Watch>,
    /// The file's own text.
    pub(crate) text: Arc<str>,
}

impl Loaded {
    /// What is told of the databases and certificates that were read.
    pub(crate) fn data(&self) -> Data {
        let name = |path: &Option<PathBuf>| match path.as_ref().and_then(|path| path.file_name()) {
            Some(name) => name.to_string_lossy().into_owned(),
            None => "(embedded)".to_owned(),
        };
        let editions = self.ground.locality().editions().iter();
        let database = |of: &Edition| Database {
            name: name(&of.path),
            kind: of.database_type.clone(),
            built_s: of.built_s,
        };
        Data {
            databases: editions.map(database).collect(),
            server_certificate_s: self.ground.manners().certificate.as_ref().map(Certificate::not_after_s),
            admin_certificate_s: self.access_expires_s,
        }
    }
}

/// Loads a file and the databases and tables that it names.
///
/// # Errors
/// Every issue of the file and of what it names, in the file's order.
pub fn load(file: &Path) -> Result<Loaded, Issues> {
    // Before it is read, so that no change is missed.
    let of_file = Watch::new(vec![file.to_owned()]);
    let loaded = finish(file, meridian_config::load(file))?;
    Ok(Loaded { of_file: Some(of_file), ..loaded })
}

/// As [`load`], while a server runs: of a file alone, and of one that nobody is writing. To open a pipe would wait for
/// a writer, perhaps for ever, and meanwhile no other change would come into force. Half of a file can be a good one, and
/// leave out half of what is served.
pub(crate) fn load_again(file: &Path) -> Result<Loaded, Issues> {
    let refused = |why: &str| Err(Issues::from(Issue::unreadable(file, why.to_owned())));
    for _ in 0..MOMENTS {
        if std::fs::metadata(file).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            return refused("a pipe, socket or device");
        }
        let of_file = Watch::new(vec![file.to_owned()]);
        let loaded = load(file);
        std::thread::sleep(MOMENT);
        let of_data = loaded.as_ref().map(|loaded| loaded.watch.is_as_read());
        if of_file.is_as_read() && of_data.unwrap_or(true) {
            return loaded;
        }
    }
    refused("it, or what it names, is being written all the time")
}

/// Loads a text as though it stood in `file`.
///
/// # Errors
/// As [`load`].
pub fn load_text(text: &str, file: &Path) -> Result<Loaded, Issues> {
    finish(file, meridian_config::parse(text, file))
}

fn finish(file: &Path, loaded: Result<meridian_config::Loaded, Issues>) -> Result<Loaded, Issues> {
    let loaded = loaded.map_err(|issues| with_databases(file, issues))?;
    // Looked at before they are read, so that no change is missed: tables are read once more.
    let watch = Watch::new(files(&loaded.settings));
    let loaded = match loaded.settings.data_files.is_empty() {
        true => loaded,
        false => {
            let text = loaded.text.clone();
            // A million records need not be there twice.
            drop(loaded);
            meridian_config::parse(&text, file)?
        }
    };
    let geoip = &loaded.settings.geoip;
    let mut issues = probes::never(file, &loaded.catalog, &loaded.settings.probes);
    let server = &loaded.settings.server;
    let certificate =
        server.tls.as_ref().map(|tls| certificate::of(file, &tls.cert_file, &tls.key_file, wall()));
    let (certificate, expiry) = good(certificate, &mut issues).unzip();
    let access = server.admin.as_ref().map(|admin| access::of(file, admin, wall()));
    let (access, expiry_of_admin) = good(access, &mut issues).unzip();
    let (access_expires_s, expiry_of_admin) = expiry_of_admin.flatten().unzip();
    let locality = match locality(&geoip.databases, &geoip.networks) {
        Ok(locality) if issues.is_empty() => locality,
        Ok(_) => return Err(all(file, issues)),
        Err(errors) => {
            issues.extend(database_issues(file, &geoip.databases, &errors));
            return Err(all(file, issues));
        }
    };
    let manners = manners::of(&loaded.settings, certificate)
        .map_err(|error| Issue::unreadable(file, format!("no secret for cookies: {error}")))?;
    let ground = Ground::new(Arc::new(loaded.catalog), Arc::new(locality), Arc::new(manners), None)
        .map_err(|error| Issue::unreadable(file, error.to_string()))?;
    let meridian_config::Loaded { settings, mut warnings, text, .. } = loaded;
    warnings.extend(expiry.flatten().into_iter().chain(expiry_of_admin.flatten()));
    warnings.extend(unreached::warnings(file, ground.catalog(), ground.locality()));
    let (ground, of_file) = (Arc::new(ground), None);
    Ok(Loaded { ground, settings, warnings, access, access_expires_s, watch, of_file, text })
}

/// What was asked for, if it is good; else what is wrong with it is put to the issues.
fn good<T>(asked: Option<Result<T, Vec<Issue>>>, issues: &mut Vec<Issue>) -> Option<T> {
    asked?.map_err(|found| issues.extend(found)).ok()
}

/// What was found after the loader, of which there is something.
fn all(file: &Path, issues: Vec<Issue>) -> Issues {
    let mut each = issues.into_iter();
    let first = each.next().unwrap_or_else(|| Issue::unreadable(file, "no place is known".to_owned()));
    let mut issues = Issues::from(first);
    issues.add(each);
    issues
}

/// The issues of a file, and with them those of the databases that it names.
fn with_databases(file: &Path, mut issues: Issues) -> Issues {
    let databases = issues.databases().to_vec();
    if !databases.is_empty()
        && let Err(errors) = locality(&databases, &[])
    {
        issues.add(database_issues(file, &databases, &errors));
    }
    issues
}

/// Everything beside the configuration that it is made from.
fn files(settings: &Settings) -> Vec<PathBuf> {
    let databases = settings.geoip.databases.iter().map(|database| database.value.clone());
    databases.chain(settings.data_files.iter().cloned()).collect()
}

fn locality(databases: &[Located<PathBuf>], networks: &[Network]) -> Result<Locality, Vec<DatabaseError>> {
    let paths: Vec<PathBuf> = databases.iter().map(|database| database.value.clone()).collect();
    Locality::load(&paths, networks)
}

/// Each error at the line that names its database.
fn database_issues(file: &Path, databases: &[Located<PathBuf>], errors: &[DatabaseError]) -> Vec<Issue> {
    let issue = |error: &DatabaseError| match databases.get(error.index) {
        Some(named) => {
            let found = format!("{}: {}", error.path.display(), error.problem.found());
            Issue::mistake(file, named, &error.problem.expected(), &found)
        }
        None => Issue::unreadable(file, error.to_string()),
    };
    errors.iter().map(issue).collect()
}
