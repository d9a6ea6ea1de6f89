//! `[[probes]]`: what is checked, and how often.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use meridian_model::{Check, Probe, ProbeId, Thresholds};

use crate::Located;
use crate::endpoints::check_ip;
use crate::findings::{Findings, Spotted};
use crate::forms;
use crate::kinds::{At, Flag, Parsed, Sections};
use crate::limits;
use crate::names::{NAME, Names};
use crate::reader::{Many, Table};

mod checks;
mod combined;
mod dns;
mod expect;
mod prometheus;
mod thresholds;
mod tls;

pub(crate) use prometheus::server_url;

use checks::CheckSpec;
use combined::Found;
use thresholds::{Timing, TimingSpec};

/// A failure is a failure.
const INVERT_DEFAULT: bool = false;

/// What is checked in place of an endpoint's addresses.
pub(crate) const ADDRESS: Parsed<IpAddr> = Parsed {
    what: "an IPv4 or IPv6 address",
    pattern: forms::ADDRESS,
    parse: |text| text.parse().map_err(|_| String::new()).and_then(check_ip),
};

//----------- ProbeSpec ------------------------------------------------------

/// A probe as written.
pub(crate) struct ProbeSpec {
    /// Where its table begins.
    place: Spotted<()>,
    name: Option<Spotted<Box<str>>>,
    check: CheckSpec,
    invert: bool,
    address: Option<IpAddr>,
    timing: TimingSpec,
    thresholds: Thresholds,
}

/// Reads `[[probes]]` of the file at this path.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> Many<ProbeSpec> {
    let read = |table: &mut Table<'_>| read_probe(table, file);
    root.many("probes", &Sections { header: "[[probes]]", min: 0, max: limits::PROBES, read })
}

fn read_probe(table: &mut Table<'_>, file: &Path) -> ProbeSpec {
    let name = table.required("name", &At(NAME));
    // Reports what a combined one leaves to its members, which is then read as though it were not there.
    let check = checks::read(table, file);
    let is_combined = check.combined.is_some();
    ProbeSpec {
        place: Spotted { value: (), spot: table.spot.clone() },
        name,
        check,
        invert: table.or("invert", INVERT_DEFAULT, &Flag),
        address: if is_combined { None } else { table.optional("address", &ADDRESS) },
        timing: if is_combined { TimingSpec::default() } else { thresholds::read_timing(table) },
        thresholds: if is_combined { Thresholds::default() } else { thresholds::read(table) },
    }
}

//----------- Probes ---------------------------------------------------------

/// All probes, to be found by name.
pub(crate) struct Probes {
    /// `None` where an issue says why.
    pub(crate) probes: Option<Vec<Probe>>,
    pub(crate) names: Names,
    /// Where each of them stands.
    pub(crate) places: Vec<Located<()>>,
    /// The files that were read.
    pub(crate) data_files: Vec<PathBuf>,
}

impl Probes {
    /// Builds the probes and checks that their names differ, and that commands are allowed.
    pub(crate) fn build(specs: Many<ProbeSpec>, allow_exec: bool, findings: &Findings<'_>) -> Self {
        let Many { list, whole } = specs;
        let names = list.iter().map(|spec| spec.name.clone()).collect();
        let names = Names::new("probe", names, whole, findings);
        let data_files = list.iter().flat_map(|spec| spec.check.data_files.clone()).collect();
        for exec in list.iter().filter_map(|spec| spec.check.exec.as_ref()).filter(|_| !allow_exec) {
            let expected = "no command, unless [health] has allow_exec = true";
            findings.mistake(&exec.spot, expected, "a command");
        }
        let mut names = names;
        let combined: Vec<Found<'_>> = list
            .iter()
            .map(|spec| {
                let spec = spec.check.combined.as_ref()?.as_ref()?;
                Some((spec, spec.build(&mut names, findings)?))
            })
            .collect();
        let places = list.iter().map(|spec| findings.located(spec.place.clone())).collect();
        let is_nested_well = combined::check_nesting(&combined, findings);
        let combined: Vec<Option<Check>> =
            combined.into_iter().map(|found| found.map(|(_, check)| Check::Combined(check))).collect();
        let probes =
            list.into_iter().zip(combined).map(|(spec, combined)| build_probe(spec, combined, findings));
        let probes: Vec<Option<Probe>> = probes.collect();
        let probes = probes.into_iter().collect::<Option<_>>().filter(|_| is_nested_well);
        Self { probes, names, places, data_files }
    }

    /// The probe that a gateway names; reports a name that no probe has.
    pub(crate) fn find(&mut self, name: &Spotted<Box<str>>, findings: &Findings<'_>) -> Option<ProbeId> {
        self.names.find(name, findings).map(ProbeId::from_index)
    }
}

fn build_probe(spec: ProbeSpec, combined: Option<Check>, findings: &Findings<'_>) -> Option<Probe> {
    let ProbeSpec { name, check, invert, address, timing, thresholds, place: _ } = spec;
    let Timing { interval, fast_interval, timeout } = timing.build(findings);
    let (name, check, port) = (name?.value, check.check.or(combined)?, check.port?);
    Some(Probe { name, check, invert, port, address, interval, fast_interval, timeout, thresholds })
}
