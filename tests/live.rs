//! `meridian watch` in a real terminal: what an operator sees while clusters die and servers restart.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meridian_tests::{Cluster, Config, Meridian, Process, Signal, Site, WORLD, binary, now, scratch, signal};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

/// A server of two clusters, probed ten times a second.
struct Stage {
    folder: PathBuf,
    site: Site,
    clusters: [Cluster; 2],
    config: String,
}

impl Stage {
    fn new() -> Self {
        let (site, folder) = (Site::new(), scratch());
        let addresses = [1, 2].map(|host| site.address(host).to_string());
        let endpoints: Vec<(&str, &str)> =
            WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
        let config = Config::new()
            .with(&format!(
                "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = {:?}\n[health]\nisolation = false\n\
                 [[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\nfall = 2\nrise = 1\n",
                folder.join("data"),
                site.port
            ))
            .clusters(&WORLD[..2])
            .gateway("shop", &["shop.gslb.example"], "probe = \"web\"\n", &endpoints)
            .text()
            .to_owned();
        let clusters = [1, 2].map(|host| site.cluster(host));
        Self { folder, site, clusters, config }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--data-dir").arg(self.folder.join("data"));
        command
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the row of an address begins with, up to the address.
    fn row(&self, verdict: &str, host: u8) -> String {
        let cluster = WORLD[usize::from(host) - 1].0;
        format!("{verdict:<13}shop     {cluster:<9}{}", self.site.address(host))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It is in the folder for temporary files.
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}

//----------- A terminal -----------------------------------------------------

const SIZE: (u16, u16) = (30, 120);

/// A command in a terminal of its own.
struct Terminal {
    process: Process,
    keyboard: File,
    /// Held open, so that its settings can be read when the process has ended.
    slave: std::os::fd::OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let size = Winsize { ws_row: SIZE.0, ws_col: SIZE.1, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
        let inside = || Stdio::from(slave.try_clone().unwrap());
        command.env_remove("LC_ALL").env("LANG", "C.UTF-8").env("TERM", "xterm-256color");
        let process = Process(command.stdin(inside()).stdout(inside()).stderr(inside()).spawn().unwrap());
        let keyboard = File::from(master.try_clone().unwrap());
        let [rows, columns] = [SIZE.0, SIZE.1].map(|of| of.try_into().unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let mut output = File::from(master);
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut octets = [0; 4096];
            // The master reports the end of the slave as an error or an end of file.
            while let Ok(length @ 1..) = output.read(&mut octets) {
                shown.lock().unwrap().process(&octets[..length]);
            }
        });
        Self { process, keyboard, slave, screen }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until all of these are on the screen; how long that took.
    fn shows(&self, wanted: &[&str]) -> Duration {
        let begun = now();
        loop {
            let text = self.text();
            if wanted.iter().all(|wanted| text.contains(wanted)) {
                return now() - begun;
            }
            assert!(now() - begun < Duration::from_secs(30), "{wanted:#?} in\n{text}");
            // The screen has no event to wait for.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for its end, and checks that the terminal is as it was.
    fn ended(mut self) -> ExitStatus {
        let status = self.process.0.wait().unwrap();
        let flags = tcgetattr(&self.slave).unwrap().local_flags;
        assert!(flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "{flags:?}");
        let begun = now();
        loop {
            let shown = self.screen.lock().unwrap();
            if !shown.screen().alternate_screen() && !shown.screen().hide_cursor() {
                return status;
            }
            drop(shown);
            assert!(now() - begun < Duration::from_secs(10), "the screen is not given back");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

//----------- What is seen ---------------------------------------------------

#[test]
fn a_cluster_that_dies_is_seen() {
    let mut stage = Stage::new();
    let _meridian = Meridian::serve(&stage.config);
    let mut terminal = Terminal::start(stage.command(&["watch"]));
    let [healthy, unhealthy] = ["● healthy", "✖ unhealthy"].map(|verdict| stage.row(verdict, 1));
    let begun = terminal.shows(&[&healthy, &stage.row("● healthy", 2), "CLUSTERS 2", "q quit", ", live"]);
    assert!(begun < Duration::from_secs(10), "{begun:?}");
    assert!(terminal.screen.lock().unwrap().screen().alternate_screen());

    // What the selected address has behind it, and who answers the clients of its gateway.
    terminal.shows(&["web: ●", "clients are answered by ", "eu-west ", "us-east ", " %"]);

    let died = now();
    stage.clusters[0].kill();
    terminal.shows(&[&unhealthy, "✖ unhealthy  eu-west", "1 unhealthy", "(was healthy): GET http://"]);
    let seen = now() - died;
    println!("a killed cluster was on the screen {seen:?} later");
    assert!(seen < Duration::from_secs(2), "{seen:?}");
    let colour = |row: &str| {
        let shown = terminal.screen.lock().unwrap();
        let line = terminal_row(&shown, row);
        shown.screen().cell(line, 0).unwrap().fgcolor()
    };
    assert_eq!(colour(&unhealthy), vt100::Color::Idx(1));
    stage.clusters[0].mend();
    terminal.shows(&[&healthy]);

    stage.run(&["override", "cluster/us-*", "down", "--reason", "a drill", "--by", "ann"]);
    terminal.shows(&[
        "OVERRIDES 1",
        "down  cluster/us-*",
        "ann: a drill",
        "us-east               -   1 forced",
    ]);
    terminal.press("/us-east");
    terminal.shows(&["/us-east_", "ENDPOINTS 1 of 2"]);
    terminal.press("\r?");
    terminal.shows(&["any key closes this"]);
    terminal.press(" ");
    terminal.shows(&["/ filter: us-east (Esc: all)", "forced by cluster/us-*"]);
    terminal.press("\t");
    terminal.shows(&["▸ TRANSITIONS"]);
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
}

fn terminal_row(parser: &vt100::Parser, text: &str) -> u16 {
    let rows = parser.screen().rows(0, SIZE.1);
    let at = rows.into_iter().position(|row| row.contains(text)).expect("the row");
    u16::try_from(at).unwrap()
}

#[test]
fn a_restart_and_an_outage_of_the_server_are_survived() {
    let stage = Stage::new();
    let mut meridian = Meridian::serve(&stage.config);
    let mut terminal = Terminal::start(stage.command(&["watch"]));
    terminal.shows(&[&stage.row("● healthy", 1), &format!("process {}, live", meridian.id())]);
    meridian.restart();
    terminal.shows(&[&format!("restarted: process {} has taken over", meridian.id())]);
    drop(meridian);
    terminal.shows(&[
        "NO ANSWER for ",
        "shown is what was known",
        "no server there",
        &stage.row("● healthy", 1),
    ]);
    let meridian = Meridian::serve(&stage.config);
    terminal.shows(&[&format!("process {}, live", meridian.id()), &stage.row("● healthy", 1)]);
    // Control-C, as a terminal in raw mode sends it.
    terminal.press("\u{3}");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn a_reload_that_is_refused_is_loud() {
    let stage = Stage::new();
    let meridian = Meridian::serve(&stage.config);
    let terminal = Terminal::start(stage.command(&["watch"]));
    terminal.shows(&[", live", "configuration "]);
    std::fs::write(meridian.config(), stage.config.replace("workers = 1", "workerz = 1")).unwrap();
    meridian.signal(Signal::SIGHUP);
    terminal.shows(&["RELOAD REFUSED ", "server.workerz: expected one of the keys"]);
    let shown = terminal.screen.lock().unwrap();
    let row = terminal_row(&shown, "RELOAD REFUSED");
    assert!(shown.screen().cell(row, 0).unwrap().inverse());
    drop(shown);
    signal(&terminal.process.0, Signal::SIGTERM);
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn without_colours_the_words_are_the_same() {
    let mut stage = Stage::new();
    let _meridian = Meridian::serve(&stage.config);
    stage.clusters[1].kill();
    let mut command = stage.command(&["watch"]);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command);
    terminal.shows(&[&stage.row("● healthy", 1), &stage.row("✖ unhealthy", 2)]);
    let shown = terminal.screen.lock().unwrap();
    for (row, column) in (0..SIZE.0).flat_map(|row| (0..SIZE.1).map(move |column| (row, column))) {
        let cell = shown.screen().cell(row, column).unwrap();
        assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
    }
    drop(shown);
    terminal.press("\u{1b}");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn without_a_terminal_or_a_server_it_says_so() {
    let stage = Stage::new();
    let output = stage.command(&["watch"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(said.contains("needs a terminal") && said.contains("`meridian status --watch --json`"), "{said}");
    let terminal = Terminal::start(stage.command(&["watch"]));
    terminal.shows(&["meridian.sock: no server there; is it running, and is --data-dir its data_dir?"]);
    assert_eq!(terminal.ended().code(), Some(1));
}
