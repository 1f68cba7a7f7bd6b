//! Writes ONNX models of any size. Each model multiplies a vector by one matrix.
//!
//! The code encodes the [protocol buffers](https://protobuf.dev/programming-guides/encoding/) of
//! [the schema](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) by hand. A library would
//! hold the whole model in memory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The schema's code for the type `FLOAT`: 32-bit floating point.
const FLOAT: u64 = 1;

/// The number of rows of the matrix. The input `x` has the same length, and the output is `y`.
pub const ROWS: u64 = 256;

/// Writes a model of about `size` bytes. The matrix has at least one column.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(path: &Path, size: u64) -> io::Result<()> {
    let columns = (size / 4 / ROWS).max(1);
    let bytes = columns * ROWS * 4;
    let mut weights = Vec::new();
    for dimension in [ROWS, columns] {
        number(&mut weights, 1, dimension);
    }
    number(&mut weights, 2, FLOAT);
    field(&mut weights, 8, b"w");
    field_header(&mut weights, 9, bytes);

    let mut node = Vec::new();
    for input in ["x", "w"] {
        field(&mut node, 1, input.as_bytes());
    }
    field(&mut node, 2, b"y");
    field(&mut node, 4, b"MatMul");
    let mut before = Vec::new();
    field(&mut before, 1, &node);
    field(&mut before, 2, b"matrix");
    field(&mut before, 11, &value("x", ROWS));
    field(&mut before, 12, &value("y", columns));
    field_header(&mut before, 5, weights.len() as u64 + bytes);
    before.extend(weights);

    let mut model = Vec::new();
    number(&mut model, 1, 8);
    let mut operators = Vec::new();
    number(&mut operators, 2, 17);
    field(&mut model, 8, &operators);
    field_header(&mut model, 7, before.len() as u64 + bytes);

    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&model)?;
    file.write_all(&before)?;
    // The weights are small, finite numbers. Neighbouring weights in a row differ.
    let mut row = Vec::new();
    for column in 0..columns {
        row.extend_from_slice(&((column % 251) as f32 / 1024.0 - 0.1).to_le_bytes());
    }
    for _ in 0..ROWS {
        file.write_all(&row)?;
    }
    file.flush()
}

/// Encodes the declaration of an input or output, which is a tensor with one row.
fn value(name: &str, columns: u64) -> Vec<u8> {
    let mut shape = Vec::new();
    for size in [1, columns] {
        let mut dimension = Vec::new();
        number(&mut dimension, 1, size);
        field(&mut shape, 1, &dimension);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, 1, FLOAT);
    field(&mut tensor, 2, &shape);
    let mut kind = Vec::new();
    field(&mut kind, 1, &tensor);
    let mut value = Vec::new();
    field(&mut value, 1, name.as_bytes());
    field(&mut value, 2, &kind);
    value
}

/// Appends a field with a number.
fn number(to: &mut Vec<u8>, field: u64, value: u64) {
    varint(to, field << 3);
    varint(to, value);
}

/// Appends a field with bytes.
fn field(to: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    field_header(to, field, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// Appends the tag and the length of a field with `length` bytes.
fn field_header(to: &mut Vec<u8>, field: u64, length: u64) {
    varint(to, field << 3 | 2);
    varint(to, length);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rten::{ModelOptions, Value};
    use rten_tensor::prelude::*;

    #[test]
    fn model_has_the_given_size_and_multiplies_by_its_matrix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        write(&path, 1 << 20).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len().abs_diff(1 << 20) < 1024, "{}", bytes.len());
        let model = ModelOptions::with_all_ops().load(bytes).unwrap();
        let ones = Value::from_shape(vec![1, 256], vec![1.0_f32; 256]).unwrap();
        let inputs = vec![(model.input_ids()[0], ones.into())];
        let outputs = model.run(inputs, model.output_ids(), None).unwrap();
        let Value::FloatTensor(sums) = &outputs[0] else {
            panic!("expected numbers, found {outputs:?}");
        };
        let first = sums.iter().next().copied().unwrap();
        assert!((first - -25.6).abs() < 1e-3, "{first}");
    }
}
