//! Validates and parses one input of a request.

mod element;
mod elements;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use self::elements::{most_memory, parse_elements};
use super::binary::{self, NO_JSON};
use super::document::RequestInput;
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
            Self::Json(text) => most_memory(datatype, text),
            Self::Binary(bytes) => binary::most_memory(datatype, bytes.len()),
        }
    }
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
            DataType::Uint16 => TensorData::Uint16(parse_elements(data, &shape, count)?),
            DataType::Uint32 => TensorData::Uint32(parse_elements(data, &shape, count)?),
            DataType::Uint64 => TensorData::Uint64(parse_elements(data, &shape, count)?),
            DataType::Int8 => TensorData::Int8(parse_elements(data, &shape, count)?),
            DataType::Int16 => TensorData::Int16(parse_elements(data, &shape, count)?),
            DataType::Int32 => TensorData::Int32(parse_elements(data, &shape, count)?),
            DataType::Int64 => TensorData::Int64(parse_elements(data, &shape, count)?),
            DataType::Fp32 => TensorData::Fp32(parse_elements(data, &shape, count)?),
            DataType::Fp64 => TensorData::Fp64(parse_elements(data, &shape, count)?),
            DataType::Bytes => TensorData::Bytes(parse_elements(data, &shape, count)?),
            DataType::Fp16 => {
                return Err(format!(
                    "{NO_JSON}: send it as binary data, with the parameter binary_data_size"
                ));
            }
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

#[cfg(test)]
mod tests;
