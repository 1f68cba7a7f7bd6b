//! Forms of operators that rten computes wrongly, each in a minimal model.
//!
//! The expected numbers are those of ONNX Runtime 1.32.

use serde_json::{Value, json};

use clarity_testbed::onnx::{
    DataType, NodeProto, TensorProto, ValueInfoProto, model_with_weights, node, value,
};
use clarity_testbed::*;
use rten_onnx::onnx::{AttributeProto, AttributeType, ModelProto};
use rten_onnx::protobuf::{DecodeMessage, ValueReader};

pub(crate) fn integers(name: &str, datatype: DataType, dims: &[i64], data: &[i32]) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(datatype),
        int32_data: data.to_vec(),
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

pub(crate) fn floats(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(DataType::FLOAT),
        float_data: data.to_vec(),
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

fn position(at: i64) -> TensorProto {
    TensorProto {
        data_type: Some(DataType::INT64),
        int64_data: vec![at],
        name: Some("position".to_owned()),
        ..Default::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(kind),
        ..Default::default()
    }
}

pub(crate) fn with_integer(mut node: NodeProto, name: &str, value: i64) -> NodeProto {
    let mut attribute = attribute(name, AttributeType::INT);
    attribute.i = Some(value);
    node.attribute.push(attribute);
    node
}

pub(crate) fn with_integers(mut node: NodeProto, name: &str, values: &[i64]) -> NodeProto {
    let mut attribute = attribute(name, AttributeType::INTS);
    attribute.ints = values.to_vec();
    node.attribute.push(attribute);
    node
}

pub(crate) fn with_text(mut node: NodeProto, name: &str, text: &str) -> NodeProto {
    let mut attribute = attribute(name, AttributeType::STRING);
    attribute.s = Some(text.to_owned());
    node.attribute.push(attribute);
    node
}

/// Replaces the version of the standard's operators.
fn at_version(model: &[u8], version: i64) -> Vec<u8> {
    let mut model = ModelProto::decode(ValueReader::from_buf(model)).unwrap();
    model.opset_import[0].version = Some(version);
    model.write_buf().unwrap()
}

pub(crate) fn x(datatype: DataType, shape: &[i64]) -> ValueInfoProto {
    value("x", datatype, shape)
}

pub(crate) fn y(datatype: DataType, shape: &[i64]) -> ValueInfoProto {
    value("y", datatype, shape)
}

pub(crate) fn input(datatype: &str, shape: &[usize], data: Value) -> Value {
    json!({ "name": "x", "datatype": datatype, "shape": shape, "data": data })
}

/// The data of the first output.
pub(crate) async fn answer(bytes: &[u8], inputs: &[Value]) -> Value {
    answers(bytes, inputs).await.swap_remove(0)
}

/// The data of each output.
pub(crate) async fn answers(bytes: &[u8], inputs: &[Value]) -> Vec<Value> {
    let models = Repository::temporary();
    models.publish("m", bytes);
    let (server, client) = serve(&models).await;
    let status = server.models().status("m").unwrap();
    assert!(status.serving.is_some(), "{status:?}");
    let request = json!({ "inputs": inputs });
    let answer = client.post("/v2/models/m/infer", &request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let outputs = answer["outputs"].as_array().unwrap().iter();
    outputs.map(|output| output["data"].clone()).collect()
}

#[track_caller]
pub(crate) fn assert_close(answer: &Value, expected: &[f64]) {
    let numbers = answer.as_array().unwrap().iter();
    let numbers: Vec<_> = numbers.map(|number| number.as_f64().unwrap()).collect();
    let is_close = |(number, expected): (&f64, &f64)| (number - expected).abs() < 1e-5;
    let is_same_length = numbers.len() == expected.len();
    let is_close = numbers.iter().zip(expected).all(is_close);
    assert!(is_same_length && is_close, "{numbers:?}, {expected:?}");
}

#[tokio::test]
async fn first_of_equal_elements_is_the_extreme_one() {
    let _clock = ManualClock::start();
    let of = |operator, attribute: Option<&str>, shape: &[i64]| {
        let node = with_integer(node(operator, &["x"], "y"), "axis", 1);
        let value = (attribute == Some("select_last_index")).into();
        let node = attribute.map_or(node.clone(), |name| with_integer(node, name, value));
        model_with_weights(
            vec![x(DataType::FLOAT, &[1, 4])],
            vec![node],
            vec![y(DataType::INT64, shape)],
            Vec::new(),
        )
    };
    let greatest = [input("FP32", &[1, 4], json!([1.0, 3.0, 3.0, 2.0]))];
    let least = [input("FP32", &[1, 4], json!([1.0, 3.0, 1.0, 2.0]))];
    assert_eq!(
        answer(&of("ArgMax", None, &[1, 1]), &greatest).await,
        json!([1])
    );
    assert_eq!(
        answer(&of("ArgMin", None, &[1, 1]), &least).await,
        json!([0])
    );
    let dropped = of("ArgMax", Some("keepdims"), &[1]);
    assert_eq!(answer(&dropped, &greatest).await, json!([1]));
    assert_eq!(
        answer(&at_version(&dropped, 7), &greatest).await,
        json!([1])
    );
    let last = of("ArgMax", Some("select_last_index"), &[1, 1]);
    assert_eq!(answer(&last, &greatest).await, json!([2]));
}

#[tokio::test]
async fn every_number_but_zero_is_true() {
    let _clock = ManualClock::start();
    let bool = i64::from(DataType::BOOL.0);
    let of = |datatype, shape| {
        model_with_weights(
            vec![x(datatype, shape)],
            vec![with_integer(node("Cast", &["x"], "y"), "to", bool)],
            vec![y(DataType::BOOL, shape)],
            Vec::new(),
        )
    };
    let numbers = [input("FP32", &[4], json!([0.0, 0.25, -3.0, -0.0]))];
    let floats = answer(&of(DataType::FLOAT, &[4]), &numbers).await;
    assert_eq!(floats, json!([false, true, true, false]));
    // The output is no number again: a mask is multiplied by other numbers.
    let int = i64::from(DataType::INT64.0);
    let counted = model_with_weights(
        vec![x(DataType::INT64, &[3])],
        vec![
            with_integer(node("Cast", &["x"], "mask"), "to", bool),
            with_integer(node("Cast", &["mask"], "y"), "to", int),
        ],
        vec![y(DataType::INT64, &[3])],
        Vec::new(),
    );
    let numbers = [input("INT64", &[3], json!([0, 7, -1]))];
    assert_eq!(answer(&counted, &numbers).await, json!([0, 1, 1]));
}

#[tokio::test]
async fn sign_of_zero_is_zero() {
    let _clock = ManualClock::start();
    let bytes = model_with_weights(
        vec![x(DataType::FLOAT, &[4])],
        vec![node("Sign", &["x"], "y")],
        vec![y(DataType::FLOAT, &[4])],
        Vec::new(),
    );
    let numbers = [input("FP32", &[4], json!([0.0, -0.0, 2.5, -3.0]))];
    assert_close(&answer(&bytes, &numbers).await, &[0.0, 0.0, 1.0, -1.0]);
}

#[tokio::test]
async fn old_softmax_flattens_to_two_dimensions() {
    let _clock = ManualClock::start();
    let of = |operator, axis| {
        let node = with_integer(node(operator, &["x"], "y"), "axis", axis);
        model_with_weights(
            vec![x(DataType::FLOAT, &[1, 2, 2])],
            vec![node],
            vec![y(DataType::FLOAT, &[1, 2, 2])],
            Vec::new(),
        )
    };
    let numbers = [input("FP32", &[1, 2, 2], json!([0.0, 1.0, 2.0, 3.0]))];
    let softmax = at_version(&of("Softmax", 1), 11);
    let expected = [0.032_058_6, 0.087_144_3, 0.236_882_8, 0.643_914_3];
    assert_close(&answer(&softmax, &numbers).await, &expected);
    let logarithms = at_version(&of("LogSoftmax", 1), 11);
    let expected = [-3.440_189_6, -2.440_189_6, -1.440_189_7, -0.440_189_7];
    assert_close(&answer(&logarithms, &numbers).await, &expected);
    let last = at_version(&of("Softmax", 2), 11);
    let expected = [0.268_941_4, 0.731_058_6, 0.268_941_4, 0.731_058_6];
    assert_close(&answer(&last, &numbers).await, &expected);
    let new = of("Softmax", 1);
    let expected = [0.119_202_9, 0.119_202_9, 0.880_797_1, 0.880_797_1];
    assert_close(&answer(&new, &numbers).await, &expected);
}

#[tokio::test]
async fn larger_half_of_lower_padding_is_at_the_beginning() {
    let _clock = ManualClock::start();
    let of = |operator, inputs: &[&str], size, stride, shape| {
        let node = with_text(node(operator, inputs, "y"), "auto_pad", "SAME_LOWER");
        let node = with_integers(node, "kernel_shape", &[size]);
        model_with_weights(
            vec![x(DataType::FLOAT, shape)],
            vec![with_integers(node, "strides", &[stride])],
            vec![y(DataType::FLOAT, &[1, 1, -1])],
            vec![floats("w", &[1, 1, 3], &[1.0, 10.0, 100.0])],
        )
    };
    let numbers = [input("FP32", &[1, 1, 4], json!([1.0, 2.0, 3.0, 4.0]))];
    for shape in [&[1, 1, 4], &[1, 1, -1]] {
        let convolution = of("Conv", &["x", "w"], 3, 2, shape);
        assert_eq!(answer(&convolution, &numbers).await, json!([210.0, 432.0]));
    }
    let greatest = of("MaxPool", &["x"], 3, 2, &[1, 1, 4]);
    assert_eq!(answer(&greatest, &numbers).await, json!([2.0, 4.0]));
    let average = of("AveragePool", &["x"], 2, 1, &[1, 1, -1]);
    assert_eq!(
        answer(&average, &numbers).await,
        json!([1.0, 1.5, 2.5, 3.5])
    );
}

#[tokio::test]
async fn negative_position_counts_before_the_insertion() {
    let _clock = ManualClock::start();
    for (at, expected) in [
        (-1, json!([1.0, 9.0, 2.0])),
        (-2, json!([9.0, 1.0, 2.0])),
        (1, json!([1.0, 9.0, 2.0])),
    ] {
        let bytes = model_with_weights(
            vec![x(DataType::FLOAT, &[1])],
            vec![
                node("SequenceConstruct", &["one", "two"], "sequence"),
                node("SequenceInsert", &["sequence", "x", "position"], "longer"),
                with_integer(node("ConcatFromSequence", &["longer"], "y"), "axis", 0),
            ],
            vec![y(DataType::FLOAT, &[3])],
            vec![
                floats("one", &[1], &[1.0]),
                floats("two", &[1], &[2.0]),
                position(at),
            ],
        );
        let numbers = [input("FP32", &[1], json!([9.0]))];
        assert_eq!(answer(&bytes, &numbers).await, expected, "{at}");
    }
}

#[tokio::test]
async fn lower_padding_of_a_transposed_convolution() {
    let _clock = ManualClock::start();
    let node = with_text(
        node("ConvTranspose", &["x", "w"], "y"),
        "auto_pad",
        "SAME_LOWER",
    );
    let bytes = model_with_weights(
        vec![x(DataType::FLOAT, &[1, 1, 3])],
        vec![with_integers(node, "kernel_shape", &[2])],
        vec![y(DataType::FLOAT, &[1, 1, 3])],
        vec![floats("w", &[1, 1, 2], &[1.0, 10.0])],
    );
    let numbers = [input("FP32", &[1, 1, 3], json!([1.0, 2.0, 3.0]))];
    assert_eq!(answer(&bytes, &numbers).await, json!([12.0, 23.0, 30.0]));
}

#[tokio::test]
async fn softplus_of_a_large_number_is_the_number() {
    let _clock = ManualClock::start();
    let bytes = model_with_weights(
        vec![x(DataType::FLOAT, &[4])],
        vec![node("Softplus", &["x"], "y")],
        vec![y(DataType::FLOAT, &[4])],
        Vec::new(),
    );
    let numbers = [input("FP32", &[4], json!([0.0, 19.0, 100.0, -100.0]))];
    let expected = [std::f64::consts::LN_2, 19.0, 100.0, 0.0];
    assert_close(&answer(&bytes, &numbers).await, &expected);
}
