//! Validates and parses one input of a request.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::binary;
use super::document::RequestInput;
use crate::json_float::parse_nonfinite;
use crate::tensor::element_count;
use crate::{DataType, Dimension, Tensor, TensorData, TensorSpec};

/// The sizes that one request has assigned to the model's named dynamic dimensions.
#[derive(Default)]
pub(super) struct DimensionSizes(BTreeMap<String, usize>);

/// The unparsed elements of an input.
#[derive(Clone, Copy, Debug)]
pub(super) enum InputData<'a> {
    /// A JSON list, flat or nested.
    Json(&'a RawValue),
    /// Bytes in the encoding of [`binary`].
    Binary(&'a [u8]),
}

impl InputData<'_> {
    /// An upper bound on the size of the parsed elements in bytes. Does not depend on the declared
    /// shape.
    pub(super) fn most_bytes(self, datatype: DataType) -> usize {
        match self {
            Self::Json(text) => most_elements(text).saturating_mul(datatype.size()),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// An upper bound on the number of elements. Each element takes at least two characters: a digit,
/// and a comma or bracket.
fn most_elements(text: &RawValue) -> usize {
    text.get().len() / 2 + 1
}

/// Validates an input against the model's signature, and parses the input's data.
///
/// The error message states the expected value and the actual value.
pub(super) fn parse_tensor(
    input: &RequestInput<'_>,
    data: InputData<'_>,
    spec: &TensorSpec,
    sizes: &mut DimensionSizes,
) -> Result<Tensor, String> {
    if input.datatype != spec.datatype.as_str() {
        return Err(format!(
            "expected the datatype {}, found {:?}",
            spec.datatype, input.datatype
        ));
    }
    let shape = check_shape(&input.shape.0, spec, sizes)?;
    let count = element_count(&shape)
        .ok_or_else(|| format!("the shape {shape:?} has too many elements"))?;
    let data = match data {
        InputData::Binary(bytes) => binary::decode(spec.datatype, bytes, count)?,
        InputData::Json(data) => match spec.datatype {
            DataType::Bool => TensorData::Bool(parse_elements(data, &shape, count)?),
            DataType::Uint8 => TensorData::Uint8(parse_elements(data, &shape, count)?),
            DataType::Int8 => TensorData::Int8(parse_elements(data, &shape, count)?),
            DataType::Int32 => TensorData::Int32(parse_elements(data, &shape, count)?),
            DataType::Int64 => TensorData::Int64(parse_elements(data, &shape, count)?),
            DataType::Fp32 => TensorData::Fp32(parse_elements(data, &shape, count)?),
        },
    };
    let found = data.len();
    Tensor::new(shape, data).ok_or_else(|| format!("expected {count} elements, found {found}"))
}

fn check_shape(
    found: &[i64],
    spec: &TensorSpec,
    sizes: &mut DimensionSizes,
) -> Result<Vec<usize>, String> {
    let expected = || match &spec.shape {
        Some(shape) => format_shape(shape),
        None => "any shape".to_owned(),
    };
    if found.iter().any(|size| *size < 1) {
        return Err(format!(
            "expected the shape {} with all sizes at least 1, found {found:?}",
            expected()
        ));
    }
    let shape: Result<Vec<usize>, _> = found.iter().map(|size| usize::try_from(*size)).collect();
    let shape = shape.map_err(|_| format!("the shape {found:?} is too large"))?;
    let Some(declared) = &spec.shape else {
        return Ok(shape);
    };
    let mismatch = || {
        format!(
            "expected the shape {}, found {found:?}",
            format_shape(declared)
        )
    };
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
                        "{}; {name} is {given} elsewhere in the request",
                        mismatch()
                    ));
                }
            }
        }
    }
    Ok(shape)
}

/// Formats a shape. Writes -1 for a dynamic dimension, as in the model's metadata.
fn format_shape(shape: &[Dimension]) -> String {
    let size = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => size.to_string(),
        Dimension::Dynamic(_) => "-1".to_owned(),
    };
    format!(
        "[{}]",
        shape.iter().map(size).collect::<Vec<_>>().join(", ")
    )
}

/// Parses flat or nested data in row-major order.
fn parse_elements<T: Element>(
    data: &RawValue,
    shape: &[usize],
    count: usize,
) -> Result<Vec<T>, String> {
    // The length of the text limits the allocation, so a large declared shape with little data
    // allocates little.
    let mut found = Vec::with_capacity(count.min(most_elements(data)));
    let mut json = serde_json::Deserializer::from_str(data.get());
    let level = NestingLevel {
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

/// The position in the nested data: the top-level list, an inner list, or an element.
struct NestingLevel<'a, T> {
    shape: &'a [usize],
    depth: usize,
    limit: usize,
    /// Whether the data is nested; `None` before the first element. All later elements must be as
    /// deep as the first one.
    nested: &'a mut Option<bool>,
    found: &'a mut Vec<T>,
}

impl<T: Element> NestingLevel<'_, T> {
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

impl<'de, T: Element> DeserializeSeed<'de> for NestingLevel<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for NestingLevel<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} elements ({}), flat or nested like the shape {:?}",
            self.limit,
            T::EXPECTED,
            self.shape
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let NestingLevel {
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
            .next_element_seed(NestingLevel {
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

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        match T::from_text(value) {
            Some(element) => self.element(Some(element), Unexpected::Str(value)),
            None => Err(E::invalid_type(Unexpected::Str(value), &self)),
        }
    }
}

/// Converts a JSON value to an element exactly, or refuses the value. Only a conversion to FP32
/// rounds: it gives the nearest FP32 number.
trait Element: Sized {
    const EXPECTED: &'static str;

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_i64(value: i64) -> Option<Self>;

    fn from_f64(_: f64) -> Option<Self> {
        None
    }

    fn from_text(_: &str) -> Option<Self> {
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
    const EXPECTED: &'static str = "a 32-bit integer";

    fn from_i64(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Element for i64 {
    const EXPECTED: &'static str = "a 64-bit integer";

    fn from_i64(value: i64) -> Option<Self> {
        Some(value)
    }
}

impl Element for f32 {
    const EXPECTED: &'static str =
        "a number in the range of FP32, or \"NaN\", \"Infinity\" or \"-Infinity\"";

    fn from_i64(value: i64) -> Option<Self> {
        Some(value as Self)
    }

    /// Refuses values beyond the range of FP32, which would become infinite.
    fn from_f64(value: f64) -> Option<Self> {
        Some(value as Self).filter(|rounded| rounded.is_finite())
    }

    fn from_text(text: &str) -> Option<Self> {
        parse_nonfinite(text)
    }
}

#[cfg(test)]
mod tests;
