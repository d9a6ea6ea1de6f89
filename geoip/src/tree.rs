//! The search tree of a MaxMind DB, walked from its lowest address to its highest.
//!
//! `maxminddb` checks the file's layout and decodes its records. The walk is ours because its
//! iterator trusts the tree to be one: nodes that share branches make it run for up to 2¹²⁸ steps.
//! The format: <https://maxmind.github.io/MaxMind-DB/#binary-search-tree-section>.

use thiserror::Error;

use crate::limits::MOST_VISITS_PER_NODE;
use crate::range_map::Key;

/// The bits of an IPv6 tree above its IPv4 tree, which is at `::/96`.
const IPV4_TREE_DEPTH: u8 = 96;

//----------- Tree -----------------------------------------------------------

/// A search tree as it is in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree<'a> {
    nodes: &'a [u8],
    node_count: u32,
    /// 24, 28 or 32; a node is two records.
    record_bits: u16,
    is_ipv6: bool,
}

/// Where the walk has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf<K> {
    /// The first address of the network.
    pub(crate) start: K,
    /// Its prefix length.
    pub(crate) prefix_len: u8,
    /// The record that holds for all of it, as the number that leads to it; none: nothing is known.
    pub(crate) pointer: Option<u32>,
}

impl<'a> Tree<'a> {
    /// Takes the whole file and what its metadata say.
    pub(crate) fn new(file: &'a [u8], node_count: u32, record_bits: u16, is_ipv6: bool) -> Self {
        Self { nodes: file, node_count, record_bits, is_ipv6 }
    }

    /// Gives all leaves of the IPv4 tree, in order; none when the file has no IPv4 tree.
    ///
    /// # Errors
    /// The tree's, as [`TreeError`], or what `leaf` returns.
    pub(crate) fn walk_ipv4<E: From<TreeError>>(
        &self,
        leaf: impl FnMut(Leaf<u32>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.ipv4_root()? {
            Some(root) => self.walk(root, None, leaf),
            None => Ok(()),
        }
    }

    /// Gives all leaves of the IPv6 tree, in order; none when the file has no IPv6 tree.
    ///
    /// The IPv4 tree and its aliases (mapped addresses, 6to4, Teredo) are left out: those addresses are
    /// looked up as IPv4.
    ///
    /// # Errors
    /// The tree's, as [`TreeError`], or what `leaf` returns.
    pub(crate) fn walk_ipv6<E: From<TreeError>>(
        &self,
        leaf: impl FnMut(Leaf<u128>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.is_ipv6 {
            return Ok(());
        }
        // A record is no alias: networks of IPv6 may lead to the same one.
        let alias = self.ipv4_root()?.filter(|root| *root < self.node_count);
        self.walk(0, alias, leaf)
    }

    fn walk<K: Key, E: From<TreeError>>(
        &self,
        root: u32,
        alias: Option<u32>,
        mut leaf: impl FnMut(Leaf<K>) -> Result<(), E>,
    ) -> Result<(), E> {
        let most_visits = u64::from(self.node_count).saturating_mul(MOST_VISITS_PER_NODE);
        let mut visits = 0;
        // At most one entry a level: the branches to the right of the way down.
        let mut stack = vec![(root, K::ZERO, 0)];
        while let Some((node, start, depth)) = stack.pop() {
            if alias == Some(node) && depth > 0 {
                leaf(Leaf { start, prefix_len: depth, pointer: None })?;
            } else if node < self.node_count {
                visits += 1;
                if visits > most_visits {
                    return Err(TreeError::SharedBranches { node_count: self.node_count }.into());
                }
                if depth == K::BITS {
                    return Err(TreeError::TooDeep { depth: K::BITS }.into());
                }
                stack.push((self.child(node, 1)?, start.with_bit(depth), depth + 1));
                stack.push((self.child(node, 0)?, start, depth + 1));
            } else {
                let pointer = (node > self.node_count).then_some(node);
                leaf(Leaf { start, prefix_len: depth, pointer })?;
            }
        }
        Ok(())
    }

    /// The node, record or nothing that an IPv4 lookup begins at. A record or nothing above that
    /// depth is about IPv6 and leaves IPv4 without a tree.
    fn ipv4_root(&self) -> Result<Option<u32>, TreeError> {
        let mut node = 0;
        if self.is_ipv6 {
            for _ in 0..IPV4_TREE_DEPTH {
                if node >= self.node_count {
                    return Ok(None);
                }
                node = self.child(node, 0)?;
            }
        }
        Ok((node != self.node_count).then_some(node))
    }

    /// What a node's record on the `side` (0 left, 1 right) leads to.
    fn child(&self, node: u32, side: usize) -> Result<u32, TreeError> {
        let node_bytes = usize::from(self.record_bits / 4);
        let offset = (node as usize).saturating_mul(node_bytes);
        let bytes = self.nodes.get(offset..).and_then(|rest| rest.get(..node_bytes));
        match (bytes, side) {
            (Some(&[a, b, c, _, _, _]), 0) | (Some(&[_, _, _, a, b, c]), _) => {
                Ok(u32::from_be_bytes([0, a, b, c]))
            }
            (Some(&[a, b, c, high, _, _, _]), 0) => Ok(u32::from_be_bytes([high >> 4, a, b, c])),
            (Some(&[_, _, _, high, a, b, c]), _) => Ok(u32::from_be_bytes([high & 0x0f, a, b, c])),
            (Some(&[a, b, c, d, _, _, _, _]), 0) | (Some(&[_, _, _, _, a, b, c, d]), _) => {
                Ok(u32::from_be_bytes([a, b, c, d]))
            }
            _ => Err(TreeError::OutsideFile { node }),
        }
    }
}

//----------- TreeError ------------------------------------------------------

/// Why a search tree is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum TreeError {
    /// Branches lead to nodes that others lead to as well, or in a circle.
    #[error("the search tree's {node_count} nodes are reached more than {MOST_VISITS_PER_NODE} times each")]
    SharedBranches {
        /// As the metadata say.
        node_count: u32,
    },
    /// A branch that goes on below the last bit of an address.
    #[error("the search tree is deeper than the {depth} bits of an address")]
    TooDeep {
        /// The bits of an address.
        depth: u8,
    },
    /// A node that the file does not have.
    #[error("node {node} of the search tree is outside of the file")]
    OutsideFile {
        /// Its number.
        node: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a tree of over 2²⁴ nodes has such numbers, so no fixture does.
    #[test]
    fn records_use_all_their_bits() {
        let bytes = [0x12, 0x34, 0x56, 0x7a, 0x9b, 0xcd, 0xef, 0x01];
        for (record_bits, left, right) in
            [(24, 0x0012_3456, 0x007a_9bcd), (28, 0x0712_3456, 0x0a9b_cdef), (32, 0x1234_567a, 0x9bcd_ef01)]
        {
            let tree = Tree::new(&bytes, 1, record_bits, false);
            assert_eq!((tree.child(0, 0), tree.child(0, 1)), (Ok(left), Ok(right)), "{record_bits} bits");
            assert_eq!(tree.child(1, 0), Err(TreeError::OutsideFile { node: 1 }));
        }
    }
}
