//! Completes an ONNX model with values that rten needs, but that the standard lets a model omit.
//!
//! The standard has a default for most attributes of operators. rten takes some attributes as
//! given, or takes another default. This module adds the standard's defaults to a copy of the
//! verified bytes, before rten parses them. It also removes names of dimensions that are no names
//! ([`is_name`]): rten takes two dimensions of the same name as equal.
//!
//! The defaults are:
//!
//! - `Conv`, `ConvInteger`, `ConvTranspose`: `strides` and `dilations` of 1 and `pads` of 0 along
//!   each axis. The number of axes follows from the weights if `kernel_shape` is missing, too.
//! - `MaxPool`, `AveragePool`: `strides` of 1 along each axis.
//! - `LSTM`, `GRU`: `hidden_size` follows from the recurrence weights.
//! - `QuantizeLinear`: `axis` 1.
//! - `Softmax`, `LogSoftmax` before version 13 and `Concat` before version 4: `axis` 1.
//!
//! The field numbers come from
//! [onnx.proto](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

mod node;

use std::collections::HashMap;
use std::ops::Range;

use self::node::Node;
use super::declared_tensors::is_name;
use super::protobuf::{ProtoField, ProtoValue, read_varint, write_bytes};

/// The numbers of fields of `ModelProto`.
const GRAPH: u64 = 7;
const OPSET_IMPORT: u64 = 8;
/// The numbers of fields of `OperatorSetIdProto`.
const DOMAIN: u64 = 1;
const VERSION: u64 = 2;
/// The numbers of fields of `GraphProto`.
const NODE: u64 = 1;
const INITIALIZER: u64 = 5;
const INPUT: u64 = 11;
const OUTPUT: u64 = 12;
const VALUE_INFO: u64 = 13;
/// The numbers of fields of `TensorProto`.
const DIMS: u64 = 1;
const TENSOR_NAME: u64 = 8;
/// The numbers of the nested fields from `ValueInfoProto` down to a dimension:
/// `type.tensor_type.shape.dim`.
const TO_DIMENSION: [u64; 4] = [2, 1, 2, 1];
/// The number of the field `TensorShapeProto.Dimension.dim_param`.
const DIM_PARAM: u64 = 2;

/// The maximum depth of nested graphs. A model with deeper graphs stays as it is.
const MAX_DEPTH: usize = 32;

/// The model is malformed, or nested too deeply. rten gives a better error message.
struct Malformed;

type Rewritten = Result<Option<Vec<u8>>, Malformed>;

/// Completes a model. Returns `None` if the model needs no change, or is malformed.
pub(super) fn complete(model: &[u8]) -> Option<Vec<u8>> {
    let fields = ProtoField::read_all(model, 0..model.len())?;
    let mut completion = Completion {
        model,
        opset: opset(model, &fields)?,
        shapes: Vec::new(),
    };
    let of_model = |completion: &mut Completion<'_>, number, value| match number {
        GRAPH => completion.graph(value),
        _ => Ok(None),
    };
    completion
        .rewrite(0..model.len(), of_model)
        .unwrap_or_default()
}

/// The version of the standard's operators that the model imports.
fn opset(model: &[u8], fields: &[ProtoField]) -> Option<u64> {
    for field in fields {
        let ProtoValue::Bytes(import) = &field.value else {
            continue;
        };
        if field.number != OPSET_IMPORT {
            continue;
        }
        let (mut is_standard, mut version) = (true, None);
        for field in ProtoField::read_all(model, import.clone())? {
            match (field.number, field.value) {
                (DOMAIN, ProtoValue::Bytes(domain)) => {
                    is_standard = matches!(&model[domain], b"" | b"ai.onnx");
                }
                (VERSION, ProtoValue::Varint(number)) => version = Some(number),
                _ => {}
            }
        }
        if is_standard {
            return version;
        }
    }
    None
}

struct Completion<'a> {
    model: &'a [u8],
    opset: u64,
    /// The known shapes of tensors by name, for each of the nested graphs.
    shapes: Vec<HashMap<&'a [u8], Vec<i64>>>,
}

impl<'a> Completion<'a> {
    /// Replaces fields of a message by the results of `replace`, which gets the number and the
    /// value of each field of bytes. Returns `None` if nothing is replaced.
    fn rewrite(
        &mut self,
        message: Range<usize>,
        mut replace: impl FnMut(&mut Self, u64, Range<usize>) -> Rewritten,
    ) -> Rewritten {
        let mut written: Option<Vec<u8>> = None;
        let (mut at, mut copied) = (message.start, message.start);
        while at < message.end {
            let field = ProtoField::read(self.model, at..message.end).ok_or(Malformed)?;
            at = field.whole.end;
            let ProtoValue::Bytes(value) = field.value else {
                continue;
            };
            if let Some(replaced) = replace(self, field.number, value)? {
                let written = written.get_or_insert_default();
                written.extend_from_slice(&self.model[copied..field.whole.start]);
                write_bytes(written, field.number, &replaced);
                copied = at;
            }
        }
        if let Some(written) = &mut written {
            written.extend_from_slice(&self.model[copied..message.end]);
        }
        Ok(written)
    }

    fn graph(&mut self, graph: Range<usize>) -> Rewritten {
        if self.shapes.len() == MAX_DEPTH {
            return Err(Malformed);
        }
        let weights = self.weights(graph.clone()).ok_or(Malformed)?;
        self.shapes.push(weights);
        let rewritten = self.rewrite(graph, |completion, number, value| match number {
            NODE => completion.node(value),
            INPUT | OUTPUT | VALUE_INFO => completion.dimensions(value, &TO_DIMENSION),
            _ => Ok(None),
        });
        self.shapes.pop();
        rewritten
    }

    /// The shapes of the weights of a graph.
    fn weights(&self, graph: Range<usize>) -> Option<HashMap<&'a [u8], Vec<i64>>> {
        let mut shapes = HashMap::new();
        for field in ProtoField::read_all(self.model, graph)? {
            if let (INITIALIZER, ProtoValue::Bytes(tensor)) = (field.number, field.value) {
                let (name, shape) = shape_of_tensor(self.model, tensor)?;
                shapes.insert(name, shape);
            }
        }
        Some(shapes)
    }

    fn shape(&self, tensor: &[u8]) -> Option<&[i64]> {
        let mut graphs = self.shapes.iter().rev();
        graphs.find_map(|shapes| shapes.get(tensor).map(Vec::as_slice))
    }

    fn node(&mut self, range: Range<usize>) -> Rewritten {
        let node = Node::read(self.model, range.clone()).ok_or(Malformed)?;
        if let (Some(&output), Some(shape)) = (node.outputs.first(), node.shape_of_output(self))
            && let Some(shapes) = self.shapes.last_mut()
        {
            shapes.insert(output, shape);
        }
        let missing = node.missing(self);
        let rewritten = self.rewrite(range.clone(), |completion, number, value| match number {
            node::ATTRIBUTE => completion.attribute(value),
            _ => Ok(None),
        })?;
        if missing.is_empty() {
            return Ok(rewritten);
        }
        let mut written = rewritten.unwrap_or_else(|| self.model[range].to_vec());
        for attribute in missing {
            write_bytes(&mut written, node::ATTRIBUTE, &attribute);
        }
        Ok(Some(written))
    }

    /// Completes the graph in an attribute, such as the branch of an `If`.
    fn attribute(&mut self, attribute: Range<usize>) -> Rewritten {
        self.rewrite(attribute, |completion, number, value| match number {
            node::ATTRIBUTE_GRAPH => completion.graph(value),
            _ => Ok(None),
        })
    }

    /// Removes the names of dimensions that are no names. `path` leads from the message down to the
    /// dimensions.
    fn dimensions(&mut self, message: Range<usize>, path: &[u64]) -> Rewritten {
        let Some((&first, path)) = path.split_first() else {
            return self.dimension(message);
        };
        self.rewrite(message, |completion, number, value| match number {
            number if number == first => completion.dimensions(value, path),
            _ => Ok(None),
        })
    }

    fn dimension(&self, dimension: Range<usize>) -> Rewritten {
        let fields = ProtoField::read_all(self.model, dimension).ok_or(Malformed)?;
        let nameless = |field: &ProtoField| match &field.value {
            ProtoValue::Bytes(name) if field.number == DIM_PARAM => {
                std::str::from_utf8(&self.model[name.clone()]).is_ok_and(|name| !is_name(name))
            }
            _ => false,
        };
        if !fields.iter().any(nameless) {
            return Ok(None);
        }
        let kept = fields.iter().filter(|field| !nameless(field));
        Ok(Some(
            kept.flat_map(|field| &self.model[field.whole.clone()])
                .copied()
                .collect(),
        ))
    }
}

/// The name and the shape of a `TensorProto`.
fn shape_of_tensor(model: &[u8], tensor: Range<usize>) -> Option<(&[u8], Vec<i64>)> {
    let (mut name, mut shape) = (&model[..0], Vec::new());
    for field in ProtoField::read_all(model, tensor)? {
        match (field.number, field.value) {
            (TENSOR_NAME, ProtoValue::Bytes(bytes)) => name = &model[bytes],
            (DIMS, ProtoValue::Varint(size)) => shape.push(size.cast_signed()),
            (DIMS, ProtoValue::Bytes(packed)) => {
                let mut at = packed.start;
                while at < packed.end {
                    shape.push(read_varint(model, &mut at, packed.end)?.cast_signed());
                }
            }
            _ => {}
        }
    }
    Some((name, shape))
}

#[cfg(test)]
mod tests;
