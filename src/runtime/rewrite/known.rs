//! Shapes, datatypes and values that are known before a run.

use std::ops::Range;

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
pub(super) const MAX_KEPT: usize = 64;

/// The known properties of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The size of each dimension, or [`UNKNOWN`].
    pub(super) shape: Option<Vec<i64>>,
    pub(super) element: Option<u64>,
    /// The elements, if they are integers and constant.
    pub(super) integers: Option<Vec<i64>>,
    pub(super) is_constant: bool,
}

impl Known {
    pub(super) fn is_empty(&self) -> bool {
        self.shape.is_none() && self.element.is_none() && self.integers.is_none()
    }
}

/// A tensor in the model.
#[derive(Default)]
pub(super) struct Constant<'a> {
    pub(super) name: &'a [u8],
    pub(super) known: Known,
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
            (Some(BOOL | UINT8), Some(raw)) => little_endian(raw, |[byte]| byte.into()),
            (Some(INT8), Some(raw)) => little_endian(raw, |[byte]| byte.cast_signed().into()),
            (Some(INT32), Some(raw)) => little_endian(raw, |of| i32::from_le_bytes(of).into()),
            (Some(INT64), Some(raw)) => little_endian(raw, i64::from_le_bytes),
            (Some(BOOL | UINT8 | INT8 | INT32 | INT64), None) => Some(typed),
            _ => None,
        };
        let is_whole = |integers: &Vec<i64>| {
            integers.len() <= MAX_KEPT && i64::try_from(integers.len()).ok() == count
        };
        read.known.integers = integers.filter(is_whole);
        read.known.shape = (shape.len() <= MAX_KEPT).then_some(shape);
        read.known.is_constant = true;
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

/// The name of a `ValueInfoProto`, and its declared datatype and shape.
pub(super) fn declaration(model: &[u8], value: Range<usize>) -> Option<(&[u8], Known)> {
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
