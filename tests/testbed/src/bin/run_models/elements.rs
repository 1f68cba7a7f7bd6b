//! The elements of a tensor as bytes, as in the protocol's binary tensor extension.

use clarity::{ByteStrings, DataType, Fp16, TensorData};

/// Decodes all elements of a tensor.
pub(crate) fn decode(datatype: DataType, bytes: &[u8]) -> Result<TensorData, String> {
    Ok(match datatype {
        DataType::Bool => TensorData::Bool(booleans(bytes)?),
        DataType::Uint8 => TensorData::Uint8(bytes.to_vec()),
        DataType::Uint16 => TensorData::Uint16(numbers(bytes, u16::from_le_bytes)?),
        DataType::Uint32 => TensorData::Uint32(numbers(bytes, u32::from_le_bytes)?),
        DataType::Uint64 => TensorData::Uint64(numbers(bytes, u64::from_le_bytes)?),
        DataType::Int8 => TensorData::Int8(numbers(bytes, i8::from_le_bytes)?),
        DataType::Int16 => TensorData::Int16(numbers(bytes, i16::from_le_bytes)?),
        DataType::Int32 => TensorData::Int32(numbers(bytes, i32::from_le_bytes)?),
        DataType::Int64 => TensorData::Int64(numbers(bytes, i64::from_le_bytes)?),
        DataType::Fp16 => {
            let number = |bytes| Fp16::from_bits(u16::from_le_bytes(bytes));
            TensorData::Fp16(numbers(bytes, number)?)
        }
        DataType::Fp32 => TensorData::Fp32(numbers(bytes, f32::from_le_bytes)?),
        DataType::Fp64 => TensorData::Fp64(numbers(bytes, f64::from_le_bytes)?),
        DataType::Bytes => TensorData::Bytes(byte_strings(bytes)?),
        other => return Err(format!("this program does not encode {other}")),
    })
}

/// Encodes all elements of a tensor.
pub(crate) fn encode(data: &TensorData) -> Result<Vec<u8>, String> {
    Ok(match data {
        TensorData::Bool(values) => values.iter().map(|value| u8::from(*value)).collect(),
        TensorData::Uint8(values) => values.clone(),
        TensorData::Uint16(values) => bytes(values, u16::to_le_bytes),
        TensorData::Uint32(values) => bytes(values, u32::to_le_bytes),
        TensorData::Uint64(values) => bytes(values, u64::to_le_bytes),
        TensorData::Int8(values) => bytes(values, i8::to_le_bytes),
        TensorData::Int16(values) => bytes(values, i16::to_le_bytes),
        TensorData::Int32(values) => bytes(values, i32::to_le_bytes),
        TensorData::Int64(values) => bytes(values, i64::to_le_bytes),
        TensorData::Fp16(values) => bytes(values, |value| value.to_bits().to_le_bytes()),
        TensorData::Fp32(values) => bytes(values, f32::to_le_bytes),
        TensorData::Fp64(values) => bytes(values, f64::to_le_bytes),
        TensorData::Bytes(values) => prefixed(values),
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

/// Each element after its length.
fn prefixed(values: &ByteStrings) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values.iter() {
        let length = u32::try_from(value.len()).expect("an element has at most `u32::MAX` bytes");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

fn byte_strings(mut bytes: &[u8]) -> Result<ByteStrings, String> {
    let mut values = ByteStrings::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let (value, rest) = rest.split_at_checked(length).ok_or_else(|| {
            let found = rest.len();
            format!("expected an element of {length} bytes, found {found} bytes")
        })?;
        values.push(value);
        bytes = rest;
    }
    match bytes.len() {
        0 => Ok(values),
        found => Err(format!(
            "expected the length of an element, found {found} bytes"
        )),
    }
}
