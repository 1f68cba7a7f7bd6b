//! The declared inputs and outputs of an ONNX model.
//!
//! rten stores booleans and 64-bit integers as 32-bit integers, and does not keep their declared
//! datatypes. It also replaces declared shapes by inferred ones. The server needs the declarations,
//! so this module reads them from the file, and skips all other fields.

use std::collections::{HashMap, HashSet};

use rten_onnx::onnx::{self, TypeProtoTensor};
use rten_onnx::protobuf::{
    DecodeMessage, Fields, OwnedValues, ProtobufError, ReadValue, ValueReader,
};

use super::RuntimeError;
use crate::onnx::Model;
use crate::tensor::{DataType, Dimension, TensorSpec};

/// The number of the field `ModelProto.graph` in onnx.proto.
const GRAPH: u64 = 7;
/// The number of the field `GraphProto.input` in onnx.proto.
const INPUT: u64 = 11;
/// The number of the field `GraphProto.output` in onnx.proto.
const OUTPUT: u64 = 12;

/// The numbers of the fields `name` and `type` of `ValueInfoProto` in onnx.proto.
const NAME: u64 = 1;
const TYPE: u64 = 2;
/// The number of the field `TypeProto.tensor_type` in onnx.proto.
const TENSOR_TYPE: u64 = 1;

/// The declared inputs and outputs of a model, by name.
#[derive(Debug, Default)]
pub(super) struct DeclaredTensors(HashMap<String, DeclaredType>);

/// The declared type of an input or output.
#[derive(Debug)]
enum DeclaredType {
    Tensor(TypeProtoTensor),
    /// A type that is no tensor, such as a sequence.
    Other(&'static str),
}

impl DeclaredTensors {
    /// Reads the declarations from the bytes of a model.
    pub(super) fn read(model: &[u8]) -> Result<Self, RuntimeError> {
        let unreadable = |error: ProtobufError| RuntimeError::Unloadable(error.to_string());
        read_model(model).map_err(unreadable)
    }

    /// Checks that each input and output is a tensor, of any datatype.
    #[cfg(feature = "onnxruntime")]
    pub(super) fn check_types(&self) -> Result<(), RuntimeError> {
        let other = |(name, declared): (&String, &DeclaredType)| match declared {
            DeclaredType::Tensor(_) => None,
            DeclaredType::Other(_) => Some(name.clone()),
        };
        let first = self.0.iter().filter_map(other).min();
        first.map_or(Ok(()), |name| self.spec(&name).map(|_| ()))
    }

    /// Checks that the server can serve each input and output of the model in `bytes`, whichever
    /// runtime computes it.
    pub(super) fn check_served(&self, bytes: &[u8]) -> Result<(), RuntimeError> {
        let Ok(model) = Model::read(bytes) else {
            return Ok(());
        };
        let graph = &model.graph;
        let weights = graph.initializers.iter().map(|weight| weight.name);
        let weights: HashSet<&str> = weights.chain(graph.sparse.iter().copied()).collect();
        let inputs = graph.inputs.iter().map(|input| input.name);
        let inputs = inputs.filter(|name| !weights.contains(name));
        let outputs = graph.outputs.iter().map(|output| output.name);
        for name in inputs.chain(outputs) {
            self.spec(name)?;
        }
        Ok(())
    }

    /// Returns the declaration of the input or output with the name `tensor`.
    pub(super) fn spec(&self, tensor: &str) -> Result<TensorSpec, RuntimeError> {
        let unservable = |why: String| RuntimeError::Unservable {
            tensor: tensor.to_owned(),
            why,
        };
        let found = |what: &str| unservable(format!("expected a tensor, found {what}"));
        let declared = match self.0.get(tensor) {
            Some(DeclaredType::Tensor(declared)) => declared,
            Some(DeclaredType::Other(what)) => return Err(found(what)),
            None => return Err(found("no declaration")),
        };
        let declared_type = declared.elem_type.unwrap_or(onnx::DataType(0));
        let datatype = datatype(declared_type).ok_or_else(|| {
            unservable(format!(
                "expected a datatype of the protocol ({DATATYPES}), found {}",
                name_of(declared_type)
            ))
        })?;
        let shape = declared
            .shape
            .as_ref()
            .map(|shape| shape.dim.iter().map(dimension).collect());
        Ok(TensorSpec::new(tensor, datatype, shape))
    }
}

/// The datatypes of the protocol, named as in onnx.proto.
const DATATYPES: &str = "BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FLOAT16, \
    FLOAT, DOUBLE or STRING";

/// The datatype in the protocol; `None` if the protocol has no such datatype.
fn datatype(declared: onnx::DataType) -> Option<DataType> {
    Some(match declared {
        onnx::DataType::BOOL => DataType::Bool,
        onnx::DataType::UINT8 => DataType::Uint8,
        onnx::DataType::UINT16 => DataType::Uint16,
        onnx::DataType::UINT32 => DataType::Uint32,
        onnx::DataType::UINT64 => DataType::Uint64,
        onnx::DataType::INT8 => DataType::Int8,
        onnx::DataType::INT16 => DataType::Int16,
        onnx::DataType::INT32 => DataType::Int32,
        onnx::DataType::INT64 => DataType::Int64,
        onnx::DataType::FLOAT16 => DataType::Fp16,
        onnx::DataType::FLOAT => DataType::Fp32,
        onnx::DataType::DOUBLE => DataType::Fp64,
        onnx::DataType::STRING => DataType::Bytes,
        _ => return None,
    })
}

/// The name of a datatype in onnx.proto.
// The crate does not name the newest datatypes.
fn name_of(declared: onnx::DataType) -> String {
    match declared.0 {
        0 => "none".to_owned(),
        25 => "UINT2".to_owned(),
        26 => "INT2".to_owned(),
        27 => "FLOAT6E2M3".to_owned(),
        28 => "FLOAT6E3M2".to_owned(),
        number => declared
            .name()
            .map_or_else(|| format!("the unknown number {number}"), str::to_owned),
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
            read_value(field.read_message(Some("ValueInfoProto"))?, declared)?;
        } else {
            field.skip()?;
        }
    }
    Ok(())
}

fn read_value<R>(
    mut fields: Fields<'_, R>,
    declared: &mut DeclaredTensors,
) -> Result<(), ProtobufError>
where
    R: ReadValue<Types = OwnedValues>,
{
    let (mut name, mut declared_type) = (String::new(), None);
    while let Some(mut field) = fields.next()? {
        match field.number() {
            NAME => name = field.read_string()?,
            TYPE => declared_type = read_type(field.read_message(Some("TypeProto"))?)?,
            _ => field.skip()?,
        }
    }
    match declared_type {
        Some(declared_type) => declared.0.insert(name, declared_type),
        None => declared.0.remove(&name),
    };
    Ok(())
}

fn read_type<R>(mut fields: Fields<'_, R>) -> Result<Option<DeclaredType>, ProtobufError>
where
    R: ReadValue<Types = OwnedValues>,
{
    let mut found = None;
    while let Some(mut field) = fields.next()? {
        let other = match field.number() {
            TENSOR_TYPE => {
                let tensor = TypeProtoTensor::decode_field(&mut field)?;
                found = Some(DeclaredType::Tensor(tensor));
                continue;
            }
            4 => Some("a sequence"),
            5 => Some("a map"),
            7 => Some("an opaque type"),
            8 => Some("a sparse tensor"),
            9 => Some("an optional"),
            _ => None,
        };
        found = other.map(DeclaredType::Other).or(found);
        field.skip()?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
