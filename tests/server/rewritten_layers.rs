//! Quantised and recurrent layers that rten computes wrongly, each in a minimal model.
//!
//! The expected numbers are those of ONNX Runtime 1.32.

use serde_json::json;

use super::rewriting::*;
use clarity_testbed::onnx::{DataType, NodeProto, model_with_weights, node, value};
use clarity_testbed::*;

#[tokio::test]
async fn quantization_divides_by_the_scale() {
    let _clock = ManualClock::start();
    let of = |shape: &[i64], scales: &[f32], zeros: &[i32]| {
        let quantize = node("QuantizeLinear", &["x", "scale", "zero"], "y");
        model_with_weights(
            vec![x(DataType::FLOAT, &[1, 4])],
            vec![with_integer(quantize, "axis", 0)],
            vec![y(DataType::UINT8, &[1, 4])],
            vec![
                floats("scale", shape, scales),
                integers("zero", DataType::UINT8, shape, zeros),
            ],
        )
    };
    // These numbers are in the middle of two steps, or slightly off.
    let numbers = json!([-3.750_000_238, -2.25, 2.25, 3.750_000_238]);
    let numbers = [input("FP32", &[1, 4], numbers)];
    for shape in [&[][..], &[1]] {
        let bytes = of(shape, &[0.3], &[100]);
        assert_eq!(answer(&bytes, &numbers).await, json!([88, 93, 107, 112]));
    }
}

#[tokio::test]
async fn quantization_of_each_row_divides_by_its_scale() {
    let _clock = ManualClock::start();
    let quantize = node("QuantizeLinear", &["x", "scale", "zero"], "y");
    let bytes = model_with_weights(
        vec![x(DataType::FLOAT, &[2, 2])],
        vec![with_integer(quantize, "axis", 0)],
        vec![y(DataType::INT8, &[2, 2])],
        vec![
            floats("scale", &[2], &[0.3, 0.7]),
            integers("zero", DataType::INT8, &[2], &[0, 1]),
        ],
    );
    let numbers = json!([2.25, -2.25, 10.849_999_428, 100.0]);
    let numbers = [input("FP32", &[2, 2], numbers)];
    assert_eq!(answer(&bytes, &numbers).await, json!([7, -7, 16, 127]));
}

#[tokio::test]
async fn dynamic_quantization_divides_by_the_scale() {
    let _clock = ManualClock::start();
    let bytes = model_with_weights(
        vec![x(DataType::FLOAT, &[4])],
        vec![NodeProto {
            output: ["y", "scale", "zero"].map(str::to_owned).to_vec(),
            ..node("DynamicQuantizeLinear", &["x"], "y")
        }],
        vec![
            y(DataType::UINT8, &[4]),
            value("scale", DataType::FLOAT, &[]),
            value("zero", DataType::UINT8, &[]),
        ],
        Vec::new(),
    );
    let numbers = [input("FP32", &[4], json!([-1.0, 0.0, 5.0, 9.0]))];
    let [quantized, scale, zero] = answers(&bytes, &numbers).await.try_into().unwrap();
    assert_eq!(quantized, json!([0, 26, 153, 255]));
    assert_close(&scale, &[0.039_215_688]);
    assert_eq!(zero, json!([26]));
    let zeros = [input("FP32", &[4], json!([0.0, 0.0, 0.0, 0.0]))];
    let [quantized, scale, zero] = answers(&bytes, &zeros).await.try_into().unwrap();
    assert_eq!(quantized, json!([0, 0, 0, 0]));
    assert_close(&scale, &[1.0]);
    assert_eq!(zero, json!([0]));
}

#[tokio::test]
async fn recurrent_layer_ends_with_each_sequence() {
    let _clock = ManualClock::start();
    let of = |direction| {
        let layer = node("LSTM", &["x", "w", "r", "", "lengths"], "y");
        let layer = with_text(layer, "direction", direction);
        let layer = NodeProto {
            output: ["y", "last"].map(str::to_owned).to_vec(),
            ..with_integer(layer, "hidden_size", 1)
        };
        model_with_weights(
            vec![
                x(DataType::FLOAT, &[2, 2, 1]),
                value("lengths", DataType::INT32, &[2]),
            ],
            vec![layer],
            vec![
                y(DataType::FLOAT, &[2, 1, 2, 1]),
                value("last", DataType::FLOAT, &[1, 2, 1]),
            ],
            vec![
                floats("w", &[1, 4, 1], &[0.5; 4]),
                floats("r", &[1, 4, 1], &[0.25; 4]),
            ],
        )
    };
    let lengths = json!({ "name": "lengths", "datatype": "INT32", "shape": [2], "data": [2, 1] });
    let numbers = input("FP32", &[2, 2, 1], json!([1.0, 1.0, 2.0, 2.0]));
    let inputs = [numbers, lengths];
    let [forward, last] = answers(&of("forward"), &inputs).await.try_into().unwrap();
    assert_close(&forward, &[0.174_269_7, 0.174_269_7, 0.486_517_5, 0.0]);
    assert_close(&last, &[0.486_517_5, 0.174_269_7]);
    let [reverse, last] = answers(&of("reverse"), &inputs).await.try_into().unwrap();
    assert_close(&reverse, &[0.389_502_0, 0.174_269_7, 0.369_606_4, 0.0]);
    assert_close(&last, &[0.389_502_0, 0.174_269_7]);
}

#[tokio::test]
async fn single_number_keeps_its_dimensions() {
    let _clock = ManualClock::start();
    let bytes = model_with_weights(
        vec![x(DataType::FLOAT, &[2])],
        vec![node("Add", &["x", "zero"], "y")],
        vec![y(DataType::FLOAT, &[1, 2])],
        vec![floats("zero", &[1, 1], &[0.0])],
    );
    // The warm-up checks the number of dimensions.
    let numbers = [input("FP32", &[2], json!([1.0, 2.0]))];
    assert_eq!(answer(&bytes, &numbers).await, json!([1.0, 2.0]));
}

#[tokio::test]
async fn dropout_does_nothing() {
    let _clock = ManualClock::start();
    let bytes = model_with_weights(
        vec![x(DataType::FLOAT, &[2])],
        vec![node("Dropout", &["x"], "y")],
        vec![y(DataType::FLOAT, &[2])],
        Vec::new(),
    );
    let numbers = [input("FP32", &[2], json!([1.0, 2.0]))];
    assert_eq!(answer(&bytes, &numbers).await, json!([1.0, 2.0]));
}
