//! Shapes, datatypes and values that are known before a run.
//!
//! Knowledge comes from inputs of the model, whose datatype and rank the server checks, and from
//! weights. It spreads through nodes whose outputs follow from their inputs. Declarations of
//! intermediate values are not trusted: nothing checks them.

use std::collections::HashMap;
use std::ops::Range;

use super::node::Node;
use super::windows::Windows;
use super::{INITIALIZER, INPUT};
use crate::runtime::protobuf::{ProtoField, ProtoValue, read_varint};

/// The numbers of fields of `TensorProto`.
const DIMS: u64 = 1;
const DATA_TYPE: u64 = 2;
const INT32_DATA: u64 = 5;
const INT64_DATA: u64 = 7;
const TENSOR_NAME: u64 = 8;
const RAW_DATA: u64 = 9;
/// The numbers of fields of `ValueInfoProto`, `TypeProto`, `TypeProto.Tensor`, `TensorShapeProto`
/// and `TensorShapeProto.Dimension`.
const VALUE_NAME: u64 = 1;
const VALUE_TYPE: u64 = 2;
const TENSOR_TYPE: u64 = 1;
const ELEMENT: u64 = 1;
const SHAPE: u64 = 2;
const DIMENSION: u64 = 1;
const DIM_VALUE: u64 = 1;

/// The values of `TensorProto.DataType`.
pub(super) const FLOAT: u64 = 1;
pub(super) const UINT8: u64 = 2;
pub(super) const INT8: u64 = 3;
pub(super) const INT32: u64 = 6;
pub(super) const INT64: u64 = 7;
pub(super) const BOOL: u64 = 9;

/// The size of a dimension that depends on the inputs.
pub(super) const UNKNOWN: i64 = -1;

/// The maximum number of dimensions, and of integers, that are kept for a value.
// The numbers come from the model, and are copied from value to value.
const MAX_KEPT: usize = 64;

/// The known properties of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The size of each dimension, or [`UNKNOWN`].
    shape: Option<Vec<i64>>,
    element: Option<u64>,
    /// The elements, if they are integers and constant.
    integers: Option<Vec<i64>>,
}

impl Known {
    fn is_empty(&self) -> bool {
        self.shape.is_none() && self.element.is_none() && self.integers.is_none()
    }
}

/// A tensor in the model.
#[derive(Default)]
pub(super) struct Constant<'a> {
    name: &'a [u8],
    known: Known,
}

impl<'a> Constant<'a> {
    /// Reads a `TensorProto`.
    pub(super) fn read(model: &'a [u8], tensor: Range<usize>) -> Option<Self> {
        let mut read = Self::default();
        let (mut shape, mut typed, mut raw) = (Vec::new(), Vec::new(), None);
        for field in ProtoField::read_all(model, tensor)? {
            match (field.number, field.value) {
                (TENSOR_NAME, ProtoValue::Bytes(bytes)) => read.name = &model[bytes],
                (DIMS, value) => read_integers(model, value, &mut shape)?,
                (DATA_TYPE, ProtoValue::Varint(element)) => read.known.element = Some(element),
                (INT32_DATA | INT64_DATA, value) => read_integers(model, value, &mut typed)?,
                (RAW_DATA, ProtoValue::Bytes(bytes)) => raw = Some(&model[bytes]),
                _ => {}
            }
        }
        let count = shape
            .iter()
            .try_fold(1_i64, |count, size| count.checked_mul(*size));
        let integers = match (read.known.element, raw) {
            (Some(UINT8), Some(raw)) => little_endian(raw, |[byte]| byte.into()),
            (Some(INT8), Some(raw)) => little_endian(raw, |[byte]| byte.cast_signed().into()),
            (Some(INT32), Some(raw)) => little_endian(raw, |of| i32::from_le_bytes(of).into()),
            (Some(INT64), Some(raw)) => little_endian(raw, i64::from_le_bytes),
            (Some(UINT8 | INT8 | INT32 | INT64), None) => Some(typed),
            _ => None,
        };
        let is_whole = |integers: &Vec<i64>| {
            integers.len() <= MAX_KEPT && i64::try_from(integers.len()).ok() == count
        };
        read.known.integers = integers.filter(is_whole);
        read.known.shape = (shape.len() <= MAX_KEPT).then_some(shape);
        Some(read)
    }
}

/// Reads a repeated field of integers, packed or not. Reads at most a few more than are kept.
fn read_integers(model: &[u8], value: ProtoValue, to: &mut Vec<i64>) -> Option<()> {
    match value {
        ProtoValue::Varint(value) => to.push(value.cast_signed()),
        ProtoValue::Bytes(packed) => {
            let mut at = packed.start;
            while at < packed.end && to.len() <= MAX_KEPT {
                to.push(read_varint(model, &mut at, packed.end)?.cast_signed());
            }
        }
        ProtoValue::Fixed => {}
    }
    Some(())
}

/// The numbers of `N` bytes each; `None` if there are too many to keep.
fn little_endian<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> i64) -> Option<Vec<i64>> {
    let (numbers, []) = raw.as_chunks::<N>() else {
        return None;
    };
    (numbers.len() <= MAX_KEPT).then(|| numbers.iter().map(|bytes| read(*bytes)).collect())
}

/// The known values of each of the nested graphs, by name.
#[derive(Default)]
pub(super) struct Scopes<'a>(Vec<HashMap<&'a [u8], Known>>);

impl<'a> Scopes<'a> {
    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Enters a graph, and reads its inputs and weights. Returns `None` if the graph is malformed.
    pub(super) fn enter(&mut self, model: &'a [u8], graph: Range<usize>) -> Option<()> {
        let mut known = HashMap::new();
        let fields = ProtoField::read_all(model, graph)?;
        for field in &fields {
            if let (INPUT, ProtoValue::Bytes(value)) = (field.number, &field.value) {
                let (name, declared) = declaration(model, value.clone())?;
                // Nothing checks the inputs of a nested graph. They hide values around the graph.
                let is_checked = self.0.is_empty();
                known.insert(
                    name,
                    if is_checked {
                        declared
                    } else {
                        Known::default()
                    },
                );
            }
        }
        for field in fields {
            if let (INITIALIZER, ProtoValue::Bytes(tensor)) = (field.number, field.value) {
                let constant = Constant::read(model, tensor)?;
                known.insert(constant.name, constant.known);
            }
        }
        self.0.push(known);
        Some(())
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    fn get(&self, value: &[u8]) -> Option<&Known> {
        let mut graphs = self.0.iter().rev();
        graphs.find_map(|known| known.get(value))
    }

    /// The shape of a value, if its rank is known.
    pub(super) fn shape(&self, value: &[u8]) -> Option<&[i64]> {
        self.get(value)?.shape.as_deref()
    }

    /// The datatype of a value's elements.
    pub(super) fn element(&self, value: &[u8]) -> Option<u64> {
        self.get(value)?.element
    }

    /// The elements of a value, if they are constant integers.
    pub(super) fn integers(&self, value: &[u8]) -> Option<&[i64]> {
        self.get(value)?.integers.as_deref()
    }

    /// Adds the first output of a node, if something is known about it.
    pub(super) fn learn(&mut self, node: &Node<'a>) {
        for (place, &output) in node.outputs.iter().enumerate() {
            let known = match place {
                0 if node.is_standard => self.known_output(node),
                _ => Known::default(),
            };
            let hides = self.get(output).is_some();
            if let Some(graph) = self.0.last_mut()
                && (hides || !known.is_empty())
            {
                graph.insert(output, known);
            }
        }
    }

    fn known_output(&self, node: &Node<'a>) -> Known {
        let input = |input: usize| self.get(node.input(input)?);
        let same_element = || input(0).and_then(|known| known.element);
        let element = |element| Known {
            element,
            ..Known::default()
        };
        match node.operator {
            b"Constant" => {
                let tensor = node
                    .attribute(b"value")
                    .and_then(|value| value.tensor.as_ref());
                tensor.map_or_else(Known::default, |tensor| tensor.known.clone())
            }
            b"Identity" => input(0).cloned().unwrap_or_default(),
            b"Cast" => Known {
                shape: input(0).and_then(|known| known.shape.clone()),
                element: node
                    .attribute(b"to")
                    .map(|_| node.integer_or(b"to", 0).cast_unsigned()),
                integers: None,
            },
            b"BatchNormalization"
            | b"DequantizeLinear"
            | b"DynamicQuantizeLinear"
            | b"InstanceNormalization"
            | b"QuantizeLinear" => Known {
                shape: input(0).and_then(|known| known.shape.clone()),
                ..Known::default()
            },
            b"Transpose" => Known {
                shape: input(0).and_then(|known| transposed(node, known.shape.as_deref()?)),
                element: same_element(),
                integers: None,
            },
            b"Equal" | b"Greater" | b"GreaterOrEqual" | b"IsInf" | b"IsNaN" | b"Less"
            | b"LessOrEqual" | b"Not" | b"And" | b"Or" | b"Xor" => Known {
                shape: self.broadcast(node),
                element: Some(BOOL),
                integers: None,
            },
            b"Add" | b"Div" | b"Mul" | b"Pow" | b"Sub" => Known {
                shape: self.broadcast(node),
                element: same_element(),
                integers: None,
            },
            b"Abs"
            | b"Clip"
            | b"Dropout"
            | b"Erf"
            | b"Exp"
            | b"LayerNormalization"
            | b"LeakyRelu"
            | b"Log"
            | b"LogSoftmax"
            | b"Neg"
            | b"Relu"
            | b"Sigmoid"
            | b"Sign"
            | b"Softmax"
            | b"Sqrt"
            | b"Tanh" => Known {
                shape: input(0).and_then(|known| known.shape.clone()),
                element: same_element(),
                integers: None,
            },
            b"AveragePool" | b"MaxPool" => Known {
                shape: input(0)
                    .and_then(|known| self.windows(node, *known.shape.as_ref()?.get(1)?)),
                element: same_element(),
                integers: None,
            },
            b"Conv" | b"ConvInteger" => Known {
                shape: input(1)
                    .and_then(|known| self.windows(node, *known.shape.as_ref()?.first()?)),
                ..Known::default()
            },
            b"MatMul" => Known {
                shape: self.ranks_of_product(node),
                element: same_element(),
                integers: None,
            },
            b"Flatten" => Known {
                shape: Some(vec![UNKNOWN; 2]),
                element: same_element(),
                integers: None,
            },
            b"Reshape" => Known {
                shape: self.reshaped(node),
                element: same_element(),
                integers: None,
            },
            b"Gemm" => Known {
                shape: Some(vec![UNKNOWN; 2]),
                element: same_element(),
                integers: None,
            },
            b"Concat" | b"Expand" | b"Gather" | b"GatherElements" | b"GatherND" | b"Pad"
            | b"Slice" | b"Squeeze" | b"Tile" | b"Unsqueeze" => element(same_element()),
            b"Where" => element(input(1).and_then(|known| known.element)),
            b"ArgMax" | b"ArgMin" | b"NonZero" | b"Shape" | b"Size" => element(Some(INT64)),
            _ => Known::default(),
        }
    }

    /// The shape of an elementwise operator's output.
    fn broadcast(&self, node: &Node<'_>) -> Option<Vec<i64>> {
        let shapes = node.inputs.iter().map(|input| self.shape(input));
        let shapes: Vec<_> = shapes.collect::<Option<_>>()?;
        let rank = shapes.iter().map(|shape| shape.len()).max()?;
        let mut sizes = vec![1; rank];
        for shape in shapes {
            for (size, other) in sizes[rank - shape.len()..].iter_mut().zip(shape) {
                *size = match (*size, *other) {
                    (1, other) => other,
                    (size, 1) => size,
                    // Any other size is this size in a run without an error.
                    (UNKNOWN, size) | (size, _) => size,
                };
            }
        }
        Some(sizes)
    }

    /// The shape of a convolution's or of a pooling's output.
    fn windows(&self, node: &Node<'_>, channels: i64) -> Option<Vec<i64>> {
        let shape = self.shape(node.input(0)?)?;
        let mut sizes = vec![*shape.first()?, channels];
        let spatial = shape.get(2..)?;
        let known = Windows::read(node, self);
        sizes.extend((0..spatial.len()).map(|axis| {
            let of = known
                .as_ref()
                .and_then(|known| known.count(axis, spatial[axis]));
            of.unwrap_or(UNKNOWN)
        }));
        Some(sizes)
    }

    /// The shape of the product of two inputs with at least two dimensions each.
    fn ranks_of_product(&self, node: &Node<'_>) -> Option<Vec<i64>> {
        let rank = |input: usize| Some(self.shape(node.input(input)?)?.len());
        let (left, right) = (rank(0)?, rank(1)?);
        (left >= 2 && right >= 2).then(|| vec![UNKNOWN; left.max(right)])
    }

    /// The shape of a reshaped value. Only the rank is known.
    fn reshaped(&self, node: &Node<'_>) -> Option<Vec<i64>> {
        let rank = match node.input(1) {
            Some(shape) => self.integers(shape)?.len(),
            None => node.integers(b"shape")?.len(),
        };
        Some(vec![UNKNOWN; rank])
    }
}

fn transposed(node: &Node<'_>, shape: &[i64]) -> Option<Vec<i64>> {
    let Some(order) = node.integers(b"perm") else {
        return Some(shape.iter().rev().copied().collect());
    };
    let sizes = order.iter().take(MAX_KEPT);
    sizes
        .map(|&from| shape.get(usize::try_from(from).ok()?).copied())
        .collect()
}

/// The name of a `ValueInfoProto`, and its declared datatype and shape.
fn declaration(model: &[u8], value: Range<usize>) -> Option<(&[u8], Known)> {
    let (mut name, mut known) = (&model[..0], Known::default());
    for field in ProtoField::read_all(model, value)? {
        match (field.number, field.value) {
            (VALUE_NAME, ProtoValue::Bytes(bytes)) => name = &model[bytes],
            (VALUE_TYPE, ProtoValue::Bytes(declared)) => {
                for field in ProtoField::read_all(model, declared)? {
                    if let (TENSOR_TYPE, ProtoValue::Bytes(tensor)) = (field.number, field.value) {
                        known = tensor_type(model, tensor)?;
                    }
                }
            }
            _ => {}
        }
    }
    Some((name, known))
}

fn tensor_type(model: &[u8], tensor: Range<usize>) -> Option<Known> {
    let mut known = Known::default();
    for field in ProtoField::read_all(model, tensor)? {
        match (field.number, field.value) {
            (ELEMENT, ProtoValue::Varint(element)) => known.element = Some(element),
            (SHAPE, ProtoValue::Bytes(shape)) => {
                let mut sizes = Vec::new();
                for field in ProtoField::read_all(model, shape)? {
                    if let (DIMENSION, ProtoValue::Bytes(size)) = (field.number, field.value) {
                        sizes.push(declared_size(model, size)?);
                    }
                }
                known.shape = (sizes.len() <= MAX_KEPT).then_some(sizes);
            }
            _ => {}
        }
    }
    Some(known)
}

/// The declared size of a dimension. A size below 1 is unknown: exporters write 0 or -1.
fn declared_size(model: &[u8], dimension: Range<usize>) -> Option<i64> {
    let mut size = UNKNOWN;
    for field in ProtoField::read_all(model, dimension)? {
        if let (DIM_VALUE, ProtoValue::Varint(value)) = (field.number, field.value) {
            size = value.cast_signed();
        }
    }
    Some(if size > 0 { size } else { UNKNOWN })
}
