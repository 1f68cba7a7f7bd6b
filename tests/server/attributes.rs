//! Models that omit attributes with a default, and dimensions without a name.

use serde_json::{Value, json};

use clarity_testbed::onnx::{
    DataType, NodeProto, TensorProto, ValueInfoProto, model_with_weights, node, value,
};
use clarity_testbed::*;
use rten_onnx::onnx::{AttributeProto, AttributeType};

fn weights(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(DataType::FLOAT),
        float_data: data.to_vec(),
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

fn with(mut node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.to_owned()),
        ints: ints.to_vec(),
        r#type: Some(AttributeType::INTS),
        ..Default::default()
    });
    node
}

fn float(name: &str, shape: &[i64]) -> ValueInfoProto {
    value(name, DataType::FLOAT, shape)
}

fn input(name: &str, shape: &[usize], data: &[f32]) -> Value {
    json!({ "name": name, "datatype": "FP32", "shape": shape, "data": data })
}

async fn answer(bytes: &[u8], inputs: &[Value]) -> Value {
    let models = Repository::temporary();
    models.publish("m", bytes);
    let (server, client) = serve(&models).await;
    let status = server.models().status("m").unwrap();
    assert!(status.serving.is_some(), "{status:?}");
    let request = json!({ "inputs": inputs });
    let answer = client.post("/v2/models/m/infer", &request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["outputs"][0]["data"].clone()
}

/// Convolutions need no attribute at all: the shape of the kernel is the shape of the weights.
#[tokio::test]
async fn convolution_without_attributes_has_the_defaults() {
    let _clock = ManualClock::start();
    let numbers = [1.0, 2.0, 3.0, 4.0];
    let of = |operator, more: &[(&str, &[i64])]| {
        let node = node(operator, &["x", "w"], "y");
        let node = more
            .iter()
            .fold(node, |node, (name, ints)| with(node, name, ints));
        model_with_weights(
            vec![float("x", &[1, 1, 4])],
            vec![node],
            vec![float("y", &[1, 1, -1])],
            vec![weights("w", &[1, 1, 2], &[1.0, 10.0])],
        )
    };
    let inputs = [input("x", &[1, 1, 4], &numbers)];
    let plain = answer(&of("Conv", &[]), &inputs).await;
    assert_eq!(plain, json!([21.0, 32.0, 43.0]));
    let strided = answer(&of("Conv", &[("strides", &[2])]), &inputs).await;
    assert_eq!(strided, json!([21.0, 43.0]));
    let padded = answer(&of("Conv", &[("pads", &[1, 0])]), &inputs).await;
    assert_eq!(padded, json!([10.0, 21.0, 32.0, 43.0]));
    let dilated = answer(&of("Conv", &[("dilations", &[3])]), &inputs).await;
    assert_eq!(dilated, json!([41.0]));
    let transposed = answer(&of("ConvTranspose", &[]), &inputs).await;
    assert_eq!(transposed, json!([1.0, 12.0, 23.0, 34.0, 40.0]));
}

#[tokio::test]
async fn convolution_with_computed_weights_has_the_defaults() {
    let _clock = ManualClock::start();
    let bytes = model_with_weights(
        vec![float("x", &[1, 1, 2, 2])],
        vec![
            node("Identity", &["w"], "v"),
            node("Conv", &["x", "v"], "y"),
        ],
        vec![float("y", &[1, 1, 2, 2])],
        vec![weights("w", &[1, 1, 1, 1], &[3.0])],
    );
    let inputs = [input("x", &[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0])];
    assert_eq!(answer(&bytes, &inputs).await, json!([3.0, 6.0, 9.0, 12.0]));
}

#[tokio::test]
async fn pooling_without_strides_has_strides_of_one() {
    let _clock = ManualClock::start();
    let pool = with(node("MaxPool", &["x"], "y"), "kernel_shape", &[2]);
    let bytes = model_with_weights(
        vec![float("x", &[1, 1, 4])],
        vec![pool],
        vec![float("y", &[1, 1, 3])],
        Vec::new(),
    );
    let inputs = [input("x", &[1, 1, 4], &[1.0, 5.0, 2.0, 3.0])];
    assert_eq!(answer(&bytes, &inputs).await, json!([5.0, 5.0, 3.0]));
}

/// Replaces the names of the dimensions.
fn rename(mut value: ValueInfoProto, name: &str) -> ValueInfoProto {
    let tensor = value.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
    for dimension in &mut tensor.shape.as_mut().unwrap().dim {
        dimension.dim_param = Some(name.to_owned());
        dimension.dim_value = None;
    }
    value
}

/// Each of these dimensions has its own size. Two dimensions with a real name have the same size.
#[tokio::test]
async fn nameless_dimensions_are_each_their_own() {
    let _clock = ManualClock::start();
    let mut concat = node("Concat", &["a", "b"], "y");
    concat.attribute.push(AttributeProto {
        name: Some("axis".to_owned()),
        i: Some(0),
        r#type: Some(AttributeType::INT),
        ..Default::default()
    });
    let models = Repository::temporary();
    let names = ["?", "", "-1", "None", "unk", "*", "n"];
    for (at, name) in names.iter().enumerate() {
        let value = |tensor| rename(float(tensor, &[-1]), name);
        let bytes = model_with_weights(
            vec![value("a"), value("b")],
            vec![concat.clone()],
            vec![value("y")],
            Vec::new(),
        );
        models.publish(&format!("m{at}"), &bytes);
    }
    let (_server, client) = serve(&models).await;
    let inputs = [input("a", &[1], &[1.0]), input("b", &[2], &[2.0, 3.0])];
    for (at, name) in names.iter().enumerate() {
        let path = format!("/v2/models/m{at}/infer");
        let answer = client
            .post(&path, &json!({ "inputs": inputs }))
            .await
            .unwrap();
        match *name {
            "n" => answer.assert_problem(400, "invalid_request"),
            name => assert_eq!(
                answer.json()["outputs"][0]["data"],
                json!([1.0, 2.0, 3.0]),
                "{name:?}"
            ),
        }
    }
}
