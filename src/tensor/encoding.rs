//! Encodes and decodes tensor elements as bytes, little-endian and in row-major order, as the
//! protocol's binary tensor extension defines.

use super::{ByteStrings, DataType, Fp16, TensorData};

/// The size of the length of an element of BYTES.
const LENGTH: usize = size_of::<u32>();

/// An upper bound on the size in memory, in bytes, of the tensor that is decoded from `bytes`
/// bytes.
pub(crate) fn most_memory(datatype: DataType, bytes: usize) -> usize {
    match datatype.element_size() {
        Some(_) => bytes,
        // The memory of an element's place, for each length.
        None => bytes.saturating_add(bytes / LENGTH * size_of::<usize>()),
    }
}

/// The size of a tensor's binary data in bytes.
pub(crate) fn size(data: &TensorData) -> usize {
    match data {
        TensorData::Bytes(values) => values.bytes().len() + LENGTH * values.len(),
        other => other.size(),
    }
}

/// Decodes `count` elements from `bytes`. The error message states the expected value and the
/// actual value.
pub(crate) fn decode(datatype: DataType, bytes: &[u8], count: usize) -> Result<TensorData, String> {
    let Some(size) = datatype.element_size() else {
        return byte_strings(bytes, count).map(TensorData::Bytes);
    };
    if count.checked_mul(size) != Some(bytes.len()) {
        return Err(format!(
            "expected {count} elements of {size} bytes each, found {} bytes",
            bytes.len()
        ));
    }
    Ok(match datatype {
        DataType::Bool => TensorData::Bool(booleans(bytes)?),
        DataType::Uint8 => TensorData::Uint8(bytes.to_vec()),
        DataType::Uint16 => TensorData::Uint16(numbers(bytes, u16::from_le_bytes)),
        DataType::Uint32 => TensorData::Uint32(numbers(bytes, u32::from_le_bytes)),
        DataType::Uint64 => TensorData::Uint64(numbers(bytes, u64::from_le_bytes)),
        DataType::Int8 => TensorData::Int8(numbers(bytes, i8::from_le_bytes)),
        DataType::Int16 => TensorData::Int16(numbers(bytes, i16::from_le_bytes)),
        DataType::Int32 => TensorData::Int32(numbers(bytes, i32::from_le_bytes)),
        DataType::Int64 => TensorData::Int64(numbers(bytes, i64::from_le_bytes)),
        DataType::Fp32 => TensorData::Fp32(numbers(bytes, f32::from_le_bytes)),
        DataType::Fp64 => TensorData::Fp64(numbers(bytes, f64::from_le_bytes)),
        DataType::Fp16 => {
            let number = |bytes| Fp16::from_bits(u16::from_le_bytes(bytes));
            TensorData::Fp16(numbers(bytes, number))
        }
        DataType::Bytes => TensorData::Bytes(byte_strings(bytes, count)?),
    })
}

/// Appends the bytes of all elements to `to`.
pub(crate) fn encode(data: &TensorData, to: &mut Vec<u8>) {
    match data {
        TensorData::Bool(values) => to.extend(values.iter().map(|value| u8::from(*value))),
        TensorData::Uint8(values) => to.extend_from_slice(values),
        TensorData::Uint16(values) => append(values, u16::to_le_bytes, to),
        TensorData::Uint32(values) => append(values, u32::to_le_bytes, to),
        TensorData::Uint64(values) => append(values, u64::to_le_bytes, to),
        TensorData::Int8(values) => append(values, i8::to_le_bytes, to),
        TensorData::Int16(values) => append(values, i16::to_le_bytes, to),
        TensorData::Int32(values) => append(values, i32::to_le_bytes, to),
        TensorData::Int64(values) => append(values, i64::to_le_bytes, to),
        TensorData::Fp32(values) => append(values, f32::to_le_bytes, to),
        TensorData::Fp64(values) => append(values, f64::to_le_bytes, to),
        TensorData::Fp16(values) => append(values, |value| value.to_bits().to_le_bytes(), to),
        TensorData::Bytes(values) => {
            for value in values.iter() {
                let length = u32::try_from(value.len());
                let length = length.expect("an element has at most `u32::MAX` bytes");
                to.extend_from_slice(&length.to_le_bytes());
                to.extend_from_slice(value);
            }
        }
    }
}

fn append<const SIZE: usize, T: Copy>(
    values: &[T],
    bytes: impl Fn(T) -> [u8; SIZE],
    to: &mut Vec<u8>,
) {
    to.extend(values.iter().flat_map(|value| bytes(*value)));
}

/// Decodes `count` elements of BYTES. The length of each element comes before its bytes.
fn byte_strings(bytes: &[u8], count: usize) -> Result<ByteStrings, String> {
    // Also limits the allocation, so a large declared shape with little data allocates little.
    let most = bytes.len() / LENGTH;
    if count > most {
        return Err(format!(
            "expected {count} elements with {LENGTH} bytes for the length of each, found {} bytes",
            bytes.len()
        ));
    }
    let mut values = ByteStrings::with_capacity(count, bytes.len() - count * LENGTH);
    let mut rest = bytes;
    for position in 0..count {
        let missing = |expected: usize, found: usize| {
            format!("the element at {position}: expected {expected} bytes, found {found}")
        };
        let found = rest.len();
        let Some((length, after)) = rest.split_first_chunk() else {
            return Err(missing(LENGTH, found));
        };
        let length = u32::from_le_bytes(*length) as usize;
        let Some((value, after)) = after.split_at_checked(length) else {
            return Err(missing(length, after.len()));
        };
        values.push(value);
        rest = after;
    }
    match rest.len() {
        0 => Ok(values),
        more => Err(format!(
            "expected {} bytes in {count} elements, found {more} bytes more",
            bytes.len() - more
        )),
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
