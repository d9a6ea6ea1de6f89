//! The dashboard in Chromium: what it shows when something happens, and what its forms do.
//!
//! Pictures of it are left in `target/dashboard`, to be looked at.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meridian_tests::{
    Browser, Cluster, Config, DESKTOP, Meridian, Signal, Site, WORLD, api_address, binary, dig, free_port,
    now, scratch,
};
use serde_json::{Value, json};

/// How long a change may take from the death of a cluster to the page.
const SOON: Duration = Duration::from_secs(2);

/// Three clusters far apart, and a server whose API listens.
struct Stage {
    clusters: Vec<Cluster>,
    addresses: Vec<String>,
    data_dir: PathBuf,
    config: String,
    server: Meridian,
    api: SocketAddr,
}

impl Stage {
    fn new() -> Self {
        Self::with("")
    }

    /// `keys`: further ones of `[admin]`.
    fn with(keys: &str) -> Self {
        let site = Site::new();
        let data_dir = scratch().join("data");
        let addresses: Vec<String> = [1, 2, 3].map(|host| site.address(host).to_string()).into();
        let endpoints: Vec<(&str, &str)> =
            WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
        // A port of its own, on which another server can come after it.
        let port = free_port(Ipv4Addr::LOCALHOST);
        let config = Config::new()
            .with(&format!(
                "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n\
                 [admin]\nlisten = \"127.0.0.1:{port}\"\n{keys}\n[health]\nisolation = false\n[[probes]]\n\
                 name = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\n\
                 fall = 2\nrise = 1\nflap = {{ changes = 0 }}\n",
                data_dir.display(),
                site.port
            ))
            .clusters(&WORLD)
            .gateway("shop", &["shop.gslb.example", "*.shop.gslb.example"], "probe = \"web\"\n", &endpoints)
            .gateway(
                "mail",
                &["mail.gslb.example"],
                "probe = \"web\"\npolicy = \"weighted\"\n",
                &endpoints[..2],
            )
            .text()
            .to_owned();
        let clusters = vec![site.cluster(1), site.cluster(2), site.cluster(3)];
        let mut server = Meridian::serve(&config);
        let api = api_address(&mut server);
        Self { clusters, addresses, data_dir, config, server, api }
    }

    fn open(&self) -> Browser {
        let mut browser = Browser::start(self.api, DESKTOP);
        browser.open();
        browser
    }

    /// What a client in Ireland gets.
    fn answer(&self) -> Vec<String> {
        dig(self.server.address(), "shop.gslb.example A +subnet=134.226.0.0/24").data()
    }

    fn until_answered(&self, wanted: &str) {
        let deadline = now() + Duration::from_secs(30);
        while self.answer() != [wanted] {
            assert!(now() < deadline, "{:?}, wanted {wanted}", self.answer());
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(self.data_dir.parent().unwrap());
    }
}

/// The wall clock, which the browser has as well.
#[expect(clippy::disallowed_methods, reason = "two processes compare it")]
fn wall_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Waits until a country is answered by a cluster, in colour, letter and words; says when.
fn until_answered_by(browser: &mut Browser, country: &str, cluster: &str) -> u64 {
    let at = browser.run(&format!(
        r##"return the.until(([country, cluster]) => {{
            const shape = document.querySelector(`[data-country="${{country}}"]`);
            const row = [...document.querySelectorAll("#map-rows tr")].find((one) => one.textContent.startsWith("Ireland"));
            const swatch = [...document.querySelectorAll("#cluster-rows th")].find((one) => one.textContent.endsWith(cluster));
            const colour = (element) => [...element.classList].find((one) => /^[bf]-c\d$/.test(one))?.slice(2);
            return shape.dataset.cluster === cluster && colour(shape) === colour(swatch.firstChild)
                && row.textContent.includes(`${{cluster}} 100 %`);
        }}, ["{country}", "{cluster}"])"##
    ));
    at.as_u64().unwrap()
}

//----------- Seeing ---------------------------------------------------------

/// The map, the clusters, the transitions and what is read aloud change within two seconds, on the page as it is.
#[test]
fn a_cluster_dies_and_the_map_says_so() {
    let mut stage = Stage::new();
    let mut browser = stage.open();
    until_answered_by(&mut browser, "IE", "eu-west");
    browser.run("await page.evaluate(() => { window.same = true; });");
    let mut slowest = 0;
    for _ in 0..5 {
        let killed = wall_ms();
        stage.clusters[0].kill();
        until_answered_by(&mut browser, "IE", "us-east");
        // With words and signs beside the colours.
        let shown = browser.run(
            r##"return the.until(() => {
                const row = [...document.querySelectorAll("#cluster-rows tr")].find((one) => one.textContent.includes("eu-west")).textContent;
                return row.includes("✕ unhealthy") && row.includes("0.0 %")
                    && document.querySelector('.marker[data-cluster="eu-west"]').textContent === "A✕";
            })"##,
        );
        slowest = slowest.max(shown.as_u64().unwrap() - killed);
        let feed = browser.run(r##"return page.locator("#feed li").first().innerText()"##);
        let feed = feed.as_str().unwrap();
        assert!(feed.contains("connection refused") && feed.contains("✕ unhealthy"), "{feed}");
        stage.clusters[0].mend();
        until_answered_by(&mut browser, "IE", "eu-west");
    }
    println!("from the death of a cluster to the map: {slowest} ms at most, of five times");
    assert!(u128::from(slowest) <= SOON.as_millis(), "{slowest} ms");
    let aloud = browser.run(r##"return page.locator("#aloud").textContent()"##);
    assert!(aloud.as_str().unwrap().starts_with("shop/eu-west/"), "{aloud}");
    assert_eq!(browser.run("return page.evaluate(() => window.same)"), true, "it was not loaded again");
    browser.assert_clean();
}

/// A chart with its words, which goes on, and a table of the same.
#[test]
fn the_history_of_an_address_is_a_chart_and_words() {
    let mut stage = Stage::new();
    let mut browser = stage.open();
    stage.clusters[1].kill();
    stage.server.wait_for_verdict(&stage.addresses[1], "unhealthy");
    let button = format!("Probe history of shop/us-east/{}", stage.addresses[1]);
    browser.run(&format!(r##"await page.getByRole("button", {{ name: "{button}" }}).click();"##));
    browser.run(
        r##"await the.until(() => /\d+ outcomes in .*good.*failed.*The last failure was/.test(document.querySelector("#history-charts p")?.textContent ?? ""));"##,
    );
    let (first, painted) = (
        browser.run(r##"return page.locator("#history-charts p").first().textContent()"##),
        browser.run(
            r##"return page.locator("#history-charts canvas").evaluate((canvas) => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                let painted = 0;
                for (let at = 3; at < data.length; at += 4) painted += data[at] > 0 ? 1 : 0;
                return painted;
            })"##,
        ),
    );
    assert!(painted.as_u64().unwrap() > 1000, "{painted}");
    browser.run(&format!(
        r##"await the.until((first) => document.querySelector("#history-charts p").textContent !== first, {first});"##
    ));
    browser.run(r##"await page.locator("#history-charts summary").click();"##);
    let rows = browser.run(r##"return page.locator("#history-charts tbody tr").count()"##);
    assert!(rows.as_u64().unwrap() > 3, "{rows}");
    browser.run(r##"await page.getByRole("button", { name: "Close the history" }).click();"##);
    let focus = browser.run("return page.evaluate(() => document.activeElement.getAttribute('aria-label'))");
    assert_eq!(focus, json!(button));
    browser.assert_clean();
}

/// A stream that is lost is said, and so how old what is shown is; it comes again with the next server.
#[test]
fn a_server_that_comes_again_is_found_again() {
    let mut stage = Stage::new();
    let mut browser = stage.open();
    stage.server.signal(Signal::SIGKILL);
    stage.server.wait();
    browser.run(
        r##"await the.until(() => /Connection lost.*old/.test(document.querySelector("#connection").textContent)
            && document.body.classList.contains("is-stale"));"##,
    );
    stage.clusters[0].kill();
    stage.server = Meridian::serve(&stage.config);
    until_answered_by(&mut browser, "IE", "us-east");
    browser.run(
        r##"await the.until(() => document.querySelector("#connection").textContent.trim() === "Live"
            && !document.body.classList.contains("is-stale"));"##,
    );
    // One that takes over is not even noticed.
    stage.server.restart();
    stage.clusters[0].mend();
    until_answered_by(&mut browser, "IE", "eu-west");
    browser.run(
        r##"await the.until(() => document.querySelector("#connection").textContent.trim() === "Live");"##,
    );
    assert_eq!(browser.run("return the.origins().length"), 1);
}

//----------- Doing ----------------------------------------------------------

/// A drain by the form is what `dig` sees, until it is lifted.
#[test]
fn a_drain_by_form_moves_the_answers() {
    let stage = Stage::new();
    let mut browser = stage.open();
    stage.until_answered(&stage.addresses[0]);
    browser.run(
        r##"await page.getByRole("button", { name: "Override cluster eu-west" }).click();
        await page.keyboard.type("a disk is changed");
        await page.getByLabel("Said by").fill("ann");
        await page.getByLabel("Ends after").fill("1h");
        await page.keyboard.press("Enter");
        await the.until(() => document.querySelector("#override-told").textContent.includes("cluster/eu-west is drain"));"##,
    );
    stage.until_answered(&stage.addresses[1]);
    until_answered_by(&mut browser, "IE", "us-east");
    let row = browser.run(r##"return page.locator("#override-rows tr").first().innerText()"##);
    for wanted in ["cluster/eu-west", "drain", "a disk is changed", "ann"] {
        assert!(row.as_str().unwrap().contains(wanted), "{wanted}: {row}");
    }
    browser.run(
        r##"await page.getByRole("button", { name: "Restore cluster/eu-west" }).click();
        await page.getByRole("button", { name: "Really restore cluster/eu-west" }).click();
        await the.until(() => document.querySelector("#override-rows").textContent.startsWith("None"));"##,
    );
    stage.until_answered(&stage.addresses[0]);
    // What is wrong is said in the API's words, and nothing changes.
    browser.run(
        r##"await page.getByLabel("Target", { exact: false }).first().fill("eu-west");
        await page.getByLabel("Reason").fill("a try");
        await page.getByRole("button", { name: "Put it into force" }).click();
        await the.until(() => document.querySelector("#override-told.is-error")?.textContent.includes("target: expected"));"##,
    );
    stage.until_answered(&stage.addresses[0]);
    browser.assert_clean();
}

/// What an override would do is told before it is said; one that leaves nobody is refused, and done all the same if wanted.
#[test]
fn what_would_leave_nothing_is_asked_for_twice() {
    let stage = Stage::new();
    let mut browser = stage.open();
    browser.run(
        r##"await page.locator("#override-target").fill("cluster/eu-west");
        await page.getByLabel("Reason").fill("a try");
        await page.getByLabel("Said by").fill("ann");
        await page.getByRole("button", { name: "What would it do?" }).click();
        await the.until(() => /shop: \d+ % of the clients move/.test(document.querySelector("#override-moves").textContent));"##,
    );
    assert_eq!(browser.run(r##"return page.locator("#override-rows button").count()"##), 0);
    browser.run(
        r##"await page.locator("#override-target").fill("gateway/shop");
        await page.getByLabel("down", { exact: true }).check();
        await page.getByRole("button", { name: "Put it into force" }).click();
        await the.until(() => document.querySelector("#override-told.is-error")?.textContent.includes("leaves nothing that serves")
            && document.querySelector("#override-moves strong") !== null);"##,
    );
    assert_eq!(browser.run(r##"return page.locator("#override-rows button").count()"##), 0);
    browser.run(
        r##"await page.getByRole("button", { name: "Do it anyway" }).click();
        await page.getByRole("button", { name: "Restore gateway/shop" }).waitFor();"##,
    );
    browser.assert_clean();
}

#[test]
fn explain_says_why() {
    let stage = Stage::new();
    let mut browser = stage.open();
    browser.run(
        r##"await page.locator("#explain-client").fill("134.226.0.7");
        await page.locator("#explain-client").press("Enter");
        await the.until(() => document.querySelector("#explain-result .is-answer") !== null);"##,
    );
    let text = browser.run(r##"return page.locator("#explain-result").innerText()"##);
    for wanted in
        ["shop.gslb.example. A for 134.226.0.7", "nearest", "eu-west", &stage.addresses[0], "chosen"]
    {
        assert!(text.as_str().unwrap().contains(wanted), "{wanted}: {text}");
    }
    browser.run(
        r##"await page.locator("#explain-client").fill("nobody");
        await page.locator("#explain-form button").click();
        await the.until(() => document.querySelector("#explain-error").textContent.includes("client"));"##,
    );
    assert_eq!(browser.run(r##"return page.locator("#explain-result").innerText()"##), "");
    browser.assert_clean();
}

//----------- Access ---------------------------------------------------------

/// A token, and the line that lets it in.
fn token(role: &str, name: &str) -> (String, String) {
    let output = Command::new(binary()).args(["token", role, name]).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
    (text(&output.stdout), text(&output.stderr).lines().last().unwrap().to_owned())
}

/// With tokens a browser asks for one; a viewer's shows everything, and why the forms are closed.
#[test]
fn a_browser_shows_a_token_as_a_password() {
    let ((see, viewer), (change, operator)) = (token("viewer", "wall"), token("operator", "ann"));
    let tokens = scratch().join("tokens");
    std::fs::write(&tokens, format!("role,name,sha256\n{viewer}\n{operator}\n")).unwrap();
    let stage = Stage::with(&format!("token_file = \"{}\"", tokens.display()));
    let with = |password: &str| {
        let look = json!({ "httpCredentials": { "username": "anybody", "password": password } });
        Browser::start(stage.api, &look.to_string())
    };
    let status = "return (await page.goto(the.url)).status()";
    assert_eq!(with("wrong").run(status), 401);
    let mut browser = with(&see);
    assert_eq!(browser.run(status), 200);
    browser.run("await the.ready();");
    let closed = browser.run(r##"return page.locator("#override-closed").textContent()"##);
    assert!(closed.as_str().unwrap().contains("(wall) is a viewer's"), "{closed}");
    assert_eq!(browser.run(r##"return page.getByLabel("Reason").isDisabled()"##), true);
    let mut browser = with(&change);
    browser.open();
    browser.run(
        r##"await page.getByRole("button", { name: "Override cluster eu-west" }).click();
        await page.keyboard.type("a drill");
        await page.keyboard.press("Enter");
        await the.until(() => document.querySelector("#override-rows").textContent.includes("ann, "));"##,
    );
    browser.assert_clean();
    std::fs::remove_dir_all(tokens.parent().unwrap()).unwrap();
}

//----------- For everybody --------------------------------------------------

/// Light and dark, on a desk and on a phone, with everything open that can be: nothing serious for axe-core, nothing wider
/// than the screen. Pictures are left.
#[test]
fn everybody_can_use_it() {
    let mut stage = Stage::new();
    stage.clusters[2].kill();
    stage.server.wait_for_verdict(&stage.addresses[2], "unhealthy");
    for (name, look) in [
        ("desktop-light", json!({ "viewport": { "width": 1440, "height": 900 }, "colorScheme": "light" })),
        ("desktop-dark", json!({ "viewport": { "width": 1440, "height": 900 }, "colorScheme": "dark" })),
        ("tablet-dark", json!({ "viewport": { "width": 900, "height": 1200 }, "colorScheme": "dark" })),
        (
            "phone-light",
            json!({ "viewport": { "width": 320, "height": 640 }, "colorScheme": "light", "hasTouch": true }),
        ),
        (
            "phone-dark",
            json!({ "viewport": { "width": 390, "height": 844 }, "colorScheme": "dark", "hasTouch": true }),
        ),
    ] {
        let mut browser = Browser::start(stage.api, &look.to_string());
        browser.open();
        browser.run(
            r##"if (await page.locator("#override-rows button").count() === 0) {
                await page.getByLabel("Target", { exact: false }).first().fill("endpoint/mail/*/*");
                await page.getByLabel("Reason").fill("a picture");
                await page.getByLabel("Said by").fill("ann");
                await page.getByRole("button", { name: "Put it into force" }).click();
                await page.getByRole("button", { name: /^Restore/ }).waitFor();
            }
            await page.locator("#explain-client").fill("134.226.0.7");
            await page.locator("#explain-client").press("Enter");
            await page.locator("#explain-result .is-answer").waitFor();
            await page.getByRole("button", { name: "Probe history of shop/ap-northeast" }).click();
            await page.locator("#history-charts canvas").waitFor();
            await page.locator("#world summary").first().click();"##,
        );
        let wider = browser.run("return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)");
        assert_eq!(wider, 0, "{name} scrolls sideways");
        let found = browser.run("return the.axe()");
        assert_eq!(found["serious"], json!([]), "{name}: {found:#}");
        assert!(found["passed"].as_u64().unwrap() > 20, "{name}: {found:#}");
        browser.run(&format!(
            r##"await page.locator("#world summary").first().click(); await page.evaluate(() => document.activeElement.blur()); await the.picture("{name}");"##
        ));
        browser.assert_clean();
    }
}

/// By keys alone, from the top to an override; what has the focus is always to be seen.
#[test]
fn keys_alone_are_enough() {
    let stage = Stage::new();
    let mut browser = stage.open();
    let walked = browser.run(
        r##"const walked = [];
        for (let step = 0; step < 90; step += 1) {
            await page.keyboard.press("Tab");
            const here = await page.evaluate(() => {
                const { activeElement: on } = document;
                const { outlineStyle, outlineWidth } = getComputedStyle(on);
                const box = on.getBoundingClientRect();
                const name = on.getAttribute("aria-label") ?? on.labels?.[0]?.textContent ?? on.textContent;
                return { name: name.trim(), isSeen: outlineStyle !== "none" && outlineWidth !== "0px" && box.top >= 0 && box.left >= 0 };
            });
            walked.push(here);
            if (here.name.startsWith("Skip")) await page.keyboard.press("Enter");
            if (here.name === "mail") await page.keyboard.press("Enter");
            if (here.name === "Explain") break;
        }
        return walked;"##,
    );
    let walked = walked.as_array().unwrap();
    let names: Vec<&str> = walked.iter().filter_map(|one| one["name"].as_str()).collect();
    let unseen: Vec<&Value> = walked.iter().filter(|one| one["isSeen"] != true).collect();
    assert!(unseen.is_empty(), "{unseen:?} of {names:?}");
    assert_eq!(names[0], "Skip to the content");
    assert!(!names.contains(&"Transitions"), "skipped: {names:?}");
    for wanted in ["shop", "mail", "Override cluster eu-west", "Put it into force", "Explain"] {
        assert!(names.iter().any(|name| name.starts_with(wanted)), "{wanted}: {names:?}");
    }
    browser.run(r##"await the.until(() => document.querySelector("#map-gateway").value === "mail");"##);
    // What has the focus and goes leaves it to its heading, not to the top of the page.
    browser.run(
        r##"await page.locator("#map-gateway").selectOption("shop");
        await page.getByRole("button", { name: "Override shop/ap-northeast/" }).focus();
        await page.evaluate(() => {
            const select = document.querySelector("#map-gateway");
            select.value = "mail";
            select.dispatchEvent(new Event("change"));
        });
        await the.until(() => document.activeElement.id === "endpoints-title");"##,
    );
    browser.assert_clean();
}

//----------- Many -----------------------------------------------------------

/// Ten thousand gateways with a hundred thousand addresses: a page of them at a time, and the browser stays awake.
#[test]
fn a_large_setup_does_not_freeze_it() {
    let stage = Stage::new();
    let addresses: Vec<String> = (1..=10).map(|host| format!("192.0.2.{host}")).collect();
    let all = addresses.join(",");
    let mut config = Config::new()
        .with(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            stage.data_dir.with_file_name("large").display()
        ))
        .clusters(&WORLD);
    for number in 0..10_000 {
        let name = format!("gateway-{number:05}");
        config = config.gateway(&name, &[&format!("{name}.gslb.example")], "", &[("eu-west", &all)]);
    }
    let mut server = Meridian::serve(config.text());
    let mut browser = Browser::start(api_address(&mut server), DESKTOP);
    browser.run(
        "await page.addInitScript(() => {
            window.longest = 0;
            new PerformanceObserver((list) => {
                for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
            }).observe({ type: 'longtask', buffered: true });
        });",
    );
    browser.open();
    // What the map costs, it costs once; from then on nothing may.
    browser.run("await page.evaluate(() => { window.longest = 0; });");
    browser.run(
        r##"await page.getByLabel("Name has").fill("gateway-09999");
        await page.getByRole("button", { name: "gateway-09999" }).click();
        await the.until(() => document.querySelector("#endpoints-title").textContent.endsWith("gateway-09999")
            && document.querySelector("#gateways-count").textContent === "1 to 1 of 1");"##,
    );
    let longest = browser.run("return page.evaluate(() => window.longest)").as_f64().unwrap();
    println!("10,000 gateways with 100,000 addresses: the browser was busy for {longest} ms at most");
    assert!(longest < 1000.0, "{longest} ms");
    browser.assert_clean();
}
