//! What is counted of a query, beside what became of it.

use meridian_steering::Basis;

use crate::cookie::Checked;
use crate::edns::Edns;

/// What is counted of a query that was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What type was asked for.
    pub asked: QueryType,
    /// What became of the client subnet in it.
    pub subnet: Subnet,
    /// What its cookie was worth.
    pub cookie: Cookie,
    /// Whether the name is there and has nothing of the type (RFC 2308 §2.2).
    pub is_nodata: bool,
    /// What was selected for it; `None`: its name is not steered.
    pub chosen: Option<Chosen>,
}

/// What is counted of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// On what grounds.
    pub basis: Basis,
    /// In which series of the view's ground an answer with an address counts, where answers are counted.
    pub series: Option<u32>,
}

impl Facts {
    /// Of a query with this EDNS, whose cookie was checked, and which was answered for so wide a scope.
    #[inline]
    pub(crate) fn new(asked: QueryType, edns: Option<&Edns>, checked: Option<Checked>, scope: u8) -> Self {
        let Some(edns) = edns.filter(|edns| edns.subnet.is_some() || checked.is_some()) else {
            return Self { asked, ..Self::default() };
        };
        let subnet = match &edns.subnet {
            None => Subnet::None,
            Some(subnet) if subnet.speaks() && scope > 0 => Subnet::Scoped,
            Some(subnet) if subnet.speaks() => Subnet::Global,
            Some(subnet) if subnet.source() == 0 => Subnet::OptedOut,
            Some(_) => Subnet::Disbelieved,
        };
        let cookie = match (checked, &edns.cookie) {
            (None, _) => Cookie::None,
            (Some(checked), _) if checked.valid => Cookie::Valid,
            (Some(_), Some(cookie)) if cookie.is_new() => Cookie::New,
            (Some(_), _) => Cookie::Invalid,
        };
        Self { asked, subnet, cookie, ..Self::default() }
    }
}

//----------- What is told apart ---------------------------------------------

/// Makes an enum whose variants have a number and a word each, as labels of metrics have them.
macro_rules! words {
    ($(#[$of:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

words! {
    /// The types that queries are counted by: those that resolvers ask for, so that nobody makes their number grow.
    QueryType {
        /// An IPv4 address.
        A = "A",
        /// An IPv6 address.
        Aaaa = "AAAA",
        /// A service of HTTP.
        Https = "HTTPS",
        /// Any service.
        Svcb = "SVCB",
        /// Text.
        Txt = "TXT",
        /// Name servers.
        Ns = "NS",
        /// A zone's start of authority.
        Soa = "SOA",
        /// Mail servers.
        Mx = "MX",
        /// An alias.
        Cname = "CNAME",
        /// A service's host and port.
        Srv = "SRV",
        /// Who may certify.
        Caa = "CAA",
        /// An address' name.
        Ptr = "PTR",
        /// A zone's keys.
        Dnskey = "DNSKEY",
        /// The digest of a zone's key.
        Ds = "DS",
        /// All types.
        Any = "ANY",
        /// A whole zone.
        Axfr = "AXFR",
        /// What of a zone is new.
        Ixfr = "IXFR",
        /// Any other, and a message without a question that can be read.
        #[default]
        Other = "other",
    }
}

impl QueryType {
    /// By its number (IANA, DNS parameters).
    #[inline]
    #[must_use]
    pub fn of(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            65 => Self::Https,
            64 => Self::Svcb,
            16 => Self::Txt,
            2 => Self::Ns,
            6 => Self::Soa,
            15 => Self::Mx,
            5 => Self::Cname,
            33 => Self::Srv,
            257 => Self::Caa,
            12 => Self::Ptr,
            48 => Self::Dnskey,
            43 => Self::Ds,
            255 => Self::Any,
            252 => Self::Axfr,
            251 => Self::Ixfr,
            _ => Self::Other,
        }
    }
}

words! {
    /// What became of a query's client subnet (RFC 7871).
    Subnet {
        /// There was none.
        #[default]
        None = "none",
        /// The answer is for a prefix.
        Scoped = "scoped",
        /// The answer is for everybody.
        Global = "global",
        /// The client asks not to be placed by one.
        OptedOut = "opted_out",
        /// The resolver's word does not count.
        Disbelieved = "disbelieved",
    }
}

words! {
    /// What a query's cookie was worth (RFC 7873).
    Cookie {
        /// There was none, or this server has none.
        #[default]
        None = "none",
        /// The client has none of ours yet.
        New = "new",
        /// It is ours, and in time.
        Valid = "valid",
        /// It is not.
        Invalid = "invalid",
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RecordType;

    use super::*;

    #[test]
    fn a_type_is_what_the_library_calls_it() {
        let numbers = (0..=u16::MAX).filter(|&number| QueryType::of(number) != QueryType::Other);
        let seen: Vec<_> = numbers.map(|number| (QueryType::of(number), RecordType::from(number))).collect();
        assert_eq!(seen.len(), QueryType::ALL.len() - 1);
        for (asked, record_type) in seen {
            assert_eq!(asked.as_str(), record_type.to_string());
        }
    }
}
