//! Models that the runtime is not known to compute rightly.

use clarity::RuntimeError;
use clarity_testbed::onnx::{DataType, TensorProto, model, model_with_weights, node, value};
use clarity_testbed::*;

/// rten rounds ties otherwise in `DynamicQuantizeLinear`, and does not know `Hardmax`.
#[test]
fn model_with_a_node_without_claim_is_refused() {
    let x = value("x", DataType::FLOAT, &[2, 3]);
    let y = value("y", DataType::FLOAT, &[2, 3]);
    let nodes = vec![
        node("DynamicQuantizeLinear", &["x"], "n"),
        node("Hardmax", &["x"], "y"),
    ];
    let models = Repository::temporary();
    models.publish("m", &model(vec![x], nodes, vec![y]));
    let opened = models
        .store
        .open(&"m".parse().unwrap(), version(1))
        .unwrap();
    let refused = clarity::try_version(&clarity::RtenRuntime::new(), opened);
    let error = refused.err().unwrap();
    assert!(
        matches!(&error, RuntimeError::Unclaimed { refused, .. }
        if refused.node == "n" && refused.operator == "DynamicQuantizeLinear"),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("and 1 other node(s): Hardmax 1"), "{text}");
}

/// The advice to add ONNX Runtime stands only where there is one runtime.
#[test]
fn refusal_of_two_runtimes_names_no_third() {
    let tensor = |name| value(name, DataType::FLOAT, &[2, 3]);
    let nodes = vec![node("Hardmax", &["x"], "y")];
    let models = Repository::temporary();
    models.publish("m", &model(vec![tensor("x")], nodes, vec![tensor("y")]));
    let refused = |runtime: &dyn clarity::Runtime| {
        let opened = models.store.open(&"m".parse().unwrap(), version(1));
        let refused = clarity::try_version(runtime, opened.unwrap());
        refused.err().unwrap().to_string()
    };
    let rten = clarity::RtenRuntime::new();
    let text = refused(&rten);
    assert!(text.contains("`clarity runtime` shows how"), "{text}");
    let other = FakeRuntime::new("other")
        .refusing(|| RuntimeError::Unloadable("no operator Hardmax".to_owned()));
    let both = clarity::AutoRuntime::new(std::sync::Arc::new(rten), std::sync::Arc::new(other));
    let text = refused(&both);
    assert!(text.contains("no claim"), "{text}");
    assert!(!text.contains("clarity runtime"), "{text}");
}

/// rten's optimiser makes one node of a product and a sum, which panics for such a sum.
#[test]
fn product_with_a_single_bias_is_computed() {
    let constant = |name: &str, shape: &[i64]| TensorProto {
        dims: shape.to_vec(),
        data_type: Some(DataType::FLOAT),
        float_data: vec![1.0; shape.iter().product::<i64>() as usize],
        name: Some(name.to_owned()),
        ..TensorProto::default()
    };
    let nodes = vec![
        node("MatMul", &["x", "w"], "product"),
        node("Add", &["product", "bias"], "y"),
    ];
    let bytes = model_with_weights(
        vec![value("x", DataType::FLOAT, &[2, 3])],
        nodes,
        vec![value("y", DataType::FLOAT, &[2, 2])],
        vec![constant("w", &[3, 2]), constant("bias", &[1])],
    );
    let models = Repository::temporary();
    models.publish("m", &bytes);
    let opened = models
        .store
        .open(&"m".parse().unwrap(), version(1))
        .unwrap();
    let session = clarity::try_version(&clarity::RtenRuntime::new(), opened).unwrap();
    let input = clarity::Tensor::new(vec![2, 3], clarity::TensorData::Fp32(vec![1.0; 6]));
    let outputs = session.run(vec![input.unwrap()]).unwrap();
    assert_eq!(*outputs[0].data(), clarity::TensorData::Fp32(vec![4.0; 4]));
}
