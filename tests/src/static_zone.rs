//! Random static zones, with all that makes answers hard: wildcards, delegations with and without glue,
//! DNAMEs, chains and loops of CNAMEs, empty non-terminals.

use std::collections::BTreeSet;
use std::fmt::Write;

use fastrand::Rng;

/// A zone and the names worth asking for.
pub struct StaticZone {
    /// Without a final dot.
    pub apex: String,
    /// The zone file.
    pub text: String,
    /// Absolute, with a final dot: the names of the zone and names beside, below and above them.
    pub names: Vec<String>,
}

/// Few labels, so that names meet: `zz` is never among those that own records. Two are as RFC 2317 and RFC 6763
/// have them.
const LABELS: [&str; 9] = ["a", "b", "c", "www", "_tcp", "x-y", "deep", "0/25", "Old\\032Printer\\046"];

impl StaticZone {
    /// Makes one of about `owners` names from a seed.
    #[must_use]
    pub fn random(seed: u64, owners: usize) -> Self {
        let apex = format!("s{seed}.example");
        let mut making = Making {
            random: Rng::with_seed(seed),
            text: String::new(),
            owners: vec![String::new()],
            closed: Vec::new(),
            used: BTreeSet::new(),
        };
        making.head(&apex);
        for _ in 0..owners {
            making.owner();
        }
        let Making { text, used, .. } = making;
        Self { names: names(&apex, &used), apex, text }
    }
}

/// A zone in the making; names are relative to the apex, which is empty.
struct Making {
    random: Rng,
    text: String,
    /// Names that others may be made below, or be aliases of.
    owners: Vec<String>,
    /// Delegations and DNAMEs: nothing of the zone stands below them.
    closed: Vec<String>,
    used: BTreeSet<String>,
}

impl Making {
    fn head(&mut self, apex: &str) {
        let [ttl, minimum] = [self.random.u32(60..7200), self.random.u32(60..7200)];
        let _infallible = writeln!(
            self.text,
            "$ORIGIN {apex}.\n$TTL {ttl}\n@ SOA ns1 host.master 7 7200 900 1209600 {minimum}\n@ NS ns1\n\
             @ NS ns.elsewhere.test.\nns1 A 192.0.2.53\nns1 AAAA 2001:db8::53"
        );
        self.used.extend(["", "ns1"].map(str::to_owned));
        // An alias that a wildcard makes of a name to itself.
        self.line("*.loop", "CNAME zz.loop");
        self.used.extend(["loop", "*.loop"].map(str::to_owned));
        if self.random.bool() {
            self.line("", "MX 10 mail.elsewhere.test.");
        }
    }

    fn line(&mut self, owner: &str, data: &str) {
        let owner = if owner.is_empty() { "@" } else { owner };
        let _infallible = writeln!(self.text, "{owner} {data}");
    }

    /// Adds a name with something at it.
    fn owner(&mut self) {
        let above = self.pick_owner();
        let label = if self.random.u8(..6) == 0 { "*" } else { LABELS[self.random.usize(..LABELS.len())] };
        let mut name = below(label, &above);
        // Now and then two labels at once, which leaves an empty non-terminal.
        if self.random.u8(..5) == 0 {
            name = below(LABELS[self.random.usize(..LABELS.len())], &name);
        }
        if name.len() > 120 || self.used.contains(&name) || self.is_closed(&name) {
            return;
        }
        let has_below = self.used.iter().any(|other| other.ends_with(&format!(".{name}")));
        let is_wildcard = name.starts_with('*');
        match self.random.u8(..20) {
            0..=2 if !has_below && !is_wildcard => self.delegation(&name),
            3 if !has_below && !is_wildcard => self.dname(&name),
            4..=8 => self.cname(&name),
            _ => self.data(&name),
        }
        self.used.insert(name);
    }

    fn is_closed(&self, name: &str) -> bool {
        self.closed.iter().any(|closed| name == closed || name.ends_with(&format!(".{closed}")))
    }

    /// A name that another can stand below.
    fn pick_owner(&mut self) -> String {
        self.owners[self.random.usize(..self.owners.len())].clone()
    }

    fn delegation(&mut self, name: &str) {
        let kind = self.random.u8(..4);
        let ttl = self.random.u32(60..600);
        self.line(name, &format!("{ttl} NS ns.elsewhere.test."));
        if kind > 0 {
            let server = below("ns", name);
            self.line(name, &format!("{ttl} NS {server}"));
            self.line(&server, "A 192.0.2.99");
            if kind > 1 {
                self.line(&server, "AAAA 2001:db8::99");
            }
        }
        if kind == 3 {
            self.line(name, "DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118");
        }
        self.closed.push(name.to_owned());
    }

    fn dname(&mut self, name: &str) {
        // A long one now and then, so that what it makes is too long.
        let target = match self.random.u8(..3) {
            0 => format!("{0}.{0}.elsewhere.test.", "t".repeat(63)),
            _ => self.target(),
        };
        self.line(name, &format!("DNAME {target}"));
        if self.random.bool() {
            self.line(name, "A 192.0.2.39");
        }
        self.closed.push(name.to_owned());
    }

    fn cname(&mut self, name: &str) {
        let target = self.target();
        let ttl = self.random.u32(60..600);
        self.line(name, &format!("{ttl} CNAME {target}"));
        self.owners.push(name.to_owned());
    }

    /// Where an alias leads: to a name that is there, to one below it, below a delegation or a DNAME, to
    /// itself by way of another, out of the zone, or nowhere.
    fn target(&mut self) -> String {
        let used: Vec<&String> = self.used.iter().filter(|name| !name.contains('*')).collect();
        let there = used[self.random.usize(..used.len())].clone();
        let absolute = |name: String| if name.is_empty() { "@".to_owned() } else { name };
        match self.random.u8(..8) {
            0 => "www.elsewhere.test.".to_owned(),
            1 => below("zz", &there),
            2 => below("a.zz", &there),
            3 => match self.closed.last() {
                Some(closed) => below("b", closed),
                None => absolute(there),
            },
            4 => LABELS[self.random.usize(..LABELS.len())].to_owned(),
            _ => absolute(there),
        }
    }

    fn data(&mut self, name: &str) {
        const DATA: [&str; 11] = [
            "A 192.0.2.1",
            "AAAA 2001:db8::1",
            "MX 10 mail.elsewhere.test.",
            "TXT \"some text\" \"more\"",
            "SRV 0 5 5060 sip.elsewhere.test.",
            "CAA 0 issue \"ca.example\"",
            "HTTPS 1 . alpn=h2,h3",
            "TYPE65280 \\# 3 abcdef",
            "PTR Host.Elsewhere.Test.",
            "SVCB 2 Svc port=53",
            "NAPTR 1 1 \"u\" \"x\" \"!a!b!\" .",
        ];
        let first = self.random.usize(..DATA.len());
        for step in 0..self.random.usize(1..4) {
            // Each type once: the step has no divisor in common with their number.
            let data = DATA[(first + 2 * step) % DATA.len()];
            self.line(name, data);
            if data.starts_with("A ") && self.random.bool() {
                self.line(name, "A 192.0.2.2");
            }
        }
        self.owners.push(name.to_owned());
    }
}

fn below(label: &str, name: &str) -> String {
    if name.is_empty() { label.to_owned() } else { format!("{label}.{name}") }
}

/// The names of a zone, all between them and the apex, and for each: below it, twice below it, the wildcard
/// below it, and a name beside it.
fn names(apex: &str, used: &BTreeSet<String>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for name in used {
        let mut rest = Some(name.as_str());
        while let Some(name) = rest {
            for asked in ["", "zz", "a.zz", "ns", "*", "a.*"] {
                let relative = if asked.is_empty() { name.to_owned() } else { below(asked, name) };
                names.insert(format!("{}.", below_apex(&relative, apex)));
            }
            rest =
                if name.is_empty() { None } else { Some(name.split_once('.').map_or("", |(_, rest)| rest)) };
        }
    }
    // Above the zone, and beside it.
    names.extend(["example.".to_owned(), format!("x{apex}.")]);
    // As long as a name may be: what a DNAME makes of it may be too long.
    let label = "l".repeat(63);
    let long = |name: &String| {
        let room = 253_usize.checked_sub(apex.len() + name.len() + 2)?;
        let front: Vec<String> = (0..room / 64).map(|_| label.clone()).collect();
        Some(format!("{}.", below_apex(&below(&front.join("."), name), apex)))
    };
    names.extend(used.iter().filter_map(long));
    names.into_iter().collect()
}

fn below_apex(name: &str, apex: &str) -> String {
    if name.is_empty() { apex.to_owned() } else { format!("{name}.{apex}") }
}
