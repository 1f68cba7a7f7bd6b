//! The datatypes of tensors' elements.

use std::fmt;

/// The datatype of a tensor's elements, as `TensorProto.DataType` numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ElementType(pub(crate) i64);

/// The names in the order of their numbers.
const NAMES: [&str; 24] = [
    "UNDEFINED",
    "FLOAT",
    "UINT8",
    "INT8",
    "UINT16",
    "INT16",
    "INT32",
    "INT64",
    "STRING",
    "BOOL",
    "FLOAT16",
    "DOUBLE",
    "UINT32",
    "UINT64",
    "COMPLEX64",
    "COMPLEX128",
    "BFLOAT16",
    "FLOAT8E4M3FN",
    "FLOAT8E4M3FNUZ",
    "FLOAT8E5M2",
    "FLOAT8E5M2FNUZ",
    "UINT4",
    "INT4",
    "FLOAT4E2M1",
];

impl ElementType {
    pub(crate) const FLOAT: Self = Self(1);
    pub(crate) const UINT8: Self = Self(2);
    pub(crate) const INT8: Self = Self(3);
    pub(crate) const INT32: Self = Self(6);
    pub(crate) const INT64: Self = Self(7);
    pub(crate) const STRING: Self = Self(8);
    pub(crate) const BOOL: Self = Self(9);

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let number = NAMES.iter().position(|known| *known == name)?;
        Some(Self(i64::try_from(number).ok()?))
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0)
            .ok()
            .and_then(|number| NAMES.get(number))
        {
            Some(name) => f.write_str(name),
            None => write!(f, "datatype {}", self.0),
        }
    }
}

impl fmt::Debug for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
