//! Splits an ONNX model into a graph and its weights, without copying the weights.
//!
//! rten copies each tensor out of a model's bytes, so after a load every weight is in memory twice.
//! rten does not copy the tensors of external files. ONNX can store a model as two files: a graph,
//! and a file of weights. The graph names the offset and length of each large tensor in the file of
//! weights. This module makes the graph and the weights from the verified bytes. The bytes of the
//! model itself serve as the file of weights.
//!
//! The field numbers come from
//! [onnx.proto](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

mod external;
#[cfg(feature = "onnxruntime")]
mod fold;

use std::ops::Range;

pub(super) use self::external::{ExternalFile, rename};
#[cfg(feature = "onnxruntime")]
pub(super) use self::fold::verified_model;
use super::protobuf::{ProtoField, ProtoValue, VARINT, write_bytes, write_tag, write_varint};

/// The number of the field `ModelProto.graph`.
const GRAPH: u64 = 7;
/// The number of the field `GraphProto.initializer`.
const INITIALIZER: u64 = 5;
/// The number of the field `TensorProto.data_type`.
const DATA_TYPE: u64 = 2;
/// The number of the field `TensorProto.raw_data`.
const RAW_DATA: u64 = 9;
/// The number of the field `TensorProto.external_data`.
const EXTERNAL_DATA: u64 = 13;
/// The number of the field `TensorProto.data_location`.
const DATA_LOCATION: u64 = 14;
/// The value of `TensorProto.data_location` for external data.
const EXTERNAL: u64 = 1;
/// The numbers of the fields `StringStringEntryProto.key` and `.value`.
const KEY: u64 = 1;
const VALUE: u64 = 2;

/// The numbers of the datatypes FLOAT, UINT8, INT8 and INT32. rten converts, and so copies, tensors
/// of other datatypes.
const UNCONVERTED: [u64; 4] = [1, 2, 3, 6];

/// A tensor is split off if its elements take at least this number of bytes in total. Smaller
/// tensors stay in the graph.
// To align the elements, the split moves them back by at most three bytes, over their tag and
// length. For a tensor of this size, the encoded length alone takes three bytes or more.
const LARGE: usize = 16 << 10;

/// The alignment in bytes that suffices for the elements of all datatypes in [`UNCONVERTED`].
const ALIGNMENT: usize = 4;

/// A model in two parts.
#[derive(Debug)]
pub(super) struct SplitModel {
    /// The model without its large tensors.
    pub(super) graph: Vec<u8>,
    /// The bytes of the model, with the large tensors at the offsets that the graph names. The
    /// other bytes are unused. The length is the same as the model's.
    pub(super) weights: Vec<u8>,
}

/// Splits a model. The graph refers to the weights by the name `file`.
///
/// Allocates memory only for the graph, and moves each tensor by less than four bytes.
///
/// # Errors
///
/// The unchanged model, if it has no large tensor, is malformed, or already contains the name
/// `file`. For a malformed model, the model runtime gives a better error message.
pub(super) fn split(mut model: Vec<u8>, file: &str) -> Result<SplitModel, Vec<u8>> {
    let mut splitter = Splitter {
        model: &model,
        file,
        moves: Vec::new(),
    };
    let graph = splitter.model();
    let moves = splitter.moves;
    match graph {
        Some(graph) if !moves.is_empty() && count(&graph, file) == moves.len() => {
            for (from, to) in moves {
                model.copy_within(from, to);
            }
            Ok(SplitModel {
                graph,
                weights: model,
            })
        }
        _ => Err(model),
    }
}

/// The number of places at which `text` occurs in `bytes`.
fn count(bytes: &[u8], text: &str) -> usize {
    let windows = bytes.windows(text.len());
    windows.filter(|window| *window == text.as_bytes()).count()
}

struct Splitter<'a> {
    model: &'a [u8],
    file: &'a str,
    /// The range and the new start of the elements of each large tensor, in the model's order.
    moves: Vec<(Range<usize>, usize)>,
}

impl Splitter<'_> {
    /// Reads the first field of `rest`, the unread part of a message.
    fn field(&self, rest: Range<usize>) -> Option<ProtoField> {
        ProtoField::read(self.model, rest)
    }

    fn model(&mut self) -> Option<Vec<u8>> {
        self.rewrite(0..self.model.len(), GRAPH, |splitter, graph| {
            splitter.rewrite(graph, INITIALIZER, Self::tensor)
        })
    }

    /// Copies a message. In the copy, the fields whose number is `number` have the value
    /// `replace(value)`. Returns `None` if the message is malformed.
    fn rewrite(
        &mut self,
        message: Range<usize>,
        number: u64,
        mut replace: impl FnMut(&mut Self, Range<usize>) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut written = Vec::new();
        let mut at = message.start;
        while at < message.end {
            let field = self.field(at..message.end)?;
            at = field.whole.end;
            match field.value {
                ProtoValue::Bytes(value) if field.number == number => {
                    write_bytes(&mut written, number, &replace(self, value)?);
                }
                _ => written.extend_from_slice(&self.model[field.whole]),
            }
        }
        Some(written)
    }

    /// Copies a tensor. Replaces the elements by their location if the tensor is large.
    fn tensor(&mut self, tensor: Range<usize>) -> Option<Vec<u8>> {
        let mut written = Vec::new();
        let mut elements = None;
        let mut is_converted = true;
        let mut at = tensor.start;
        while at < tensor.end {
            let field = self.field(at..tensor.end)?;
            at = field.whole.end;
            match (field.number, &field.value) {
                (RAW_DATA, ProtoValue::Bytes(bytes))
                    if elements.is_none() && bytes.len() >= LARGE =>
                {
                    elements = Some(bytes.clone());
                    continue;
                }
                // Copies the tensor unchanged if it is small, has a second field of elements, or
                // already has a location.
                (RAW_DATA | DATA_LOCATION | EXTERNAL_DATA, _) => {
                    return Some(self.model[tensor].to_vec());
                }
                (DATA_TYPE, ProtoValue::Varint(datatype)) => {
                    is_converted = !UNCONVERTED.contains(datatype)
                }
                _ => {}
            }
            written.extend_from_slice(&self.model[field.whole]);
        }
        let Some(elements) = elements.filter(|_| !is_converted) else {
            return Some(self.model[tensor].to_vec());
        };
        let misaligned = self.model[elements.start..].as_ptr().addr() % ALIGNMENT;
        let (start, length) = (elements.start - misaligned, elements.len());
        self.moves.push((elements, start));
        for (key, value) in [
            ("location", self.file),
            ("offset", &start.to_string()),
            ("length", &length.to_string()),
        ] {
            let mut entry = Vec::new();
            write_bytes(&mut entry, KEY, key.as_bytes());
            write_bytes(&mut entry, VALUE, value.as_bytes());
            write_bytes(&mut written, EXTERNAL_DATA, &entry);
        }
        write_tag(&mut written, DATA_LOCATION, VARINT);
        write_varint(&mut written, EXTERNAL);
        Some(written)
    }
}

#[cfg(test)]
mod tests;
