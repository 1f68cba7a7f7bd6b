//! The fields of [protobuf](https://protobuf.dev/programming-guides/encoding/) messages.

use std::ops::Range;

/// The wire types, as encoded in a tag.
pub(crate) const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

/// One field of a message. The ranges refer to the bytes that contain the message.
pub(crate) struct ProtoField {
    pub(crate) number: u64,
    pub(crate) whole: Range<usize>,
    pub(crate) value: ProtoValue,
}

pub(crate) enum ProtoValue {
    /// A number of fixed size, 32 or 64 bits.
    Fixed,
    Varint(u64),
    Bytes(Range<usize>),
}

impl ProtoField {
    /// Reads the first field of `rest`, the unread part of a message in `bytes`. Returns `None` if
    /// the field is malformed.
    pub(crate) fn read(bytes: &[u8], rest: Range<usize>) -> Option<Self> {
        let mut at = rest.start;
        let tag = read_varint(bytes, &mut at, rest.end)?;
        let value = match tag & 7 {
            VARINT => ProtoValue::Varint(read_varint(bytes, &mut at, rest.end)?),
            FIXED_64 => {
                at = at.checked_add(8)?;
                ProtoValue::Fixed
            }
            BYTES => {
                let length = usize::try_from(read_varint(bytes, &mut at, rest.end)?).ok()?;
                let value = at..at.checked_add(length)?;
                at = value.end;
                ProtoValue::Bytes(value)
            }
            FIXED_32 => {
                at = at.checked_add(4)?;
                ProtoValue::Fixed
            }
            _ => return None,
        };
        (at <= rest.end).then_some(Self {
            number: tag >> 3,
            whole: rest.start..at,
            value,
        })
    }

    /// Reads all fields of a message in `bytes`. Returns `None` if the message is malformed.
    pub(crate) fn read_all(bytes: &[u8], message: Range<usize>) -> Option<Vec<Self>> {
        let mut fields = Vec::new();
        let mut at = message.start;
        while at < message.end {
            let field = Self::read(bytes, at..message.end)?;
            at = field.whole.end;
            fields.push(field);
        }
        Some(fields)
    }
}

/// Reads the variable-length number at `at`, and moves `at` behind it.
pub(crate) fn read_varint(bytes: &[u8], at: &mut usize, end: usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.get(..end)?.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

pub(crate) fn write_tag(to: &mut Vec<u8>, number: u64, wire_type: u64) {
    write_varint(to, number << 3 | wire_type);
}

pub(crate) fn write_bytes(to: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    write_tag(to, number, BYTES);
    write_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

pub(crate) fn write_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
