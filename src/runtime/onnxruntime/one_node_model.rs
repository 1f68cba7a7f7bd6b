//! Models of one node, for the server's own use.

use crate::onnx::protobuf::{VARINT, write_bytes, write_tag, write_varint};

/// The numbers of datatypes in onnx.proto.
pub(super) const UINT8: u64 = 2;
pub(super) const BOOL: u64 = 9;

/// The version of the file format, and of the operators. Old ones: each library knows them.
const IR_VERSION: u64 = 7;
const OPSET: u64 = 13;
/// The value of `AttributeProto.type` for an integer.
const INTEGER: u64 = 2;

/// The bytes of a model that converts a tensor `x` of any shape into a tensor `y`.
pub(super) fn cast(from: u64, to: u64) -> Vec<u8> {
    let datatype = MessageWriter::default()
        .text(1, "to")
        .number(3, to)
        .number(20, INTEGER);
    let node = MessageWriter::default()
        .text(1, "x")
        .text(2, "y")
        .text(4, "Cast")
        .message(5, &datatype);
    let tensor = |name, datatype| {
        let tensor = MessageWriter::default().number(1, datatype);
        let tensor = MessageWriter::default().message(1, &tensor);
        MessageWriter::default().text(1, name).message(2, &tensor)
    };
    let graph = MessageWriter::default()
        .message(1, &node)
        .text(2, "cast")
        .message(11, &tensor("x", from))
        .message(12, &tensor("y", to));
    let model = MessageWriter::default()
        .number(1, IR_VERSION)
        .message(7, &graph);
    model
        .message(8, &MessageWriter::default().number(2, OPSET))
        .0
}

/// A message of protobuf; the numbers of its fields come from onnx.proto.
#[derive(Default)]
struct MessageWriter(Vec<u8>);

impl MessageWriter {
    fn number(mut self, field: u64, value: u64) -> Self {
        write_tag(&mut self.0, field, VARINT);
        write_varint(&mut self.0, value);
        self
    }

    fn text(mut self, field: u64, text: &str) -> Self {
        write_bytes(&mut self.0, field, text.as_bytes());
        self
    }

    fn message(mut self, field: u64, message: &Self) -> Self {
        write_bytes(&mut self.0, field, &message.0);
        self
    }
}
