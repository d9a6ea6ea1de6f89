//! A real browser (Chromium by Playwright) with the dashboard in it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::Process;

/// What Playwright takes for the look of a browser: a desktop with a light page.
pub const DESKTOP: &str = r#"{"viewport": {"width": 1440, "height": 900}, "colorScheme": "light"}"#;

/// A browser that ends with the test.
pub struct Browser {
    _process: Process,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts one for the page of an API; `look` is what Playwright takes for a context, as JSON.
    ///
    /// # Panics
    /// Without Chromium and the modules that `tests/run` installs.
    #[must_use]
    pub fn start(api: SocketAddr, look: &str) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = tests.join(".cache/dashboard");
        assert!(modules.join("node_modules").is_dir(), "no {}: ./tests/run makes it", modules.display());
        let mut command = Command::new("node");
        command
            .arg(tests.join("dashboard/browser.mjs"))
            .env("DASHBOARD_MODULES", &modules)
            .env("DASHBOARD_PICTURES", pictures())
            .env("DASHBOARD_URL", format!("http://{api}/"))
            .env("DASHBOARD_LOOK", look)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("node, which ./tests/run installs");
        let (to, from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { _process: Process(child), to, from: BufReader::new(from) }
    }

    /// Runs a script with `page`, as Playwright knows it, and `the` of `dashboard/browser.mjs`.
    ///
    /// # Panics
    /// When it throws, which it does when something does not come in time.
    pub fn run(&mut self, script: &str) -> Value {
        writeln!(self.to, "{}", json!({ "script": script })).expect("the browser reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the browser answers");
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} to {script}"));
        assert!(answer["error"].is_null(), "{script}\n{}", answer["error"].as_str().unwrap_or_default());
        answer["value"].clone()
    }

    /// Opens the page, and waits until it shows everything.
    pub fn open(&mut self) {
        self.run("await page.goto(the.url); await the.ready();");
    }

    /// No error was said in it, and nobody but the page's own server was asked for anything.
    ///
    /// # Panics
    /// When that is not so.
    pub fn assert_clean(&mut self) {
        let errors = self.run("return the.errors");
        assert_eq!(errors, json!([]));
        let strangers = self.run("return the.origins().filter((one) => one !== new URL(the.url).origin)");
        assert_eq!(strangers, json!([]));
    }
}

/// Where pictures of the page are left.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dashboard")
}
