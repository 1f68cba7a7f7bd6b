//! Encodes and decodes tensor elements as bytes, little-endian and in row-major order. The
//! protocol's binary tensor extension defines this encoding:
//! `docs/protocol/extension_binary_data.md` in <https://github.com/triton-inference-server/server>.

use axum::http::HeaderMap;

use crate::predictor::Failure;
use crate::{DataType, Reason, TensorData};

/// The name of the header with the length of a body's JSON part in bytes. Binary tensors follow the
/// JSON part.
// In lower case, because `HeaderName` stores names in lower case.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// Reads the header with the length of the JSON part in bytes. Returns `None` if the header is
/// absent: then the whole body is JSON.
pub(super) fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Failure> {
    let mut values = headers.get_all(HEADER_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // Checks that the text has only digits, because Rust's parser also accepts a leading `+`.
    let length = value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok());
    match (length, values.next()) {
        (Some(length), None) => Ok(Some(length)),
        (_, found) => {
            let found = match found {
                Some(_) => "several".to_owned(),
                None => format!("{value:?}"),
            };
            Err(Failure::new(
                Reason::InvalidRequest,
                format!(
                    "Inference-Header-Content-Length: expected one number of bytes, found {found}"
                ),
            ))
        }
    }
}

/// Decodes `count` elements from `bytes`. The error message states the expected value and the
/// actual value.
pub(super) fn decode(datatype: DataType, bytes: &[u8], count: usize) -> Result<TensorData, String> {
    if count.checked_mul(datatype.size()) != Some(bytes.len()) {
        return Err(format!(
            "expected {count} elements of {} bytes each, found {} bytes",
            datatype.size(),
            bytes.len()
        ));
    }
    Ok(match datatype {
        DataType::Bool => TensorData::Bool(booleans(bytes)?),
        DataType::Uint8 => TensorData::Uint8(bytes.to_vec()),
        DataType::Int8 => TensorData::Int8(numbers(bytes, i8::from_le_bytes)),
        DataType::Int32 => TensorData::Int32(numbers(bytes, i32::from_le_bytes)),
        DataType::Int64 => TensorData::Int64(numbers(bytes, i64::from_le_bytes)),
        DataType::Fp32 => TensorData::Fp32(numbers(bytes, f32::from_le_bytes)),
    })
}

/// Appends the bytes of all elements to `to`.
pub(super) fn encode(data: &TensorData, to: &mut Vec<u8>) {
    match data {
        TensorData::Bool(values) => to.extend(values.iter().map(|value| u8::from(*value))),
        TensorData::Uint8(values) => to.extend_from_slice(values),
        TensorData::Int8(values) => to.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        TensorData::Int32(values) => to.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        TensorData::Int64(values) => to.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        TensorData::Fp32(values) => to.extend(values.iter().flat_map(|value| value.to_le_bytes())),
    }
}

fn numbers<const SIZE: usize, T>(bytes: &[u8], number: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks();
    chunks.iter().map(|chunk| number(*chunk)).collect()
}

fn booleans(bytes: &[u8]) -> Result<Vec<bool>, String> {
    match bytes.iter().position(|byte| *byte > 1) {
        Some(place) => Err(format!(
            "expected the byte 0 or 1 for each element, found {} at {place}",
            bytes[place]
        )),
        None => Ok(bytes.iter().map(|byte| *byte == 1).collect()),
    }
}
