//! The declared inputs and outputs of an ONNX model.
//!
//! rten stores booleans and 64-bit integers as 32-bit integers, and does not keep their declared
//! datatypes. It also replaces declared shapes by inferred ones. The server needs the declarations,
//! so this module reads them from the file, and skips all other fields.

use std::collections::HashMap;

use rten_onnx::onnx::{self, TypeProtoTensor, ValueInfoProto};
use rten_onnx::protobuf::{
    DecodeMessage, Fields, OwnedValues, ProtobufError, ReadValue, ValueReader,
};

use super::RuntimeError;
use crate::tensor::{DataType, Dimension, TensorSpec};

/// The number of the field `ModelProto.graph` in onnx.proto.
const GRAPH: u64 = 7;
/// The number of the field `GraphProto.input` in onnx.proto.
const INPUT: u64 = 11;
/// The number of the field `GraphProto.output` in onnx.proto.
const OUTPUT: u64 = 12;

/// The declared inputs and outputs of a model, by name.
#[derive(Debug, Default)]
pub(super) struct DeclaredTensors(HashMap<String, Option<TypeProtoTensor>>);

impl DeclaredTensors {
    /// Reads the declarations from the bytes of a model.
    pub(super) fn read(model: &[u8]) -> Result<Self, RuntimeError> {
        let unreadable = |error: ProtobufError| RuntimeError::Unloadable(error.to_string());
        read_model(model).map_err(unreadable)
    }

    /// Returns the declaration of the input or output with the name `tensor`.
    pub(super) fn spec(&self, tensor: &str) -> Result<TensorSpec, RuntimeError> {
        let unservable = |why: String| RuntimeError::Unservable {
            tensor: tensor.to_owned(),
            why,
        };
        let declared = self.0.get(tensor).and_then(Option::as_ref);
        let declared = declared.ok_or_else(|| {
            unservable("expected a declaration as a tensor, found none".to_owned())
        })?;
        let datatype = match declared.elem_type {
            Some(onnx::DataType::BOOL) => DataType::Bool,
            Some(onnx::DataType::UINT8) => DataType::Uint8,
            Some(onnx::DataType::INT8) => DataType::Int8,
            Some(onnx::DataType::INT32) => DataType::Int32,
            Some(onnx::DataType::INT64) => DataType::Int64,
            Some(onnx::DataType::FLOAT) => DataType::Fp32,
            other => {
                let found = other
                    .as_ref()
                    .and_then(onnx::DataType::name)
                    .unwrap_or("an unknown one");
                let expected = "expected the datatype FLOAT, INT32, INT64, BOOL, UINT8 or INT8";
                return Err(unservable(format!("{expected}, found {found}")));
            }
        };
        let shape = declared
            .shape
            .as_ref()
            .map(|shape| shape.dim.iter().map(dimension).collect());
        Ok(TensorSpec::new(tensor, datatype, shape))
    }
}

/// Converts a declared dimension. A size below 1 is dynamic: exporters write 0 or -1 for an unknown
/// size.
fn dimension(declared: &onnx::Dimension) -> Dimension {
    let fixed = declared
        .dim_value
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size > 0);
    match fixed {
        Some(size) => Dimension::Fixed(size),
        None => Dimension::Dynamic(declared.dim_param.clone().filter(|name| is_name(name))),
    }
}

/// Whether the name of a dimension names a size. Two dimensions with the same such name have equal
/// sizes.
///
/// Exporters write `?`, `-1` or `None` for each unknown size, and these sizes are not equal. So a
/// text without a letter is no name, and neither is a word for an unknown size.
pub(super) fn is_name(text: &str) -> bool {
    const UNKNOWN: [&str; 8] = [
        "none",
        "null",
        "nan",
        "unk",
        "unknown",
        "undefined",
        "dynamic",
        "any",
    ];
    text.chars().any(char::is_alphabetic)
        && !UNKNOWN
            .iter()
            .any(|word| text.trim().eq_ignore_ascii_case(word))
}

fn read_model(model: &[u8]) -> Result<DeclaredTensors, ProtobufError> {
    let mut declared = DeclaredTensors::default();
    let mut reader = ValueReader::from_buf(model);
    let mut fields = Fields::new(&mut reader, Some("ModelProto"));
    while let Some(mut field) = fields.next()? {
        if field.number() == GRAPH {
            read_graph(field.read_message(Some("GraphProto"))?, &mut declared)?;
        } else {
            field.skip()?;
        }
    }
    Ok(declared)
}

fn read_graph<R>(
    mut fields: Fields<'_, R>,
    declared: &mut DeclaredTensors,
) -> Result<(), ProtobufError>
where
    R: ReadValue<Types = OwnedValues>,
{
    while let Some(mut field) = fields.next()? {
        if matches!(field.number(), INPUT | OUTPUT) {
            let info = ValueInfoProto::decode_field(&mut field)?;
            let tensor = info.r#type.and_then(|r#type| r#type.tensor_type);
            declared.0.insert(info.name.unwrap_or_default(), tensor);
        } else {
            field.skip()?;
        }
    }
    Ok(())
}
