//! The attributes of a node.

use std::ops::Range;

use super::known::Constant;
use crate::runtime::protobuf::{
    ProtoField, ProtoValue, VARINT, read_varint, write_bytes, write_tag, write_varint,
};

/// The numbers of fields of `AttributeProto`.
const NAME: u64 = 1;
const INTEGER: u64 = 3;
const STRING: u64 = 4;
const TENSOR: u64 = 5;
const INTEGERS: u64 = 8;
const TYPE: u64 = 20;
/// The values of `AttributeProto.type`.
const TYPE_INTEGER: u64 = 2;
const TYPE_TENSOR: u64 = 4;
const TYPE_INTEGERS: u64 = 7;

#[derive(Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a [u8],
    pub(super) integer: Option<i64>,
    pub(super) integers: Vec<i64>,
    pub(super) string: Option<&'a [u8]>,
    pub(super) tensor: Option<Constant<'a>>,
    /// The attribute as it is encoded in the model.
    pub(super) encoded: &'a [u8],
}

impl<'a> Attribute<'a> {
    pub(super) fn read(model: &'a [u8], attribute: Range<usize>) -> Option<Self> {
        let mut read = Self {
            encoded: &model[attribute.clone()],
            ..Self::default()
        };
        for field in ProtoField::read_all(model, attribute)? {
            match (field.number, field.value) {
                (NAME, ProtoValue::Bytes(name)) => read.name = &model[name],
                (INTEGER, ProtoValue::Varint(value)) => read.integer = Some(value.cast_signed()),
                (STRING, ProtoValue::Bytes(string)) => read.string = Some(&model[string]),
                (INTEGERS, ProtoValue::Varint(value)) => read.integers.push(value.cast_signed()),
                (INTEGERS, ProtoValue::Bytes(packed)) => {
                    let mut at = packed.start;
                    while at < packed.end {
                        let value = read_varint(model, &mut at, packed.end)?;
                        read.integers.push(value.cast_signed());
                    }
                }
                (TENSOR, ProtoValue::Bytes(tensor)) => {
                    read.tensor = Some(Constant::read(model, tensor)?);
                }
                _ => {}
            }
        }
        Some(read)
    }
}

/// Encodes an integer attribute.
pub(super) fn integer(name: &[u8], value: i64) -> Vec<u8> {
    let mut written = Vec::new();
    write_bytes(&mut written, NAME, name);
    write_tag(&mut written, INTEGER, VARINT);
    write_varint(&mut written, value.cast_unsigned());
    write_type(&mut written, TYPE_INTEGER);
    written
}

/// Encodes an attribute that is a list of integers.
pub(super) fn integers(name: &[u8], values: &[i64]) -> Vec<u8> {
    let mut written = Vec::new();
    write_bytes(&mut written, NAME, name);
    for value in values {
        write_tag(&mut written, INTEGERS, VARINT);
        write_varint(&mut written, value.cast_unsigned());
    }
    write_type(&mut written, TYPE_INTEGERS);
    written
}

/// Encodes an attribute that is a tensor.
pub(super) fn tensor(name: &[u8], encoded: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    write_bytes(&mut written, NAME, name);
    write_bytes(&mut written, TENSOR, encoded);
    write_type(&mut written, TYPE_TENSOR);
    written
}

fn write_type(to: &mut Vec<u8>, kind: u64) {
    write_tag(to, TYPE, VARINT);
    write_varint(to, kind);
}

/// Whether an attribute that this module has encoded has a name.
pub(super) fn is_named(encoded: &[u8], name: &[u8]) -> bool {
    let mut first = Vec::new();
    write_bytes(&mut first, NAME, name);
    encoded.starts_with(&first)
}
