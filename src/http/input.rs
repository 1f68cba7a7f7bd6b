//! One input of a request, checked and parsed.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::binary;
use super::request::RequestInput;
use crate::tensor::element_count;
use crate::{DataType, Dimension, Tensor, TensorData, TensorSpec};

/// The sizes that a request has given so far to the dimensions that the model leaves open, by their names.
#[derive(Default)]
pub(super) struct Sizes(BTreeMap<String, usize>);

/// The elements of an input as they came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Data<'a> {
    /// A list, flat or nested.
    Json(&'a RawValue),
    /// Bytes as in [`binary`].
    Binary(&'a [u8]),
}

impl Data<'_> {
    /// The most bytes that the elements can take when they are read, whatever the shape promises.
    pub(super) fn most_bytes(self, datatype: DataType) -> usize {
        match self {
            Self::Json(text) => most_elements(text).saturating_mul(datatype.size()),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// Each element takes a digit and a comma or bracket at least.
fn most_elements(text: &RawValue) -> usize {
    text.get().len() / 2 + 1
}

/// The most dimensions of a tensor, as many as NumPy has. A list of dimensions could be as long as the body otherwise.
const MOST_DIMENSIONS: usize = 64;

/// The sizes of an input's dimensions as they came.
#[derive(Debug)]
pub(super) struct Shape(Vec<i64>);

impl<'de> serde::Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dimensions;
        impl<'de> Visitor<'de> for Dimensions {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MOST_DIMENSIONS} sizes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = list.next_element()? {
                    if sizes.len() == MOST_DIMENSIONS {
                        return Err(A::Error::invalid_length(MOST_DIMENSIONS + 1, &self));
                    }
                    sizes.push(size);
                }
                Ok(Shape(sizes))
            }
        }
        deserializer.deserialize_seq(Dimensions)
    }
}

/// Checks an input against what the model declares, and parses its data; otherwise says what was expected and found.
pub(super) fn parse_tensor(
    input: &RequestInput<'_>,
    data: Data<'_>,
    spec: &TensorSpec,
    sizes: &mut Sizes,
) -> Result<Tensor, String> {
    if input.datatype != spec.datatype.as_str() {
        return Err(format!(
            "expected the datatype {}, found {:?}",
            spec.datatype, input.datatype
        ));
    }
    let shape = check_shape(&input.shape.0, spec, sizes)?;
    let count = element_count(&shape)
        .ok_or_else(|| format!("the shape {shape:?} has more elements than can be counted"))?;
    let data = match data {
        Data::Binary(bytes) => binary::read(spec.datatype, bytes, count)?,
        Data::Json(data) => match spec.datatype {
            DataType::Bool => TensorData::Bool(elements(data, &shape, count)?),
            DataType::Uint8 => TensorData::Uint8(elements(data, &shape, count)?),
            DataType::Int8 => TensorData::Int8(elements(data, &shape, count)?),
            DataType::Int32 => TensorData::Int32(elements(data, &shape, count)?),
            DataType::Int64 => TensorData::Int64(elements(data, &shape, count)?),
            DataType::Fp32 => TensorData::Fp32(elements(data, &shape, count)?),
        },
    };
    let found = data.len();
    Tensor::new(shape, data).ok_or_else(|| format!("expected {count} elements, found {found}"))
}

fn check_shape(found: &[i64], spec: &TensorSpec, sizes: &mut Sizes) -> Result<Vec<usize>, String> {
    let expected = || match &spec.shape {
        Some(shape) => show(shape),
        None => "any shape".to_owned(),
    };
    if found.iter().any(|size| *size < 1) {
        return Err(format!(
            "expected the shape {} with every size 1 or more, found {found:?}",
            expected()
        ));
    }
    let shape: Result<Vec<usize>, _> = found.iter().map(|size| usize::try_from(*size)).collect();
    let shape = shape.map_err(|_| format!("the shape {found:?} is too large"))?;
    let Some(declared) = &spec.shape else {
        return Ok(shape);
    };
    let mismatch = || format!("expected the shape {}, found {found:?}", show(declared));
    if declared.len() != shape.len() {
        return Err(mismatch());
    }
    for (dimension, &size) in declared.iter().zip(&shape) {
        match dimension {
            Dimension::Fixed(fixed) if *fixed != size => return Err(mismatch()),
            Dimension::Fixed(_) | Dimension::Dynamic(None) => {}
            Dimension::Dynamic(Some(name)) => {
                let given = *sizes.0.entry(name.clone()).or_insert(size);
                if given != size {
                    return Err(format!(
                        "{}, where {name} is {given} elsewhere in the request",
                        mismatch()
                    ));
                }
            }
        }
    }
    Ok(shape)
}

/// -1 for a dimension of any size, as in the metadata.
fn show(shape: &[Dimension]) -> String {
    let size = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => size.to_string(),
        Dimension::Dynamic(_) => "-1".to_owned(),
    };
    format!(
        "[{}]",
        shape.iter().map(size).collect::<Vec<_>>().join(", ")
    )
}

/// Parses data that is flat or nested as the shape is, in row-major order.
fn elements<T: Element>(data: &RawValue, shape: &[usize], count: usize) -> Result<Vec<T>, String> {
    // A shape that promises more than the text has allocates nothing.
    let mut found = Vec::with_capacity(count.min(most_elements(data)));
    let mut json = serde_json::Deserializer::from_str(data.get());
    let level = Level {
        shape,
        depth: 0,
        limit: count,
        nested: &mut None,
        found: &mut found,
    };
    level
        .deserialize(&mut json)
        .map_err(|error| error.to_string())?;
    Ok(found)
}

/// One level of the data: the list at the top, a list in it, or an element.
struct Level<'a, T> {
    shape: &'a [usize],
    depth: usize,
    limit: usize,
    /// Whether the data is nested, once that is known; all of it must be as its first element is.
    nested: &'a mut Option<bool>,
    found: &'a mut Vec<T>,
}

impl<T: Element> Level<'_, T> {
    fn element<E: Error>(self, element: Option<T>, found: Unexpected<'_>) -> Result<(), E> {
        let nested = *self.nested.get_or_insert(self.depth > 1);
        if self.depth == 0
            || (nested && self.depth != self.shape.len())
            || (!nested && self.depth != 1)
        {
            return Err(E::invalid_type(found, &self));
        }
        let element = element.ok_or_else(|| E::invalid_value(found, &T::EXPECTED))?;
        if self.found.len() == self.limit {
            return Err(E::custom(format_args!(
                "expected {} elements, found more",
                self.limit
            )));
        }
        self.found.push(element);
        Ok(())
    }
}

impl<'de, T: Element> DeserializeSeed<'de> for Level<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for Level<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} elements, each {}, flat or nested as the shape {:?} is",
            self.limit,
            T::EXPECTED,
            self.shape
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Level {
            shape,
            depth,
            limit,
            nested,
            found,
        } = self;
        if depth > 0 && (depth >= shape.len() || *nested == Some(false)) {
            return Err(A::Error::invalid_type(Unexpected::Seq, &T::EXPECTED));
        }
        let mut length = 0_usize;
        while list
            .next_element_seed(Level {
                shape,
                depth: depth + 1,
                limit,
                nested,
                found,
            })?
            .is_some()
        {
            length += 1;
        }
        let expected = if *nested == Some(true) {
            shape[depth]
        } else {
            limit
        };
        if length != expected {
            return Err(A::Error::invalid_length(
                length,
                &&*format!("{expected} at depth {}", depth + 1),
            ));
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.element(T::from_bool(value), Unexpected::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.element(T::from_i64(value), Unexpected::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.element(
            i64::try_from(value)
                .ok()
                .and_then(T::from_i64)
                .or_else(|| T::from_f64(value as f64)),
            Unexpected::Unsigned(value),
        )
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.element(T::from_f64(value), Unexpected::Float(value))
    }
}

/// What an element can be made of, exactly or not at all; only numbers of 32 bits are rounded, to the nearest.
trait Element: Sized {
    const EXPECTED: &'static str;

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_i64(value: i64) -> Option<Self>;

    fn from_f64(_: f64) -> Option<Self> {
        None
    }
}

impl Element for bool {
    const EXPECTED: &'static str = "true, false, 1 or 0";

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }

    fn from_i64(value: i64) -> Option<Self> {
        match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Element for u8 {
    const EXPECTED: &'static str = "an integer from 0 to 255";

    fn from_i64(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Element for i8 {
    const EXPECTED: &'static str = "an integer from -128 to 127";

    fn from_i64(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Element for i32 {
    const EXPECTED: &'static str = "an integer of 32 bits";

    fn from_i64(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Element for i64 {
    const EXPECTED: &'static str = "an integer of 64 bits";

    fn from_i64(value: i64) -> Option<Self> {
        Some(value)
    }
}

impl Element for f32 {
    const EXPECTED: &'static str = "a number in the range of 32-bit ones";

    fn from_i64(value: i64) -> Option<Self> {
        Some(value as Self)
    }

    /// Beyond its range a number would become an infinity, which no answer may come from.
    fn from_f64(value: f64) -> Option<Self> {
        Some(value as Self).filter(|rounded| rounded.is_finite())
    }
}

#[cfg(test)]
mod tests;
