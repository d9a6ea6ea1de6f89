//! A small writer of MaxMind DB files, for databases that no test may find on disk.
//!
//! <https://maxmind.github.io/MaxMind-DB/>: search tree, 16 zero bytes, data section, metadata.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

/// A value of the data section.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(&'static str),
    Double(f64),
    Float(f32),
    U16(u16),
    U32(u32),
    U64(u64),
    Map(Vec<(&'static str, Value)>),
    Array(Vec<Value>),
}

/// A database to be written.
pub(crate) struct Mmdb {
    pub(crate) database_type: &'static str,
    /// 4 or 6; in a tree of 6, IPv4 networks are below `::/96`.
    pub(crate) ip_version: u8,
    /// 24, 28 or 32.
    pub(crate) record_bits: u16,
    /// Where the IPv4 tree is reached as well, as MaxMind writes it.
    pub(crate) aliases: Vec<IpNet>,
    /// Whether networks with equal records lead to one, as real writers have it.
    pub(crate) share_records: bool,
    /// Later networks may lie within earlier ones.
    pub(crate) networks: Vec<(IpNet, Value)>,
}

impl Mmdb {
    pub(crate) fn new(database_type: &'static str, networks: Vec<(&str, Value)>) -> Self {
        let networks = networks.into_iter().map(|(net, value)| (net.parse().unwrap(), value)).collect();
        Self {
            database_type,
            ip_version: 6,
            record_bits: 28,
            aliases: Vec::new(),
            share_records: false,
            networks,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut tree = Tree { nodes: vec![[Link::Nothing; 2]] };
        let mut data: Vec<u8> = Vec::new();
        let mut records = HashMap::new();
        for (net, value) in &self.networks {
            let mut record = Vec::new();
            encode(value, &mut record);
            let known = if self.share_records { records.get(&record).copied() } else { None };
            let offset = known.unwrap_or(data.len());
            if known.is_none() {
                data.extend(&record);
                records.insert(record, offset);
            }
            tree.insert(&self.bits(net), Link::Data(offset));
        }
        if !self.aliases.is_empty() {
            let root = tree.node_at(&[false; 96]);
            for alias in &self.aliases {
                tree.insert(&self.bits(alias), Link::Node(root));
            }
        }
        let mut file = tree.to_bytes(self.record_bits);
        file.extend([0; 16]);
        file.extend(data);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        encode(&self.metadata(tree.nodes.len()), &mut file);
        file
    }

    /// Writes the file into the folder of test files, and gives its path.
    pub(crate) fn write(&self, name: &str) -> PathBuf {
        write(name, &self.to_bytes())
    }

    fn bits(&self, net: &IpNet) -> Vec<bool> {
        let (address, bits, above) = match net {
            IpNet::V4(net) => {
                (u128::from(net.network().to_bits()) << 96, net.prefix_len(), self.ip_version == 6)
            }
            IpNet::V6(net) => (net.network().to_bits(), net.prefix_len(), false),
        };
        let path = (0..bits).map(|bit| address >> (127 - bit) & 1 == 1);
        std::iter::repeat_n(false, if above { 96 } else { 0 }).chain(path).collect()
    }

    fn metadata(&self, node_count: usize) -> Value {
        Value::Map(vec![
            ("binary_format_major_version", Value::U16(2)),
            ("binary_format_minor_version", Value::U16(0)),
            ("build_epoch", Value::U64(1_700_000_000)),
            ("database_type", Value::Text(self.database_type)),
            ("description", Value::Map(vec![("en", Value::Text("fixture"))])),
            ("ip_version", Value::U16(self.ip_version.into())),
            ("languages", Value::Array(vec![])),
            ("node_count", Value::U32(u32::try_from(node_count).unwrap())),
            ("record_size", Value::U16(self.record_bits)),
        ])
    }
}

/// Writes a test file, and gives its path. Names are unique among all tests.
pub(crate) fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path
}

//----------- Tree -----------------------------------------------------------

#[derive(Clone, Copy)]
enum Link {
    Nothing,
    Node(usize),
    Data(usize),
}

struct Tree {
    nodes: Vec<[Link; 2]>,
}

impl Tree {
    fn insert(&mut self, path: &[bool], link: Link) {
        // The whole space is two halves.
        let Some((last, above)) = path.split_last() else {
            self.nodes[0] = [link; 2];
            return;
        };
        let node = self.node_at(above);
        self.nodes[node][usize::from(*last)] = link;
    }

    /// The node at the end of a path, made if need be: it takes over what was known above it.
    fn node_at(&mut self, path: &[bool]) -> usize {
        let mut node = 0;
        for &bit in path {
            node = match self.nodes[node][usize::from(bit)] {
                Link::Node(next) => next,
                known => {
                    self.nodes.push([known; 2]);
                    self.nodes[node][usize::from(bit)] = Link::Node(self.nodes.len() - 1);
                    self.nodes.len() - 1
                }
            };
        }
        node
    }

    fn to_bytes(&self, record_bits: u16) -> Vec<u8> {
        let count = self.nodes.len();
        let number = |link| match link {
            Link::Nothing => count,
            Link::Node(node) => node,
            Link::Data(offset) => count + 16 + offset,
        };
        let mut bytes = Vec::new();
        for &[left, right] in &self.nodes {
            let (left, right) = (number(left) as u64, number(right) as u64);
            let node = match record_bits {
                28 => (left & 0xff_ffff) << 32 | (left >> 24) << 28 | right,
                bits => left << bits | right,
            };
            bytes.extend(&node.to_be_bytes()[8 - usize::from(record_bits) / 4..]);
        }
        bytes
    }
}

//----------- Data -----------------------------------------------------------

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Double(number) => {
            control(3, 8, out);
            out.extend(number.to_be_bytes());
        }
        Value::Float(number) => {
            control(15, 4, out);
            out.extend(number.to_be_bytes());
        }
        Value::U16(number) => {
            control(5, 2, out);
            out.extend(number.to_be_bytes());
        }
        Value::U64(number) => {
            control(9, 8, out);
            out.extend(number.to_be_bytes());
        }
        Value::U32(number) => {
            control(6, 4, out);
            out.extend(number.to_be_bytes());
        }
        Value::Map(entries) => {
            control(7, entries.len(), out);
            for (key, value) in entries {
                encode(&Value::Text(key), out);
                encode(value, out);
            }
        }
        Value::Array(items) => {
            control(11, items.len(), out);
            items.iter().for_each(|item| encode(item, out));
        }
    }
}

/// The control byte; types over 7 are extended, sizes over 28 take one more byte.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (size, more) = if size < 29 { (size, None) } else { (29, Some(u8::try_from(size - 29).unwrap())) };
    let size = u8::try_from(size).unwrap();
    if kind > 7 {
        out.extend([size, kind - 7])
    } else {
        out.push(kind << 5 | size)
    }
    out.extend(more);
}
