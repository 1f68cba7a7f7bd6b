//! Models that the runtime is not known to compute rightly.

use clarity::RuntimeError;
use clarity_testbed::onnx::{DataType, model, node, value};
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
    let refused = clarity::try_version(&clarity::OnnxRuntime::new(), opened);
    let error = refused.err().unwrap();
    assert!(
        matches!(&error, RuntimeError::Unclaimed { node, operator, .. }
        if node == "n" && operator == "DynamicQuantizeLinear"),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("and 1 other node(s): Hardmax 1"), "{text}");
}
