//! Tensors, and the declarations of a model's tensors.

mod byte_strings;
pub(crate) mod encoding;
mod fp16;

use std::fmt;

pub use self::byte_strings::ByteStrings;
pub use self::fp16::Fp16;

/// The datatype of a tensor's elements, named as in the Open Inference Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// True or false.
    Bool,
    /// An unsigned integer of 8 bits.
    Uint8,
    /// An unsigned integer of 16 bits.
    Uint16,
    /// An unsigned integer of 32 bits.
    Uint32,
    /// An unsigned integer of 64 bits.
    Uint64,
    /// A signed integer of 8 bits.
    Int8,
    /// A signed integer of 16 bits.
    Int16,
    /// A signed integer of 32 bits.
    Int32,
    /// A signed integer of 64 bits.
    Int64,
    /// An IEEE 754 number of 16 bits.
    Fp16,
    /// An IEEE 754 number of 32 bits.
    Fp32,
    /// An IEEE 754 number of 64 bits.
    Fp64,
    /// A byte string of any length, such as a text.
    Bytes,
}

/// A tensor's elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the datatype of the same name")]
pub enum TensorData {
    Bool(Vec<bool>),
    Uint8(Vec<u8>),
    Uint16(Vec<u16>),
    Uint32(Vec<u32>),
    Uint64(Vec<u64>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Fp16(Vec<Fp16>),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
    Bytes(ByteStrings),
}

/// A tensor: a shape and the elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

/// One dimension of an input or output, as the model declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dimension {
    /// Only this size is valid.
    Fixed(usize),
    /// Any size of at least 1 is valid. Within one request, all dimensions with the same name have
    /// the same size.
    Dynamic(Option<String>),
}

/// An input or output, as the model declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorSpec {
    /// The name. No two inputs of a model have the same name. The same holds for its outputs.
    pub name: String,
    /// The datatype of the elements.
    pub datatype: DataType,
    /// The dimensions; `None` if the model does not declare their number.
    pub shape: Option<Vec<Dimension>>,
    /// Whether NaN and infinite values of this output are answers. If false, such a value is a
    /// failure of the run. Has no meaning for an input.
    ///
    /// A runtime sets this member as the version's manifest declares:
    /// [`Manifest::allow_nonfinite`](crate::Manifest::allow_nonfinite).
    pub allow_nonfinite: bool,
}

impl TensorSpec {
    /// Declares an input or output, which must be finite if it is an output.
    pub fn new(name: impl Into<String>, datatype: DataType, shape: Option<Vec<Dimension>>) -> Self {
        Self {
            name: name.into(),
            datatype,
            shape,
            allow_nonfinite: false,
        }
    }
}

impl Tensor {
    /// Creates a tensor. Returns `None` if the number of elements is not the product of the sizes
    /// in `shape`.
    ///
    /// ```
    /// use clarity::{Tensor, TensorData};
    ///
    /// assert!(Tensor::new(vec![2, 2], TensorData::Int32(vec![1, 2, 3, 4])).is_some());
    /// assert!(Tensor::new(vec![2, 3], TensorData::Int32(vec![1, 2, 3, 4])).is_none());
    /// ```
    pub fn new(shape: Vec<usize>, data: TensorData) -> Option<Self> {
        (element_count(&shape) == Some(data.len())).then_some(Self { shape, data })
    }

    /// The size of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in row-major order.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The datatype of the elements.
    pub fn datatype(&self) -> DataType {
        self.data.datatype()
    }

    /// Splits the tensor into its shape and its elements.
    pub fn into_parts(self) -> (Vec<usize>, TensorData) {
        (self.shape, self.data)
    }

    /// The index and the value of the first element that is infinite or not a number, if any.
    // Infinity and NaN of another size are the same in 32 bits.
    pub(crate) fn first_not_finite(&self) -> Option<(usize, f32)> {
        match &self.data {
            TensorData::Fp32(values) => first_not_finite(values, |value| value.is_finite()),
            TensorData::Fp64(values) => first_not_finite(values, |value| value.is_finite())
                .map(|(position, value)| (position, value as f32)),
            TensorData::Fp16(values) => first_not_finite(values, |value| value.is_finite())
                .map(|(position, value)| (position, value.to_f32())),
            _ => None,
        }
    }
}

// Each chunk is checked without branches, so that the compiler can use vector instructions.
fn first_not_finite<T: Copy>(values: &[T], is_finite: impl Fn(T) -> bool) -> Option<(usize, T)> {
    const CHUNK: usize = 1024;
    let is_bad = |chunk: &[T]| {
        chunk
            .iter()
            .fold(false, |bad, value| bad | !is_finite(*value))
    };
    let start = CHUNK * values.chunks(CHUNK).position(is_bad)?;
    let position = start
        + values[start..]
            .iter()
            .position(|value| !is_finite(*value))?;
    Some((position, values[position]))
}

/// The number of elements in a tensor of this shape; `None` on overflow.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size))
}

impl TensorData {
    /// The datatype of the elements.
    pub fn datatype(&self) -> DataType {
        match self {
            Self::Bool(_) => DataType::Bool,
            Self::Uint8(_) => DataType::Uint8,
            Self::Uint16(_) => DataType::Uint16,
            Self::Uint32(_) => DataType::Uint32,
            Self::Uint64(_) => DataType::Uint64,
            Self::Int8(_) => DataType::Int8,
            Self::Int16(_) => DataType::Int16,
            Self::Int32(_) => DataType::Int32,
            Self::Int64(_) => DataType::Int64,
            Self::Fp16(_) => DataType::Fp16,
            Self::Fp32(_) => DataType::Fp32,
            Self::Fp64(_) => DataType::Fp64,
            Self::Bytes(_) => DataType::Bytes,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::Uint8(values) => values.len(),
            Self::Uint16(values) => values.len(),
            Self::Uint32(values) => values.len(),
            Self::Uint64(values) => values.len(),
            Self::Int8(values) => values.len(),
            Self::Int16(values) => values.len(),
            Self::Int32(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Fp16(values) => values.len(),
            Self::Fp32(values) => values.len(),
            Self::Fp64(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of the elements in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Bytes(values) => values.size(),
            other => other.len() * other.datatype().element_size().unwrap_or_default(),
        }
    }
}

impl DataType {
    /// All datatypes.
    pub const ALL: &[Self] = &[
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The datatype's name in the Open Inference Protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The datatype with this name in the Open Inference Protocol.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = Self::ALL.iter().copied();
        all.into_iter().find(|datatype| datatype.as_str() == name)
    }

    /// The size of an element in bytes, in memory and in the protocol's binary data. `None` for
    /// BYTES, whose elements have different sizes.
    pub(crate) const fn element_size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// Whether the elements can be infinite or not a number.
    pub(crate) const fn is_floating_point(self) -> bool {
        matches!(self, Self::Fp16 | Self::Fp32 | Self::Fp64)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
