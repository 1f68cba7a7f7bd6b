//! The nodes of a graph, and the attributes that they lack.

use std::ops::Range;

use super::{Completion, shape_of_tensor};
use crate::runtime::protobuf::{
    ProtoField, ProtoValue, VARINT, read_varint, write_bytes, write_tag, write_varint,
};

/// The numbers of fields of `NodeProto`.
const INPUT: u64 = 1;
const OUTPUT: u64 = 2;
const OPERATOR: u64 = 4;
pub(super) const ATTRIBUTE: u64 = 5;
const DOMAIN: u64 = 7;
/// The numbers of fields of `AttributeProto`.
const NAME: u64 = 1;
const INTEGER: u64 = 3;
const TENSOR: u64 = 5;
pub(super) const ATTRIBUTE_GRAPH: u64 = 6;
const INTEGERS: u64 = 8;
const TYPE: u64 = 20;
/// The values of `AttributeProto.type` for an integer and for a list of integers.
const TYPE_INTEGER: u64 = 2;
const TYPE_INTEGERS: u64 = 7;

/// One node of a graph, as far as its completion needs it.
pub(super) struct Node<'a> {
    operator: &'a [u8],
    is_standard: bool,
    inputs: Vec<&'a [u8]>,
    pub(super) outputs: Vec<&'a [u8]>,
    attributes: Vec<Attribute<'a>>,
}

#[derive(Default)]
struct Attribute<'a> {
    name: &'a [u8],
    integers: Vec<i64>,
    /// The shape of the attribute's tensor.
    shape: Option<Vec<i64>>,
}

impl<'a> Node<'a> {
    pub(super) fn read(model: &'a [u8], node: Range<usize>) -> Option<Self> {
        let mut read = Self {
            operator: b"",
            is_standard: true,
            inputs: Vec::new(),
            outputs: Vec::new(),
            attributes: Vec::new(),
        };
        for field in ProtoField::read_all(model, node)? {
            let ProtoValue::Bytes(value) = field.value else {
                continue;
            };
            match field.number {
                INPUT => read.inputs.push(&model[value]),
                OUTPUT => read.outputs.push(&model[value]),
                OPERATOR => read.operator = &model[value],
                DOMAIN => read.is_standard = matches!(&model[value], b"" | b"ai.onnx"),
                ATTRIBUTE => read.attributes.push(Attribute::read(model, value)?),
                _ => {}
            }
        }
        Some(read)
    }

    /// The shape of the first output, if it follows from known shapes.
    pub(super) fn shape_of_output(&self, known: &Completion<'_>) -> Option<Vec<i64>> {
        match self.operator {
            b"Constant" => self.attribute(b"value")?.shape.clone(),
            b"Identity" | b"Cast" | b"QuantizeLinear" | b"DequantizeLinear" => {
                known.shape(self.inputs.first()?).map(<[i64]>::to_vec)
            }
            b"Transpose" => {
                let shape = known.shape(self.inputs.first()?)?;
                match self.attribute(b"perm") {
                    None => Some(shape.iter().rev().copied().collect()),
                    Some(order) => {
                        let sizes = order.integers.iter();
                        sizes
                            .map(|&from| shape.get(usize::try_from(from).ok()?).copied())
                            .collect()
                    }
                }
            }
            _ => None,
        }
    }

    /// The encoded attributes that the node lacks and rten needs.
    pub(super) fn missing(&self, known: &Completion<'_>) -> Vec<Vec<u8>> {
        if !self.is_standard {
            return Vec::new();
        }
        let shape = |input: usize| known.shape(self.inputs.get(input)?);
        let axis = |axis| self.integer(b"axis", axis);
        let missing = match self.operator {
            b"Conv" | b"ConvInteger" | b"ConvTranspose" => {
                return self.missing_of_convolution(shape(1));
            }
            b"MaxPool" | b"AveragePool" => {
                let kernel = self.attribute(b"kernel_shape");
                kernel.and_then(|kernel| self.list(b"strides", 1, kernel.integers.len()))
            }
            b"LSTM" | b"GRU" => {
                let size = shape(2).and_then(|shape| shape.get(2).copied());
                size.and_then(|size| self.integer(b"hidden_size", size))
            }
            // With one scale for the whole tensor, the axis has no meaning.
            b"QuantizeLinear" if shape(1).is_none_or(|shape| shape.len() == 1 && shape[0] != 1) => {
                axis(1)
            }
            b"Softmax" | b"LogSoftmax" if known.opset < 13 => axis(1),
            b"Concat" if known.opset < 4 => axis(1),
            _ => None,
        };
        missing.into_iter().collect()
    }

    fn missing_of_convolution(&self, weights: Option<&[i64]>) -> Vec<Vec<u8>> {
        if self.attribute(b"kernel_shape").is_some() {
            return Vec::new();
        }
        let length = |name| Some(self.attribute(name)?.integers.len());
        let axes = weights
            .and_then(|shape| shape.len().checked_sub(2))
            .or_else(|| length(b"strides"))
            .or_else(|| length(b"dilations"))
            .or_else(|| Some(length(b"pads")? / 2));
        let Some(axes) = axes.filter(|axes| (1..=MAX_AXES).contains(axes)) else {
            return Vec::new();
        };
        [
            self.list(b"strides", 1, axes),
            self.list(b"dilations", 1, axes),
            self.list(b"pads", 0, 2 * axes),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn attribute(&self, name: &[u8]) -> Option<&Attribute<'a>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// Encodes an integer attribute; `None` if the node has the attribute.
    fn integer(&self, name: &[u8], value: i64) -> Option<Vec<u8>> {
        if self.attribute(name).is_some() {
            return None;
        }
        let mut written = Vec::new();
        write_bytes(&mut written, NAME, name);
        write_tag(&mut written, INTEGER, VARINT);
        write_varint(&mut written, value.cast_unsigned());
        write_tag(&mut written, TYPE, VARINT);
        write_varint(&mut written, TYPE_INTEGER);
        Some(written)
    }

    /// Encodes an attribute that is a list of equal integers; `None` if the node has the attribute.
    fn list(&self, name: &[u8], value: i64, length: usize) -> Option<Vec<u8>> {
        if self.attribute(name).is_some() {
            return None;
        }
        let mut written = Vec::new();
        write_bytes(&mut written, NAME, name);
        for _ in 0..length {
            write_tag(&mut written, INTEGERS, VARINT);
            write_varint(&mut written, value.cast_unsigned());
        }
        write_tag(&mut written, TYPE, VARINT);
        write_varint(&mut written, TYPE_INTEGERS);
        Some(written)
    }
}

/// The maximum number of spatial axes of a convolution that is completed.
// A length comes from the model, and bounds what is written.
const MAX_AXES: usize = 8;

impl<'a> Attribute<'a> {
    fn read(model: &'a [u8], attribute: Range<usize>) -> Option<Self> {
        let mut read = Self::default();
        for field in ProtoField::read_all(model, attribute)? {
            match (field.number, field.value) {
                (NAME, ProtoValue::Bytes(name)) => read.name = &model[name],
                (INTEGERS, ProtoValue::Varint(value)) => read.integers.push(value.cast_signed()),
                (INTEGERS, ProtoValue::Bytes(packed)) => {
                    let mut at = packed.start;
                    while at < packed.end {
                        let value = read_varint(model, &mut at, packed.end)?;
                        read.integers.push(value.cast_signed());
                    }
                }
                (TENSOR, ProtoValue::Bytes(tensor)) => {
                    read.shape = Some(shape_of_tensor(model, tensor)?.1);
                }
                _ => {}
            }
        }
        Some(read)
    }
}
