//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::check::{self, Check};
use crate::configuration::{self, Config};
use crate::diff::{self, Diff};
use crate::explain::{self, Explain};
use crate::live::{self, Watch};
use crate::log_level::{self, LogLevel};
use crate::logs::{self, LogFormat};
use crate::overrides::{self, Drain, Restore, Say};
use crate::probe::{self, Probe};
use crate::process::{self, Reload, Restart};
use crate::prove::{self, Prove};
use crate::status::{self, Status};
use crate::{audit, demo, exit, page, serve, token};

/// A DNS-based global load balancer: answers each hostname with the address of the nearest healthy
/// cluster.
#[derive(Debug, Parser)]
#[command(name = "meridian", version, max_term_width = 100)]
struct Line {
    #[command(subcommand)]
    command: Command,

    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,

    /// The least level that is logged: error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL")]
    log_level: tracing::Level,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve DNS from a configuration file.
    ///
    /// SIGHUP reloads it. SIGUSR2 restarts: a new process takes over, and no query is lost. SIGTERM drains and ends.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Load a configuration file as serve does, print every issue, and end before opening sockets.
    ///
    /// Ends with 0 when the file can be served, with 64 when not.
    Check(Check),
    /// Say why a client gets the answer it gets, stage by stage.
    ///
    /// The same code as the answer's. Every address counts as healthy unless --down or --probe says more.
    Explain(Explain),
    /// Run each probe once, now, and print what it did, what it found and how long it took.
    ///
    /// The same code as serve's, but one outcome decides: no thresholds, no overrides. Hostnames of endpoints
    /// are resolved as serve does. A probe that is made of others is worked out from what they found. Values of
    /// header fields that may be secrets are hidden.
    ///
    /// Ends with 0 when every target shown is good or degraded, with 1 when one failed or has no data, and
    /// with 64 when the file has issues or a --target matches nothing.
    Probe(Probe),
    /// Prove that residency holds: which clusters could ever answer which clients, whatever their health.
    ///
    /// A rule is held for all the clients that it names, also where an earlier rule takes them. An endpoint
    /// by hostname counts as resolved to anything. With more than ten kinds of endpoints in a gateway, by
    /// cluster, track, family and weight 0, all that its policy and fallback name counts as possible.
    ///
    /// Ends with 0 when every rule holds, and with 1 when one can be broken, with a client for which it can.
    Prove(Prove),
    /// Say what share of clients a change of the configuration moves to another cluster.
    ///
    /// Weighs every address that has a country in NEW: one IPv4 address, or one IPv6 /48, is one client,
    /// which asks for itself. All addresses count as healthy, and an endpoint given as a hostname as one
    /// IPv4 address. A client moves by the least share of its answers that must name another cluster, by
    /// their first address: weights and the trial of a rollout count as the shares that they ask for, and
    /// what the hash of a sticky gateway moves beyond that does not count. Of A and AAAA the one that
    /// moves more counts; where one has no answer, the other stands for it. Hostnames that only one of
    /// the files has are named and do not count; clusters are the same when their names are.
    ///
    /// With --queries every query counts once, in its own type. For sticky gateways and trials it is exact
    /// then: each client gets what the answer would give it. Other gateways with several candidates count
    /// by their weights, as before.
    ///
    /// Ends with 0, with 3 when more than --max-moved moves, and with 64 when a file has issues.
    Diff(Diff),
    /// Show what the server on this machine holds of every address, and why.
    ///
    /// Observed is what the probes say, forced what an operator says, effective what counts.
    Status(Status),
    /// Watch the server on this machine, live in a terminal: clusters, endpoints, transitions and overrides.
    ///
    /// It only looks. What can be done stands in its last line, and ? says more. NO_COLOR is heeded.
    Watch(Watch),
    /// Print the configuration that the server on this machine runs, as its file had it when it was accepted.
    Config(Config),
    /// Show what the server on this machine logs, or change that until its process ends.
    ///
    /// FILTER is a level (error, warn, info, debug, trace, off), or levels by where lines come from, the longest
    /// module that fits first: info,meridian_health_probe=debug. Without it, the one in force is printed.
    LogLevel(LogLevel),
    /// Say what counts for endpoints of the server on this machine, whatever its probes find.
    ///
    /// It is in force at once and holds across restarts. Of several that match, the narrowest counts: an
    /// endpoint's before a gateway's before a cluster's, then the one with fewer wildcards. One of the same
    /// target is replaced.
    Override(Say),
    /// Drain endpoints of the server on this machine: the same as override TARGET drain.
    Drain(Drain),
    /// Lift an override of the server on this machine: its probes count again.
    Restore(Restore),
    /// Say who changed what of the server on this machine, when and why.
    Audit(audit::Asked),
    /// Have the server on this machine read its configuration again. A file with issues changes nothing.
    ///
    /// Ends with 0 when the file is accepted, and with 64, after every issue, when it is not.
    Reload(Reload),
    /// Have a new process take over from the server on this machine, and lose no query.
    ///
    /// It is started from the path and with the arguments of the one that serves: with a new binary there, this is
    /// an upgrade. It takes the sockets and plain connections over once it has had its first round. If it fails,
    /// the one that serves goes on.
    ///
    /// Ends with 0 when the new process serves, and with 1, after why, when it does not.
    Restart(Restart),
    /// Print the JSON Schema of the configuration file, for editors and for checks of files.
    ///
    /// A file that it refuses `check` refuses too; what needs two places of a file, or another file, is for
    /// `check` alone. In an editor with taplo: meridian schema > meridian.schema.json, and "#:schema
    /// ./meridian.schema.json" in the first line of the file.
    Schema,
    /// Make a token for who uses the API over a network. The file of tokens has its hash alone.
    Token(token::Asked),
    /// Print what a shell needs to complete the command line.
    ///
    /// For bash: meridian completions bash > /etc/bash_completion.d/meridian
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Run three small clusters and the DNS server for them on loopback addresses.
    Demo {
        /// Where the DNS server listens, UDP and TCP.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5300")]
        listen: std::net::SocketAddr,
        /// The port of the three HTTP clusters, on 127.0.10.1, 127.0.20.1 and 127.0.30.1.
        #[arg(long, value_name = "PORT", default_value_t = 8080)]
        http_port: u16,
    },
}

/// Runs the command of this process's arguments.
pub fn run() -> ExitCode {
    let line = Line::parse();
    let result = match line.command {
        Command::Check(asked) => check::run(&asked),
        Command::Explain(asked) => explain::run(&asked),
        Command::Diff(asked) => diff::run(&asked),
        Command::Probe(asked) => probe::run(&asked),
        Command::Status(asked) => status::run(&asked),
        Command::Watch(asked) => live::run(&asked),
        Command::Config(asked) => configuration::run(&asked),
        Command::LogLevel(asked) => log_level::run(&asked),
        Command::Override(asked) => overrides::say(&asked),
        Command::Drain(asked) => overrides::drain(&asked),
        Command::Audit(asked) => audit::run(&asked),
        Command::Restore(asked) => overrides::restore(&asked),
        Command::Prove(asked) => prove::run(&asked),
        Command::Reload(asked) => process::reload(&asked),
        Command::Restart(asked) => process::restart(&asked),
        Command::Schema => {
            page::print(&format!("{:#}\n", meridian_config::schema().as_value()));
            Ok(exit::OK)
        }
        Command::Token(asked) => token::run(&asked),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Line::command(), "meridian", &mut script);
            page::print(&String::from_utf8_lossy(&script));
            Ok(exit::OK)
        }
        Command::Serve { config } => {
            let _logs = logs::init(line.log_format, line.log_level);
            serve::run(&config)
        }
        Command::Demo { listen, http_port } => {
            // The demo tells its story on standard output; only trouble is logged beside it.
            let _logs = logs::init(line.log_format, line.log_level.min(tracing::Level::WARN));
            demo::run(listen, http_port)
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("meridian: {error:#}");
            ExitCode::from(exit::FAILED)
        }
    }
}
