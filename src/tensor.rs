//! Tensors, and the declarations of a model's tensors.

use std::fmt;

/// The datatype of a tensor's elements, named as in the Open Inference Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// True or false.
    Bool,
    /// An unsigned integer of 8 bits.
    Uint8,
    /// A signed integer of 8 bits.
    Int8,
    /// A signed integer of 32 bits.
    Int32,
    /// A signed integer of 64 bits.
    Int64,
    /// An IEEE 754 number of 32 bits.
    Fp32,
}

/// A tensor's elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the datatype of the same name")]
pub enum TensorData {
    Bool(Vec<bool>),
    Uint8(Vec<u8>),
    Int8(Vec<i8>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Fp32(Vec<f32>),
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
    pub(crate) fn first_not_finite(&self) -> Option<(usize, f32)> {
        match &self.data {
            TensorData::Fp32(values) => first_not_finite(values),
            _ => None,
        }
    }
}

// Each chunk is checked without branches, so that the compiler can use vector instructions.
fn first_not_finite(values: &[f32]) -> Option<(usize, f32)> {
    const CHUNK: usize = 1024;
    let is_bad = |chunk: &[f32]| {
        chunk
            .iter()
            .fold(false, |bad, value| bad | !value.is_finite())
    };
    let start = CHUNK * values.chunks(CHUNK).position(is_bad)?;
    let position = start
        + values[start..]
            .iter()
            .position(|value| !value.is_finite())?;
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
            Self::Int8(_) => DataType::Int8,
            Self::Int32(_) => DataType::Int32,
            Self::Int64(_) => DataType::Int64,
            Self::Fp32(_) => DataType::Fp32,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::Uint8(values) => values.len(),
            Self::Int8(values) => values.len(),
            Self::Int32(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Fp32(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl DataType {
    /// The datatype's name in the Open Inference Protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Int8 => "INT8",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp32 => "FP32",
        }
    }

    /// The size of an element in bytes, in memory and in the protocol's binary data.
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Int32 | Self::Fp32 => 4,
            Self::Int64 => 8,
        }
    }

    /// Whether the elements can be infinite or not a number.
    pub(crate) const fn is_floating_point(self) -> bool {
        matches!(self, Self::Fp32)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
