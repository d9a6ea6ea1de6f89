//! Every limit of the loader, with its reason. Reaching one is an issue, never growth.

use std::time::Duration;

/// The file. 10,000 gateways with 100,000 hostnames and 50,000 endpoints are 5 MiB.
pub(crate) const FILE_OCTETS: u64 = 64 << 20;

/// Words and signs of TOML in a file, which bound the memory while the tree is made: the most
/// expensive file of 16 million was measured at 1.2 GiB. 10,000 gateways with 100,000 hostnames and
/// 50,000 endpoints are 2 million, and 170 MiB; 100,000 gateways with 800,000 endpoints 21 million, and 2.1 GiB.
pub(crate) const TOKENS: usize = 24_000_000;

/// Parts of one dotted key or table header; the format needs two. With the parser's own limit of 80
/// nested values it bounds the depth of the tree, and so the stack that walks and frees it.
pub(crate) const KEY_PARTS: usize = 8;

/// Issues kept of one file: more than anyone reads in one sitting.
pub(crate) const ISSUES: usize = 200;

/// Characters of a wrong value repeated in a message.
pub(crate) const QUOTED_CHARACTERS: usize = 100;

/// Characters of a word that a spelling is proposed for: the work is quadratic.
pub(crate) const SPELLED_CHARACTERS: usize = 64;

/// Names listed in one message.
pub(crate) const LISTED_NAMES: usize = 40;

/// Characters of a name of ours and of other short texts: a DNS label, since names become labels
/// of metrics and could become names.
pub(crate) const NAME_CHARACTERS: usize = 63;

/// Characters of a file's path: Linux' PATH_MAX less the final NUL.
pub(crate) const PATH_CHARACTERS: usize = 4095;

/// Octets of a probe's path: the request of a check is one packet.
pub(crate) const PROBE_TEXT_OCTETS: usize = 1024;

/// Sockets to listen on: each costs one worker thread a core.
pub(crate) const LISTEN: usize = 64;

/// Octets of the path of DoH: it stands in every request.
pub(crate) const DOH_PATH_OCTETS: usize = 255;

/// UDP workers: above the cores of any machine.
pub(crate) const WORKERS: usize = 1024;

/// The fewest connections at once: a resolver that comes over TCP opens a few.
pub(crate) const CONNECTIONS_MIN: usize = 8;
/// The most: each can take a descriptor and, encrypted, some 100 KiB.
pub(crate) const CONNECTIONS_MAX: usize = 1_000_000;
/// The shortest idling: a client on the other side of the earth needs a second to begin with.
pub(crate) const STREAM_IDLE_MIN: Duration = Duration::from_secs(1);
/// The longest: what the keepalive option can say is somewhat more (RFC 7828 §3.1).
pub(crate) const STREAM_IDLE_MAX: Duration = Duration::from_secs(3600);
/// The longest life of a connection.
pub(crate) const STREAM_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// The longest wait for the first probe round: a server that has not answered for a minute after
/// its start is worse than one that guesses.
pub(crate) const FIRST_ROUND_MAX: Duration = Duration::from_secs(60);

/// GeoIP databases, asked one after the other.
pub(crate) const DATABASES: usize = 16;

/// Networks of the operator's own: as many as there are words for in a file.
pub(crate) const NETWORKS: usize = 500_000;

/// Octets of a data file: its lines, each as long as any should be.
pub(crate) const DATA_FILE_OCTETS: u64 = 64 << 20;

/// Lines of a data file: as many networks as the configuration itself may have.
pub(crate) const DATA_FILE_LINES: usize = 500_000;

/// Resolvers, asked one after the other: more could not all be asked within any patience.
pub(crate) const RESOLVERS: usize = 8;
/// The shortest wait for a resolver: below it a lookup that leaves the site fails.
pub(crate) const RESOLVER_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The longest: a resolver has given up itself by then.
pub(crate) const RESOLVER_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// The shortest pause between two lookups of a name: one a second loads nobody's resolver.
pub(crate) const RESOLVER_MIN_TTL_MIN: Duration = Duration::from_secs(1);
/// The longest: a load balancer that moves must be followed within minutes.
pub(crate) const RESOLVER_MIN_TTL_MAX: Duration = Duration::from_secs(300);

/// Prefixes that names may lead into although they are guarded: there are hardly more of those.
pub(crate) const RESOLVER_ALLOW: usize = 32;

/// Zones: as for gateways, of which each zone has one at least.
pub(crate) const ZONES: usize = 100_000;

/// Name servers of a zone: their NS set and glue should fit into 1232 octets.
pub(crate) const NAMESERVERS: usize = 32;

/// Entries of `[[zones.records]]` in a zone: as many as there are words for in a file.
pub(crate) const RECORDS: usize = 500_000;

/// Octets of one zone file: a million records are 40 MiB.
pub(crate) const ZONE_FILE_OCTETS: u64 = 256 << 20;
/// Octets and records of all zone files together: a zone of a million records was measured at 1.1 GiB, checked
/// and served (`tests/benches/zones.rs`).
pub(crate) const ZONE_FILES_OCTETS: u64 = 1 << 30;
pub(crate) const ZONE_FILES_RECORDS: usize = 10_000_000;
/// Files of one zone, and files that include each other: a tree that a person can follow.
pub(crate) const ZONE_INCLUDES: usize = 1000;
pub(crate) const ZONE_INCLUDE_DEPTH: usize = 8;
/// Words of one entry: more strings than the data of a record has room for.
pub(crate) const ENTRY_WORDS: usize = 66_000;
/// Records that one $GENERATE makes: the addresses of a /16.
pub(crate) const GENERATED: u64 = 65_536;
/// Digits of a number in them: a label.
pub(crate) const GENERATED_WIDTH: usize = 63;

/// Octets of one RRset in a message: it must fit into 65,535 beside the header, the question and
/// the OPT record.
pub(crate) const RECORD_SET_OCTETS: usize = 65_000;

/// Records in one entry; 12 octets is the smallest a record takes in a message.
pub(crate) const RECORD_SET_RECORDS: usize = RECORD_SET_OCTETS / 12;

/// A TTL: a week. RFC 2181 §8 allows 2³¹ − 1, but a longer one is a slip of the keyboard that
/// nobody can take back from the resolvers.
pub(crate) const TTL_SECONDS: u32 = 604_800;

/// Clusters: above any fleet; each policy orders all of them for every place.
pub(crate) const CLUSTERS: usize = 10_000;

/// Jurisdictions of a cluster: above the legal regions any country is in.
pub(crate) const JURISDICTIONS: usize = 64;

/// Probes: one for each gateway of the largest catalog that is promised.
pub(crate) const PROBES: usize = 10_000;

/// Probes that one is made of, and how many such stand behind each other: beyond that nobody can say what a
/// verdict means.
pub(crate) const COMBINED_PROBES: usize = 32;
pub(crate) const COMBINED_DEPTH: usize = 4;

/// The shortest interval between two checks of an address: ten a second load nobody's server.
pub(crate) const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest: health older than an hour is history.
pub(crate) const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// The shortest timeout of a check: below a millisecond no timer is exact.
pub(crate) const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Redirects that a probe may follow: a health page that is further away is none.
pub(crate) const REDIRECTS: u8 = 5;

/// Octets of a body that a probe may read.
pub(crate) const MAX_BODY: u32 = 1 << 20;

/// Header fields, status codes and ranges that a probe sends or wants.
pub(crate) const FIELDS: usize = 32;
pub(crate) const STATUSES: usize = 32;
pub(crate) const FIELD_NAME_OCTETS: usize = 128;

/// A compiled regular expression; a probe's is small, and there may be ten thousand.
pub(crate) const REGEX_OCTETS: usize = 1 << 20;

/// Days before its end that a certificate may count as degraded: public ones last 398 days at most.
pub(crate) const CERTIFICATE_DAYS: u32 = 398;

/// A file of certificates: all public authorities take a quarter of it.
pub(crate) const PEM_OCTETS: u64 = 1 << 20;

/// Octets of the name of a gRPC service: package and name, each of a sane length.
pub(crate) const SERVICE_OCTETS: usize = 255;

/// RCODEs that a probe may want: as many as have a name that a server answers a question with.
pub(crate) const RCODES: usize = 16;
/// Records that a probe may want in an answer: more would be a copy of the zone.
pub(crate) const WANTED_RECORDS: usize = 32;

/// Octets of a query in PromQL: three times as many when percent-encoded, and servers take 8 KiB of a
/// request's line.
pub(crate) const PROMQL_OCTETS: usize = 2048;

/// Words of a command.
pub(crate) const COMMAND_WORDS: usize = 64;

/// Outcomes in a row that change a verdict: more would outlast any patience.
pub(crate) const IN_A_ROW: u32 = 100;

/// Changes that flap damping may be told to allow in its window: beyond a thousand nothing is damped.
pub(crate) const FLAP_CHANGES: u32 = 1000;
/// The shortest and the longest of flap damping's times: a day's history is the most a verdict is held by.
pub(crate) const FLAP_TIME_MIN: Duration = Duration::from_secs(1);
pub(crate) const FLAP_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long a changed verdict may count as in doubt: beyond an hour it is the rule, not a doubt.
pub(crate) const HOLD_DOWN_MAX: Duration = Duration::from_secs(3600);

/// Gateways: ten times what is promised to load within seconds.
pub(crate) const GATEWAYS: usize = 100_000;

/// Hostnames of a gateway: a certificate rarely covers a hundred.
pub(crate) const HOSTNAMES: usize = 10_000;

/// Aliases one behind the other that are followed: as many as an answer follows.
pub(crate) const ALIASES: usize = 8;

/// Endpoints of a gateway: a policy orders all of them.
pub(crate) const ENDPOINTS: usize = 1000;

/// Addresses of an endpoint: twice what an answer can carry.
pub(crate) const ADDRESSES: usize = 64;

/// Addresses in an answer, so that it fits into 1232 octets: 32 AAAA records take 896.
pub(crate) const ANSWERS: u16 = 32;

/// How long the last addresses of a hostname may hold: a day later its owner has moved on.
pub(crate) const STALE_FOR_MAX: Duration = Duration::from_secs(24 * 3600);

/// Protocols of an HTTPS record: four are registered for HTTP.
pub(crate) const ALPN: usize = 16;

/// Octets of an ECHConfigList: a dozen configurations, and most of what fits beside the addresses.
pub(crate) const ECH_OCTETS: usize = 1024;

/// The weight of an endpoint; a thousand of them still sum within 32 bits.
pub(crate) const WEIGHT: u32 = 1_000_000;

/// Tiers of a failover policy, and globs of a tier.
pub(crate) const TIERS: usize = 64;

/// Policies within policies: one walk of the answer path each.
pub(crate) const POLICY_DEPTH: usize = 8;

/// How far beyond the nearest a cluster may share its clients: half the way around the earth.
pub(crate) const WITHIN_KM: u32 = 20_000;

/// The furthest a cluster may be told to serve: above any distance on earth, 20,038 km.
pub(crate) const MAX_KM: u32 = 20_100;

/// Bias, either way: at 100 every distance would be none, or endless.
pub(crate) const BIAS: i8 = 99;

/// Clusters or patterns with a bias in one policy.
pub(crate) const BIASES: usize = CLUSTERS;

/// Rules of a geo or residency policy; each client walks them.
pub(crate) const RULES: usize = 1000;

/// Conditions of one kind in a rule, and countries and parts of a jurisdiction: ISO 3166-2 has about
/// 5,000 codes.
pub(crate) const REGIONS: usize = 10_000;

/// Jurisdictions of the file: above the countries of the world.
pub(crate) const JURISDICTIONS_DEFINED: usize = 1000;

/// A latency in a table: a client that is a minute away has gone.
pub(crate) const LATENCY_MS: u32 = 60_000;

/// Lines of a latency table: a row for 50,000 networks and ten clusters.
pub(crate) const LATENCY_LINES: usize = 500_000;

/// Octets of what NSID says: a name as a rule; it is part of every reply that asks for it.
pub(crate) const NSID_OCTETS: usize = 64;
/// Tokens of the API: one a person or program; each request is compared with all of them.
pub(crate) const API_TOKENS: usize = 1000;
/// Characters of a token's name: as many as who says an override may have.
pub(crate) const API_TOKEN_NAME_CHARS: usize = 64;
/// Keys of signed messages: one a partner as a rule; each is compared by name.
pub(crate) const KEYS: usize = 256;
/// Octets of a key's secret: as the shortest digest that is still in use, to a block of the longest.
pub(crate) const KEY_OCTETS: std::ops::RangeInclusive<usize> = 16..=128;
/// Prefixes of those who may have a zone, and servers that are told of its changes.
pub(crate) const TRANSFER_LIST: usize = 64;
/// Secrets of cookies: the one, and those before and after it; each costs a hash a query.
pub(crate) const COOKIE_SECRETS: usize = 4;
/// Prefixes in one list of `[server]`, each looked at for a query.
pub(crate) const SERVER_PREFIXES: usize = 64;
/// Replies a second: beyond it a limit limits nothing.
pub(crate) const RATE_MAX: u32 = 1_000_000;
/// Beyond it next to nothing slips.
pub(crate) const SLIP_MAX: u32 = 100;
