//! Rewrites an ONNX model, so that rten computes the answers that the standard defines.
//!
//! rten computes some forms of operators wrongly. This module replaces such a form by nodes that
//! rten computes rightly. It works on a copy of the verified bytes, before rten parses them. It
//! also removes names of dimensions that are no names ([`is_name`]): rten takes two dimensions of
//! the same name as equal.
//!
//! Each kind of replacement has a module of its own:
//!
//! - [`completion`]: attributes that the standard lets a model omit, and rten does not.
//! - [`conv_integer`]: `ConvInteger` with padding, or of a batch.
//! - [`padding`]: `auto_pad` `SAME_LOWER`.
//! - [`extreme_index`]: `ArgMax` and `ArgMin` of equal elements.
//! - [`flattened_softmax`]: `Softmax` and `LogSoftmax` before version 13.
//! - [`matmul_integer`]: `MatMulInteger` with a zero point for each column.
//! - [`quantization`]: `QuantizeLinear` and `DynamicQuantizeLinear`.
//! - [`broadcast`]: elementwise operators with a single number of several dimensions.
//! - [`boolean`]: `Cast` to BOOL.
//! - [`division`]: `Div` by a single number near 0.
//! - [`sign`]: `Sign` of 0.
//! - [`softplus`]: `Softplus` of large numbers.
//! - [`sequence`]: `SequenceInsert` at a negative position.
//! - [`dropout`]: `Dropout`, which this build of rten does not have.
//! - [`recurrent`]: `sequence_lens` of `LSTM` and `GRU`.
//!
//! A model that needs no rewriting is read once, and not copied. A node that cannot be rewritten
//! stays as it is.
//!
//! The field numbers come from
//! [onnx.proto](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

mod attribute;
mod boolean;
mod broadcast;
mod completion;
mod conv_integer;
mod division;
mod dropout;
mod extreme_index;
mod flattened_softmax;
mod known;
mod matmul_integer;
mod names;
mod node;
mod padding;
mod quantization;
mod recurrent;
mod replacement;
mod scope;
mod sequence;
mod sign;
mod softplus;
mod windows;

use std::ops::Range;

use self::division::{Divisions, Form};
use self::names::Names;
pub(super) use self::names::NewNames;
use self::node::Node;
use self::replacement::Replacement;
use self::scope::Scopes;
use super::declared_tensors::is_name;
use super::protobuf::{ProtoField, ProtoValue, write_bytes};

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
/// The numbers of the nested fields from `ValueInfoProto` down to a dimension:
/// `type.tensor_type.shape.dim`.
const TO_DIMENSION: [u64; 4] = [2, 1, 2, 1];
/// The number of the field `TensorShapeProto.Dimension.dim_param`.
const DIM_PARAM: u64 = 2;

/// The maximum depth of nested graphs. A model with deeper graphs stays as it is.
const MAX_DEPTH: usize = 32;

/// The maximum number of bytes of all replacements of nodes. A model that needs more stays as it
/// is.
// A node of a few bytes becomes nodes of some hundred bytes, so the model's size bounds nothing.
const MAX_REPLACED: usize = 32 << 20;

/// The model is malformed, nested too deeply, or needs too many replacements. It stays as it is.
struct Unchanged;

type Rewritten<T> = Result<Option<T>, Unchanged>;

/// Rewrites a model. Returns `None` if the model needs no change, or is malformed.
///
/// Without `replaces_nodes`, no node is replaced, for tests of the claims: attributes that rten
/// needs are added all the same.
pub(super) fn rewrite(model: &[u8], replaces_nodes: bool) -> Option<Vec<u8>> {
    let fields = ProtoField::read_all(model, 0..model.len())?;
    let mut rewriter = Rewriter {
        model,
        opset: opset(model, &fields)?,
        scopes: Scopes::default(),
        names: Names::new(model),
        divisions: None,
        replaces_nodes,
        replaced: 0,
    };
    let of_model = |rewriter: &mut Rewriter<'_>, number, value| match number {
        GRAPH => single(rewriter.graph(value)),
        _ => Ok(None),
    };
    rewriter
        .message(0..model.len(), of_model)
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

/// One field in place of one field.
fn single(rewritten: Rewritten<Vec<u8>>) -> Rewritten<Vec<Vec<u8>>> {
    rewritten.map(|written| written.map(|written| vec![written]))
}

struct Rewriter<'a> {
    model: &'a [u8],
    opset: u64,
    scopes: Scopes<'a>,
    names: Names<'a>,
    /// The outputs of the divisions to replace, after the first division.
    divisions: Option<Divisions>,
    replaces_nodes: bool,
    /// The number of bytes of all replacements so far.
    replaced: usize,
}

impl<'a> Rewriter<'a> {
    /// Replaces fields of a message by the results of `replace`, which gets the number and the
    /// value of each field of bytes. Returns `None` if nothing is replaced.
    fn message(
        &mut self,
        message: Range<usize>,
        mut replace: impl FnMut(&mut Self, u64, Range<usize>) -> Rewritten<Vec<Vec<u8>>>,
    ) -> Rewritten<Vec<u8>> {
        let mut written: Option<Vec<u8>> = None;
        let (mut at, mut copied) = (message.start, message.start);
        while at < message.end {
            let field = ProtoField::read(self.model, at..message.end).ok_or(Unchanged)?;
            at = field.whole.end;
            let ProtoValue::Bytes(value) = field.value else {
                continue;
            };
            if let Some(replaced) = replace(self, field.number, value)? {
                let written = written.get_or_insert_default();
                written.extend_from_slice(&self.model[copied..field.whole.start]);
                for value in replaced {
                    write_bytes(written, field.number, &value);
                }
                copied = at;
            }
        }
        if let Some(written) = &mut written {
            written.extend_from_slice(&self.model[copied..message.end]);
        }
        Ok(written)
    }

    fn graph(&mut self, graph: Range<usize>) -> Rewritten<Vec<u8>> {
        if self.scopes.depth() == MAX_DEPTH {
            return Err(Unchanged);
        }
        let entered = self.scopes.enter(self.model, graph.clone());
        entered.ok_or(Unchanged)?;
        let rewritten = self.message(graph, |rewriter, number, value| match number {
            NODE => rewriter.node(value),
            INPUT | OUTPUT | VALUE_INFO => single(rewriter.dimensions(value, &TO_DIMENSION)),
            _ => Ok(None),
        });
        self.scopes.leave();
        rewritten
    }

    fn node(&mut self, range: Range<usize>) -> Rewritten<Vec<Vec<u8>>> {
        let node = Node::read(self.model, range.clone()).ok_or(Unchanged)?;
        if let Some(replaced) = self.replaced(&node) {
            self.replaced += replaced.iter().map(Vec::len).sum::<usize>();
            if self.replaced > MAX_REPLACED {
                return Err(Unchanged);
            }
            self.scopes.learn(&node);
            return Ok(Some(replaced));
        }
        let missing = completion::missing(&node, &self.scopes, self.opset);
        self.scopes.learn(&node);
        let rewritten = self.message(range.clone(), |rewriter, number, value| match number {
            node::ATTRIBUTE => single(rewriter.attribute(value)),
            _ => Ok(None),
        })?;
        if missing.is_empty() {
            return single(Ok(rewritten));
        }
        let mut written = rewritten.unwrap_or_else(|| self.model[range].to_vec());
        for attribute in missing {
            write_bytes(&mut written, node::ATTRIBUTE, &attribute);
        }
        Ok(Some(vec![written]))
    }

    /// The nodes that replace a node. `None` if rten computes the node rightly, or if nothing can
    /// replace it.
    fn replaced(&mut self, node: &Node<'a>) -> Option<Vec<Vec<u8>>> {
        let is_exact = |input: &&[u8]| self.scopes.is_exact(input);
        if !self.replaces_nodes || !node.is_standard || !node.inputs.iter().all(is_exact) {
            return None;
        }
        let division = self.inexact_division(node);
        let (scopes, opset) = (&self.scopes, self.opset);
        let to = Replacement::new(&mut self.names, opset);
        if let Some(form) = division {
            return division::replace(node, form, to);
        }
        match node.operator {
            b"Add" | b"Div" | b"Mul" | b"Sub" => broadcast::replace(node, scopes, to),
            b"ArgMax" | b"ArgMin" => extreme_index::replace(node, to),
            b"Cast" | b"CastLike" => boolean::replace(node, scopes, to),
            b"AveragePool" | b"Conv" | b"ConvTranspose" | b"MaxPool" => {
                padding::replace(node, scopes, to)
            }
            b"ConvInteger" => conv_integer::replace(node, scopes, to),
            b"Dropout" => dropout::replace(node, scopes, to),
            b"DynamicQuantizeLinear" => quantization::replace_dynamic(node, to),
            b"GRU" | b"LSTM" => recurrent::replace(node, scopes, to),
            b"LogSoftmax" | b"Softmax" if opset < 13 => {
                flattened_softmax::replace(node, scopes, to)
            }
            b"MatMulInteger" => matmul_integer::replace(node, scopes, to),
            b"QuantizeLinear" => quantization::replace(node, scopes, to),
            b"SequenceInsert" => sequence::replace(node, scopes, to),
            b"Sign" => sign::replace(node, scopes, to),
            b"Softplus" => softplus::replace(node, to),
            _ => None,
        }
    }

    /// The form of a division that rten can compute wrongly.
    fn inexact_division(&mut self, node: &Node<'_>) -> Option<Form> {
        if node.operator != b"Div" {
            return None;
        }
        let model = self.model;
        let divisions = self
            .divisions
            .get_or_insert_with(|| division::divisions(model));
        let form = divisions.get(*node.outputs.first()?).copied();
        form.filter(|form| *form != Form::Exact)
    }

    /// Rewrites the graph in an attribute, such as the branch of an `If`.
    fn attribute(&mut self, attribute: Range<usize>) -> Rewritten<Vec<u8>> {
        self.message(attribute, |rewriter, number, value| match number {
            node::ATTRIBUTE_GRAPH => single(rewriter.graph(value)),
            _ => Ok(None),
        })
    }

    /// Removes the names of dimensions that are no names. `path` leads from the message down to the
    /// dimensions.
    fn dimensions(&mut self, message: Range<usize>, path: &[u64]) -> Rewritten<Vec<u8>> {
        let Some((&first, path)) = path.split_first() else {
            return self.dimension(message);
        };
        self.message(message, |rewriter, number, value| match number {
            number if number == first => single(rewriter.dimensions(value, path)),
            _ => Ok(None),
        })
    }

    fn dimension(&self, dimension: Range<usize>) -> Rewritten<Vec<u8>> {
        let fields = ProtoField::read_all(self.model, dimension).ok_or(Unchanged)?;
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

#[cfg(test)]
mod tests;
