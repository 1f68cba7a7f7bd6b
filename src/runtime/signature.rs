//! The declared inputs and outputs of an ONNX model.
//!
//! rten keeps booleans and 64-bit integers as 32-bit ones and forgets what they were declared as, so the declarations
//! are read from the file itself: of the whole protobuf only these few fields, the rest skipped.

use std::collections::HashMap;

use rten_onnx::onnx::{self, ValueInfoProto};
use rten_onnx::protobuf::{
    DecodeMessage, Fields, OwnedValues, ProtobufError, ReadValue, ValueReader,
};

use super::{DataType, RuntimeError};

/// `ModelProto.graph` in onnx.proto.
const GRAPH: u64 = 7;
/// `GraphProto.input` in onnx.proto.
const INPUT: u64 = 11;
/// `GraphProto.output` in onnx.proto.
const OUTPUT: u64 = 12;

/// The declared element types of inputs and outputs, by name.
#[derive(Debug, Default)]
pub(super) struct DeclaredTypes(HashMap<String, Option<onnx::DataType>>);

impl DeclaredTypes {
    /// Reads them from the bytes of a model.
    pub(super) fn read(model: &[u8]) -> Result<Self, RuntimeError> {
        let unreadable = |error: ProtobufError| RuntimeError::Unloadable(error.to_string());
        read_model(model).map_err(unreadable)
    }

    /// The datatype of one input or output.
    pub(super) fn of(&self, tensor: &str) -> Result<DataType, RuntimeError> {
        let unservable = |why: &str| RuntimeError::Unservable {
            tensor: tensor.to_owned(),
            why: why.to_owned(),
        };
        let declared = self.0.get(tensor).copied().flatten();
        let declared =
            declared.ok_or_else(|| unservable("it is declared without a tensor's datatype"))?;
        match declared {
            onnx::DataType::BOOL => Ok(DataType::Bool),
            onnx::DataType::UINT8 => Ok(DataType::Uint8),
            onnx::DataType::INT8 => Ok(DataType::Int8),
            onnx::DataType::INT32 => Ok(DataType::Int32),
            onnx::DataType::INT64 => Ok(DataType::Int64),
            onnx::DataType::FLOAT => Ok(DataType::Fp32),
            other => {
                let name = other.name().unwrap_or("an unknown type");
                Err(unservable(&format!(
                    "expected FLOAT, INT32, INT64, BOOL, UINT8 or INT8, found {name}"
                )))
            }
        }
    }
}

fn read_model(model: &[u8]) -> Result<DeclaredTypes, ProtobufError> {
    let mut types = DeclaredTypes::default();
    let mut reader = ValueReader::from_buf(model);
    let mut fields = Fields::new(&mut reader, Some("ModelProto"));
    while let Some(mut field) = fields.next()? {
        if field.number() == GRAPH {
            read_graph(field.read_message(Some("GraphProto"))?, &mut types)?;
        } else {
            field.skip()?;
        }
    }
    Ok(types)
}

fn read_graph<R>(mut fields: Fields<'_, R>, types: &mut DeclaredTypes) -> Result<(), ProtobufError>
where
    R: ReadValue<Types = OwnedValues>,
{
    while let Some(mut field) = fields.next()? {
        if matches!(field.number(), INPUT | OUTPUT) {
            let info = ValueInfoProto::decode_field(&mut field)?;
            let tensor = info.r#type.and_then(|declared| declared.tensor_type);
            types.0.insert(
                info.name.unwrap_or_default(),
                tensor.and_then(|tensor| tensor.elem_type),
            );
        } else {
            field.skip()?;
        }
    }
    Ok(())
}
