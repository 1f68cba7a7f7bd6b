//! The nodes that replace a node.

use super::names::Names;
use super::node::{Node, encode};
use super::{attribute, known};
use crate::runtime::protobuf::{VARINT, write_bytes, write_tag, write_varint};

/// The numbers of fields of `TensorProto`.
const DIMS: u64 = 1;
const DATA_TYPE: u64 = 2;
const RAW_DATA: u64 = 9;

/// Collects the nodes that replace a node, in the order in which they run.
///
/// Each method that returns a name returns `None` when no new names are left.
pub(super) struct Replacement<'a, 'n> {
    names: &'n mut Names<'a>,
    /// The version of the standard's operators.
    pub(super) opset: u64,
    nodes: Vec<Vec<u8>>,
}

impl<'a, 'n> Replacement<'a, 'n> {
    pub(super) fn new(names: &'n mut Names<'a>, opset: u64) -> Self {
        let nodes = Vec::new();
        Self {
            names,
            opset,
            nodes,
        }
    }

    /// The encoded nodes.
    pub(super) fn finish(self) -> Vec<Vec<u8>> {
        self.nodes
    }

    /// Adds a node with one new output, and returns the output's name.
    pub(super) fn add(
        &mut self,
        operator: &[u8],
        inputs: &[&[u8]],
        attributes: &[Vec<u8>],
    ) -> Option<Vec<u8>> {
        let output = self.names.fresh()?;
        self.add_into(operator, inputs, attributes, &[&output])?;
        Some(output)
    }

    /// Adds a node with outputs of given names. Returns `None` if no new name is left for the node.
    pub(super) fn add_into(
        &mut self,
        operator: &[u8],
        inputs: &[&[u8]],
        attributes: &[Vec<u8>],
        outputs: &[&[u8]],
    ) -> Option<()> {
        let name = self.names.fresh()?;
        let node = encode(&name, operator, inputs, outputs, attributes);
        self.nodes.push(node);
        Some(())
    }

    /// Adds the original node with other inputs and attributes.
    pub(super) fn add_changed(
        &mut self,
        original: &Node<'_>,
        inputs: &[&[u8]],
        attributes: &[Vec<u8>],
    ) {
        let node = original.encode_with(inputs, attributes);
        self.nodes.push(node);
    }

    /// A name for a new value.
    pub(super) fn name(&mut self) -> Option<Vec<u8>> {
        self.names.fresh()
    }

    /// Adds a constant vector of type INT64, and returns its name.
    pub(super) fn integers(&mut self, values: &[i64]) -> Option<Vec<u8>> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(known::INT64, Some(values.len()), &bytes.collect::<Vec<_>>())
    }

    /// Adds a constant scalar of type INT64, and returns its name.
    pub(super) fn integer(&mut self, value: i64) -> Option<Vec<u8>> {
        self.constant(known::INT64, None, &value.to_le_bytes())
    }

    /// Adds a constant scalar of type FLOAT, and returns its name.
    pub(super) fn float(&mut self, value: f32) -> Option<Vec<u8>> {
        self.constant(known::FLOAT, None, &value.to_le_bytes())
    }

    /// Adds a constant: a vector of the given length, or else a scalar.
    fn constant(&mut self, element: u64, length: Option<usize>, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut tensor = Vec::new();
        if let Some(length) = length {
            write_tag(&mut tensor, DIMS, VARINT);
            write_varint(&mut tensor, length as u64);
        }
        write_tag(&mut tensor, DATA_TYPE, VARINT);
        write_varint(&mut tensor, element);
        write_bytes(&mut tensor, RAW_DATA, bytes);
        self.add(b"Constant", &[], &[attribute::tensor(b"value", &tensor)])
    }
}
