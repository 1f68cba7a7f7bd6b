//! A read-only view of an ONNX model: its graph, and what follows from it about each value.
//!
//! The view borrows the bytes of the model. It takes time in proportion to them, and refuses graphs
//! that are nested too deeply, so a hostile model can neither overflow the stack nor take quadratic
//! time.
//!
//! The field numbers come from
//! [onnx.proto](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

mod element_type;
mod graph;
mod inference;
mod input_limits;
mod interval;
mod model;
pub(crate) mod protobuf;
mod reader;
mod tensor;
mod value;
mod value_info;

pub(crate) use self::element_type::ElementType;
pub(crate) use self::graph::AttributeValue;
pub(crate) use self::inference::{Inference, NodeInContext, Observer};
pub(crate) use self::input_limits::{InputLimits, LIMITS};
pub(crate) use self::interval::Interval;
pub(crate) use self::model::Model;
pub(crate) use self::reader::UnreadableGraph;
pub(crate) use self::tensor::ExternalFiles;
pub(crate) use self::value::Value;

#[cfg(test)]
mod tests;
