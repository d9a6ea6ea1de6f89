//! A writer of MaxMind DB files for databases of millions of networks.
//!
//! <https://maxmind.github.io/MaxMind-DB/>: search tree, 16 zero octets, data section, metadata.
//! Records have 28 bits; equal records are written once.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::IpAddr;

use ipnet::IpNet;

/// A value of the data section.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// UTF-8.
    Text(&'a str),
    /// 64 bits.
    Double(f64),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Keys and values.
    Map(Vec<(&'a str, Value<'a>)>),
    /// Values.
    Array(Vec<Value<'a>>),
}

/// What a node's half leads to.
#[derive(Clone, Copy)]
enum Link {
    Nothing,
    Node(u32),
    /// An offset in the data section.
    Data(u32),
}

/// A database in the making: one tree for both families, IPv4 below `::/96`.
pub struct MmdbWriter {
    nodes: Vec<[Link; 2]>,
    data: Vec<u8>,
    offsets: HashMap<Vec<u8>, u32>,
    ipv4_root: u32,
}

impl MmdbWriter {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        let mut writer =
            Self { nodes: vec![[Link::Nothing; 2]], data: Vec::new(), offsets: HashMap::new(), ipv4_root: 0 };
        writer.ipv4_root = writer.node_at(0, 0, 96);
        writer
    }

    /// Puts a record into the data section and gives its offset; an equal one is there once.
    ///
    /// # Panics
    /// Over 4 GiB of data.
    pub fn record(&mut self, value: &Value<'_>) -> u32 {
        let mut octets = Vec::new();
        encode(value, &mut octets);
        if let Some(offset) = self.offsets.get(&octets) {
            return *offset;
        }
        let offset = u32::try_from(self.data.len()).expect("under 4 GiB of data");
        self.data.extend_from_slice(&octets);
        self.offsets.insert(octets, offset);
        offset
    }

    /// Says what a network has. Networks may come in any order; a later one replaces what it covers.
    pub fn insert(&mut self, network: IpNet, record: u32) {
        let (root, bits) = match network.network() {
            IpAddr::V4(address) => (self.ipv4_root, u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => (0, address.to_bits()),
        };
        let link = Link::Data(record);
        let Some(above) = network.prefix_len().checked_sub(1) else {
            self.nodes[root as usize] = [link; 2];
            return;
        };
        let node = self.node_at(root, bits, above);
        self.nodes[node as usize][half(bits, above)] = link;
    }

    /// The node `depth` bits below `node`, made if need be: it takes over what was known above it.
    fn node_at(&mut self, mut node: u32, bits: u128, depth: u8) -> u32 {
        for at in 0..depth {
            let half = half(bits, at);
            node = match self.nodes[node as usize][half] {
                Link::Node(next) => next,
                known => {
                    let next = u32::try_from(self.nodes.len()).expect("under 2^32 nodes");
                    self.nodes.push([known; 2]);
                    self.nodes[node as usize][half] = Link::Node(next);
                    next
                }
            };
        }
        node
    }

    /// Writes the file.
    ///
    /// # Errors
    /// As the output has them.
    ///
    /// # Panics
    /// When tree and data together need more than 28 bits.
    pub fn write(&self, out: &mut impl Write, database_type: &str, description: &str) -> io::Result<()> {
        let count = u32::try_from(self.nodes.len()).expect("under 2^32 nodes");
        assert!(self.nodes.len() + 16 + self.data.len() < 1 << 28, "28 bits a record");
        let number = |link| match link {
            Link::Nothing => u64::from(count),
            Link::Node(node) => node.into(),
            Link::Data(offset) => u64::from(count) + 16 + u64::from(offset),
        };
        for &[left, right] in &self.nodes {
            let (left, right) = (number(left), number(right));
            // The upper 4 bits of both halves share the middle octet.
            let node = (left & 0xff_ffff) << 32 | (left >> 24) << 28 | right;
            out.write_all(&node.to_be_bytes()[1..])?;
        }
        out.write_all(&[0; 16])?;
        out.write_all(&self.data)?;
        out.write_all(b"\xab\xcd\xefMaxMind.com")?;
        let metadata = Value::Map(vec![
            ("binary_format_major_version", Value::U16(2)),
            ("binary_format_minor_version", Value::U16(0)),
            ("build_epoch", Value::U64(1_700_000_000)),
            ("database_type", Value::Text(database_type)),
            ("description", Value::Map(vec![("en", Value::Text(description))])),
            ("ip_version", Value::U16(6)),
            ("languages", Value::Array(vec![])),
            ("node_count", Value::U32(count)),
            ("record_size", Value::U16(28)),
        ]);
        let mut octets = Vec::new();
        encode(&metadata, &mut octets);
        out.write_all(&octets)
    }
}

impl Default for MmdbWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// Which half of a node the bit `at` takes; bit 0 is the first of an address.
fn half(bits: u128, at: u8) -> usize {
    usize::from(bits >> (127 - at) & 1 == 1)
}

//----------- Data -----------------------------------------------------------

fn encode(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Double(number) => {
            control(3, 8, out);
            out.extend(number.to_be_bytes());
        }
        Value::U16(number) => {
            control(5, 2, out);
            out.extend(number.to_be_bytes());
        }
        Value::U32(number) => {
            control(6, 4, out);
            out.extend(number.to_be_bytes());
        }
        Value::U64(number) => {
            control(9, 8, out);
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

/// The control octet; types over 7 are extended, sizes over 28 take one more octet, up to 284.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (size, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
    let size = u8::try_from(size).expect("at most 29");
    if kind > 7 {
        out.extend([size, kind - 7]);
    } else {
        out.push(kind << 5 | size);
    }
    out.extend(more.map(|more| u8::try_from(more).expect("values are short")));
}
