//! The elements of a tensor as bytes, as in the protocol's binary tensor extension.

use clarity::{DataType, TensorData};

/// Decodes all elements of a tensor.
pub(crate) fn decode(datatype: DataType, bytes: &[u8]) -> Result<TensorData, String> {
    Ok(match datatype {
        DataType::Bool => TensorData::Bool(booleans(bytes)?),
        DataType::Uint8 => TensorData::Uint8(bytes.to_vec()),
        DataType::Int8 => TensorData::Int8(numbers(bytes, i8::from_le_bytes)?),
        DataType::Int32 => TensorData::Int32(numbers(bytes, i32::from_le_bytes)?),
        DataType::Int64 => TensorData::Int64(numbers(bytes, i64::from_le_bytes)?),
        DataType::Fp32 => TensorData::Fp32(numbers(bytes, f32::from_le_bytes)?),
        other => return Err(format!("this program does not encode {other}")),
    })
}

/// Encodes all elements of a tensor.
pub(crate) fn encode(data: &TensorData) -> Result<Vec<u8>, String> {
    Ok(match data {
        TensorData::Bool(values) => values.iter().map(|value| u8::from(*value)).collect(),
        TensorData::Uint8(values) => values.clone(),
        TensorData::Int8(values) => bytes(values, |value| value.to_le_bytes()),
        TensorData::Int32(values) => bytes(values, |value| value.to_le_bytes()),
        TensorData::Int64(values) => bytes(values, |value| value.to_le_bytes()),
        TensorData::Fp32(values) => bytes(values, |value| value.to_le_bytes()),
        other => return Err(format!("this program does not encode {}", other.datatype())),
    })
}

fn bytes<const SIZE: usize, T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; SIZE]) -> Vec<u8> {
    values.iter().flat_map(|value| bytes(*value)).collect()
}

fn numbers<const SIZE: usize, T>(
    bytes: &[u8],
    number: impl Fn([u8; SIZE]) -> T,
) -> Result<Vec<T>, String> {
    match bytes.as_chunks() {
        (chunks, []) => Ok(chunks.iter().map(|chunk| number(*chunk)).collect()),
        _ => Err(format!(
            "expected elements of {SIZE} bytes, found {} bytes",
            bytes.len()
        )),
    }
}

fn booleans(bytes: &[u8]) -> Result<Vec<bool>, String> {
    match bytes.iter().find(|byte| **byte > 1) {
        Some(byte) => Err(format!("expected the bytes 0 and 1, found {byte}")),
        None => Ok(bytes.iter().map(|byte| *byte == 1).collect()),
    }
}
