//! How much of anything is taken from outside.

/// The largest database file, in bytes. GeoIP2 Enterprise, the largest in common use, is under
/// 400 MiB; a file is held in memory whole while it is compiled.
pub(crate) const MOST_DATABASE_BYTES: u64 = 1 << 30;

/// Databases beside each other. A city, a country and an ASN database for each address family are
/// six; each costs a pass over all ranges.
pub(crate) const MOST_DATABASES: usize = 16;

/// How often, on average, the walk may come through a node of a search tree. In a sound tree every
/// node has one parent, so that one visit is enough (the aliases of the IPv4 tree are not entered);
/// some slack is left for writers that share branches. Without a limit, a few dozen nodes that
/// point to each other are a walk of 2¹²⁸ steps.
pub(crate) const MOST_VISITS_PER_NODE: u64 = 4;

/// The most bits of an address that the index in front of a range search begins with: 2¹⁶ entries are 256 KiB.
pub(crate) const MOST_INDEX_BITS: u32 = 16;

/// The bits that it takes beside, where those leave many ranges to search: 2⁴ entries are a line of memory.
pub(crate) const INDEX_BITS_BELOW: u32 = 4;

/// How many ranges are not many: those of IPv4 that fill a line.
pub(crate) const MOST_RANGES_UNSPLIT: usize = 8;

/// How many fields of a database of unknown schema an error names: one line of a terminal or two.
pub(crate) const MOST_FIELDS_NAMED: usize = 20;

/// Characters of an error's part that quotes a database: what that calls itself may be as long as the file.
pub(crate) const MOST_FOUND_CHARACTERS: usize = 1000;

/// Ranges of a network whose classes are told together: as many as a query may cost to look at.
pub(crate) const CLASSES_WITHIN_RANGES: usize = 4096;

/// The smallest table that has memory of its own.
pub(crate) const LEAST_TABLE_BYTES: usize = 1 << 20;
