//! The nodes of a graph.

use std::ops::Range;

use super::attribute::Attribute;
use crate::runtime::protobuf::{ProtoField, ProtoValue, write_bytes};

/// The numbers of fields of `NodeProto`.
const INPUT: u64 = 1;
const OUTPUT: u64 = 2;
const NAME: u64 = 3;
const OPERATOR: u64 = 4;
pub(super) const ATTRIBUTE: u64 = 5;
const DOMAIN: u64 = 7;
/// The number of the field `AttributeProto.g`.
pub(super) const ATTRIBUTE_GRAPH: u64 = 6;

/// One node of a graph.
pub(super) struct Node<'a> {
    pub(super) operator: &'a [u8],
    /// Whether the node's operator is one of the standard's default domain.
    pub(super) is_standard: bool,
    pub(super) inputs: Vec<&'a [u8]>,
    pub(super) outputs: Vec<&'a [u8]>,
    pub(super) attributes: Vec<Attribute<'a>>,
    name: &'a [u8],
}

impl<'a> Node<'a> {
    pub(super) fn read(model: &'a [u8], node: Range<usize>) -> Option<Self> {
        let mut read = Self {
            operator: b"",
            is_standard: true,
            inputs: Vec::new(),
            outputs: Vec::new(),
            attributes: Vec::new(),
            name: b"",
        };
        for field in ProtoField::read_all(model, node)? {
            let ProtoValue::Bytes(value) = field.value else {
                continue;
            };
            match field.number {
                INPUT => read.inputs.push(&model[value]),
                OUTPUT => read.outputs.push(&model[value]),
                NAME => read.name = &model[value],
                OPERATOR => read.operator = &model[value],
                DOMAIN => read.is_standard = matches!(&model[value], b"" | b"ai.onnx"),
                ATTRIBUTE => read.attributes.push(Attribute::read(model, value)?),
                _ => {}
            }
        }
        Some(read)
    }

    /// The name of an input; `None` if the node omits it.
    pub(super) fn input(&self, input: usize) -> Option<&'a [u8]> {
        let name = self.inputs.get(input).copied();
        name.filter(|name| !name.is_empty())
    }

    /// The name of the output, if the node has exactly one.
    pub(super) fn single_output(&self) -> Option<&'a [u8]> {
        match self.outputs[..] {
            [output] if !output.is_empty() => Some(output),
            _ => None,
        }
    }

    pub(super) fn attribute(&self, name: &[u8]) -> Option<&Attribute<'a>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// The value of an integer attribute, or else its default.
    pub(super) fn integer_or(&self, name: &[u8], default: i64) -> i64 {
        let integer = |attribute: &Attribute<'_>| attribute.integer.unwrap_or_default();
        self.attribute(name).map_or(default, integer)
    }

    /// The values of an attribute that is a list of integers.
    pub(super) fn integers(&self, name: &[u8]) -> Option<&[i64]> {
        let attribute = self.attribute(name)?;
        Some(&attribute.integers)
    }

    /// The value of an attribute that is a string.
    pub(super) fn string(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.attribute(name)?.string
    }

    /// The encoded attributes of the node, without those of the given names.
    pub(super) fn attributes_without(&self, names: &[&[u8]]) -> Vec<Vec<u8>> {
        let kept = self.attributes.iter();
        kept.filter(|attribute| !names.contains(&attribute.name))
            .map(|attribute| attribute.encoded.to_vec())
            .collect()
    }

    /// Encodes the node with other inputs and attributes.
    pub(super) fn encode_with(&self, inputs: &[&[u8]], attributes: &[Vec<u8>]) -> Vec<u8> {
        encode(self.name, self.operator, inputs, &self.outputs, attributes)
    }
}

/// Encodes a node of a standard operator.
pub(super) fn encode(
    name: &[u8],
    operator: &[u8],
    inputs: &[&[u8]],
    outputs: &[&[u8]],
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    let mut written = Vec::new();
    for input in inputs {
        write_bytes(&mut written, INPUT, input);
    }
    for output in outputs {
        write_bytes(&mut written, OUTPUT, output);
    }
    write_bytes(&mut written, NAME, name);
    write_bytes(&mut written, OPERATOR, operator);
    for attribute in attributes {
        write_bytes(&mut written, ATTRIBUTE, attribute);
    }
    written
}
