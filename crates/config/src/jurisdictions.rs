//! `[[jurisdictions]]`: named sets of countries, those of the file and those that are built in.

use std::collections::{BTreeSet, HashMap};

use meridian_model::{CountryCode, EEA, EU, Jurisdiction, JurisdictionId};

use crate::countries::{self, REGION, Region, parse_country, parse_part};
use crate::findings::{Findings, Spotted};
use crate::issue::{any_of, did_you_mean, quote};
use crate::kinds::{At, List, Sections, Text};
use crate::limits;
use crate::reader::{Many, Table};

/// The name of a jurisdiction, where one is referred to.
pub(crate) const JURISDICTION: Text =
    Text { what: "the name of a jurisdiction", characters: limits::NAME_CHARACTERS, pattern: Text::FREE };

/// The form of a name of the file's own.
const NAME: Text = Text {
    what: "a name of letters, digits and hyphens",
    characters: limits::NAME_CHARACTERS,
    pattern: r"^[A-Za-z0-9-]+$",
};

//----------- JurisdictionSpec -----------------------------------------------

/// A jurisdiction as written.
pub(crate) struct JurisdictionSpec {
    name: Option<Spotted<Box<str>>>,
    countries: Vec<Spotted<Region>>,
}

/// Reads `[[jurisdictions]]`.
pub(crate) fn read(root: &mut Table<'_>) -> Many<JurisdictionSpec> {
    let countries = List { of: At(REGION), what: "countries or parts of them", min: 1, max: limits::REGIONS };
    let read = |table: &mut Table<'_>| JurisdictionSpec {
        name: table.required("name", &At(NAME)),
        countries: table.required("countries", &countries).unwrap_or_default(),
    };
    let max = limits::JURISDICTIONS_DEFINED;
    root.many("jurisdictions", &Sections { header: "[[jurisdictions]]", min: 0, max, read })
}

//----------- Jurisdictions --------------------------------------------------

/// The jurisdictions of the catalog: those of the file, then the built-in ones that something names.
pub(crate) struct Jurisdictions {
    list: Vec<Jurisdiction>,
    by_name: HashMap<Box<str>, JurisdictionId>,
    /// Of those of the file, the place of each and whether something names it.
    defined: Vec<(Spotted<Box<str>>, bool)>,
    /// No name is missing from the list.
    whole: bool,
}

impl Jurisdictions {
    /// Builds those of the file and checks that their names differ.
    pub(crate) fn build(specs: Many<JurisdictionSpec>, findings: &Findings<'_>) -> Self {
        let whole = specs.whole && specs.list.iter().all(|spec| spec.name.is_some());
        let mut all = Self { list: Vec::new(), by_name: HashMap::new(), defined: Vec::new(), whole };
        for JurisdictionSpec { name, countries } in specs.list {
            let regions = regions(countries, findings);
            let Some(name) = name else { continue };
            if let Some(first) = all.by_name.get(&name.value).and_then(|id| all.defined.get(id.index())) {
                let line = findings.line(&first.0.spot);
                let found = format_args!("{}: line {line} has it already", quote(&name.value));
                findings.mistake(&name.spot, "a name that no other jurisdiction has", found);
                continue;
            }
            check_name(&name, findings);
            all.push(name.value.clone(), regions);
            all.defined.push((name, false));
        }
        all
    }

    /// The jurisdiction of a name, now used; reports one that nothing has.
    pub(crate) fn find(
        &mut self,
        name: &Spotted<Box<str>>,
        findings: &Findings<'_>,
    ) -> Option<JurisdictionId> {
        self.find_or(name, None, findings)
    }

    /// As [`Jurisdictions::find`], where another word could stand as well.
    pub(crate) fn find_or(
        &mut self,
        name: &Spotted<Box<str>>,
        word: Option<&'static str>,
        findings: &Findings<'_>,
    ) -> Option<JurisdictionId> {
        if let Some(&id) = self.by_name.get(&name.value) {
            if let Some((_, used)) = self.defined.get_mut(id.index()) {
                *used = true;
            }
            return Some(id);
        }
        if let Some(regions) = built_in(&name.value) {
            return Some(self.push(name.value.clone(), regions));
        }
        if self.whole {
            let mut names: Vec<&str> = self.defined.iter().map(|(name, _)| &*name.value).collect();
            for built_in in ["EU", "EEA"] {
                if !names.contains(&built_in) {
                    names.push(built_in);
                }
            }
            let or = word.map_or_else(String::new, |word| format!("{word:?}, "));
            let expected = format_args!(
                "{or}the name of a jurisdiction ({}), a country or a part of one such as \"US-CA\"",
                any_of(&names)
            );
            let upper = name.value.to_ascii_uppercase();
            let hint = match CountryCode::parse(&name.value).map(countries::hint) {
                Ok(hint) if !hint.is_empty() => hint.into(),
                // Two letters are near to too many countries: only the case may differ.
                _ if built_in(&upper).is_some() => did_you_mean(&name.value, [upper.as_str()]),
                _ => did_you_mean(&name.value, names.iter().copied().chain(word)),
            };
            findings.mistake(&name.spot, expected, format_args!("{}{hint}", quote(&name.value)));
        }
        None
    }

    /// One that was found.
    pub(crate) fn get(&self, id: JurisdictionId) -> Option<&Jurisdiction> {
        self.list.get(id.index())
    }

    /// The ids of all whose countries hold this one, ascending.
    pub(crate) fn of_country(&self, country: CountryCode) -> impl Iterator<Item = JurisdictionId> {
        let holds = move |one: &Jurisdiction| one.countries.binary_search(&country).is_ok();
        let held = self.list.iter().enumerate().filter(move |(_, one)| holds(one));
        held.map(|(index, _)| JurisdictionId::from_index(index))
    }

    /// The catalog's list; warns of each of the file's own that nothing names.
    pub(crate) fn finish(self, findings: &Findings<'_>) -> Vec<Jurisdiction> {
        for (name, used) in &self.defined {
            if !used {
                findings.warn(
                    &name.spot,
                    format_args!("nothing refers to the jurisdiction {}", quote(&name.value)),
                );
            }
        }
        self.list
    }

    fn push(&mut self, name: Box<str>, regions: BTreeSet<Region>) -> JurisdictionId {
        let mut jurisdiction =
            Jurisdiction { name: name.clone(), countries: Vec::new(), subdivisions: Vec::new() };
        for region in regions {
            match region {
                Region::Country(country) => jurisdiction.countries.push(country),
                Region::Part(country, part) => jurisdiction.subdivisions.push((country, part)),
            }
        }
        let id = JurisdictionId::from_index(self.list.len());
        self.list.push(jurisdiction);
        self.by_name.insert(name, id);
        id
    }
}

/// What a name means that the file need not explain.
fn built_in(name: &str) -> Option<BTreeSet<Region>> {
    let members = |codes: &[&str]| {
        let countries = codes.iter().filter_map(|code| CountryCode::parse(code).ok());
        countries.map(Region::Country).collect()
    };
    match name {
        "EU" => Some(members(EU)),
        "EEA" => Some(members(EEA)),
        // In lower case they would be second names of one thing.
        _ if name.chars().any(|c| c.is_ascii_lowercase()) => None,
        _ => {
            let part = || parse_part(name).map(|(country, part)| Region::Part(country, part));
            parse_country(name).map(Region::Country).or_else(|_| part()).ok().map(|region| [region].into())
        }
    }
}

fn check_name(name: &Spotted<Box<str>>, findings: &Findings<'_>) {
    let text = &*name.value;
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        findings.mistake(&name.spot, NAME.what, quote(text));
    } else if parse_country(text).is_ok() || parse_part(text).is_ok() {
        let expected = "a name that is not the code of a country or of a part of one";
        findings.mistake(&name.spot, expected, quote(text));
    }
}

/// The regions, ascending; reports those that stand twice, also as part of a whole.
fn regions(list: Vec<Spotted<Region>>, findings: &Findings<'_>) -> BTreeSet<Region> {
    let mut regions = BTreeSet::new();
    for region in &list {
        if !regions.insert(region.value.clone()) {
            findings.mistake(&region.spot, "each country or part once", "one a second time");
        }
    }
    for Spotted { value, spot } in &list {
        if let Region::Part(country, part) = value
            && regions.contains(&Region::Country(*country))
        {
            let found = format_args!("\"{country}-{part}\" beside \"{country}\"");
            findings.mistake(spot, "a part of a country that is not there as a whole", found);
        }
    }
    regions
}
