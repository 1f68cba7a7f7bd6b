use clarity_testbed::onnx::{DataType, TensorProto, model_with_weights, node, value};

use super::*;

/// Keeps the values of all outputs of nodes.
#[derive(Default)]
struct Values(Vec<(String, Value)>);

impl Observer for Values {
    fn node(&mut self, node: &NodeInContext<'_, '_>) {
        for (name, value) in node.node.outputs.iter().zip(&node.outputs) {
            self.0.push(((*name).to_owned(), value.clone()));
        }
    }

    fn output(&mut self, _: &str, _: Option<&Value>) {}
}

impl Values {
    fn of(model: &[u8], limits: InputLimits) -> Self {
        let model = Model::read(model).unwrap();
        let mut values = Self::default();
        Inference::walk(&model, &|_| None, limits, &mut values);
        values
    }

    fn get(&self, name: &str) -> &Value {
        &self.0.iter().find(|(each, _)| each == name).unwrap().1
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: Some(DataType::INT64),
        int64_data: values.to_vec(),
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

/// The product of two sizes of an input, as exporters compute it for a `Reshape`.
fn product_of_sizes() -> Vec<u8> {
    model_with_weights(
        vec![value("x", DataType::FLOAT, &[-1, 3, -1])],
        vec![
            node("Shape", &["x"], "shape"),
            node("Gather", &["shape", "second"], "three"),
            node("Gather", &["shape", "last"], "size"),
            node("Mul", &["three", "size"], "product"),
            node("Concat", &["product", "minus"], "target"),
            node("Reshape", &["x", "target"], "y"),
        ],
        vec![value("y", DataType::FLOAT, &[-1, -1])],
        vec![
            integers("second", &[1]),
            integers("last", &[-1]),
            integers("minus", &[-1]),
        ],
    )
}

#[test]
fn inference_follows_the_sizes_of_an_input() {
    let model = product_of_sizes();
    let values = Values::of(&model, InputLimits::WIDEST);
    assert_eq!(values.get("three").numbers(), Some(vec![3.0]));
    assert!(!values.get("product").fits_32_bits());
    let narrow = InputLimits {
        size: 1000,
        integer: None,
        number: None,
    };
    let values = Values::of(&model, narrow);
    assert_eq!(values.get("product").range(), Interval::new(3.0, 3000.0));
    assert_eq!(values.get("y").rank(), Some(2));
    assert_eq!(values.get("y").element, Some(ElementType::FLOAT));
}

#[test]
fn malformed_models_are_errors() {
    let good = product_of_sizes();
    let check = |bytes: &[u8]| {
        // Neither a panic nor an endless loop.
        if let Ok(model) = Model::read(bytes) {
            let limits = InputLimits::WIDEST;
            Inference::walk(&model, &|_| None, limits, &mut Values::default());
        }
    };
    for length in 0..good.len() {
        check(&good[..length]);
    }
    for place in 0..good.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = good.clone();
            changed[place] = byte;
            check(&changed);
        }
    }
    assert!(Model::read(b"not a model").is_err());
    assert!(Model::read(b"").is_err());
    // Two graphs in one model.
    assert!(Model::read(&[good.clone(), good].concat()).is_err());
}

#[test]
fn nested_graphs_are_read_up_to_a_depth() {
    let nested = |depth: usize| {
        let mut graph = Vec::new();
        for _ in 1..depth {
            let mut attribute = Vec::new();
            protobuf::write_bytes(&mut attribute, 1, b"then_branch");
            protobuf::write_bytes(&mut attribute, 6, &graph);
            let mut node = Vec::new();
            protobuf::write_bytes(&mut node, 4, b"If");
            protobuf::write_bytes(&mut node, 5, &attribute);
            graph.clear();
            protobuf::write_bytes(&mut graph, 1, &node);
        }
        let mut model = Vec::new();
        protobuf::write_bytes(&mut model, 7, &graph);
        model
    };
    assert!(Model::read(&nested(32)).is_ok());
    assert!(Model::read(&nested(33)).is_err());
}

#[test]
fn reshape_of_a_recurrent_layer_keeps_the_steps_and_items() {
    let attribute = |name: &str, set: &dyn Fn(&mut rten_onnx::onnx::AttributeProto)| {
        let mut attribute = rten_onnx::onnx::AttributeProto {
            name: Some(name.to_owned()),
            ..Default::default()
        };
        set(&mut attribute);
        attribute
    };
    let mut layer = node("LSTM", &["x", "w", "r"], "states");
    layer.attribute = vec![
        attribute("hidden_size", &|of| of.i = Some(5)),
        attribute("direction", &|of| of.s = Some("bidirectional".to_owned())),
    ];
    let mut transposed = node("Transpose", &["states"], "items");
    transposed.attribute = vec![attribute("perm", &|of| of.ints = vec![0, 2, 1, 3])];
    let model = model_with_weights(
        vec![value("x", DataType::FLOAT, &[-1, 3, 4])],
        vec![
            layer,
            transposed,
            node("Reshape", &["items", "target"], "y"),
        ],
        vec![value("y", DataType::FLOAT, &[-1, 3, 10])],
        vec![integers("target", &[0, 0, -1])],
    );
    let narrow = InputLimits {
        size: 1000,
        integer: None,
        number: None,
    };
    let values = Values::of(&model, narrow);
    let expected = [
        Interval::new(1.0, 1000.0),
        Interval::of(3.0),
        Interval::of(10.0),
    ];
    assert_eq!(values.get("y").shape.as_deref(), Some(&expected[..]));
}

/// Ranges of FLOAT hold for the numbers of 32 bits that a runtime computes.
#[test]
fn ranges_of_floats_are_rounded_outward() {
    let range = |operator: &str, range: (f32, f32)| {
        let scalar = |name: &str, value: f32| TensorProto {
            data_type: Some(DataType::FLOAT),
            float_data: vec![value],
            name: Some(name.to_owned()),
            ..Default::default()
        };
        let model = model_with_weights(
            vec![value("x", DataType::FLOAT, &[2])],
            vec![
                node("Clip", &["x", "low", "high"], "v"),
                node(operator, &["v"], "y"),
            ],
            vec![value("y", DataType::FLOAT, &[2])],
            vec![scalar("low", range.0), scalar("high", range.1)],
        );
        Values::of(&model, InputLimits::WIDEST).get("y").range()
    };
    assert_eq!(
        range("Exp", (-1000.0, 1000.0)),
        Interval::new(0.0, f64::INFINITY)
    );
    let quotient = range("Reciprocal", (2.0, 4.0));
    assert!(quotient.low < 0.25 && quotient.low > 0.249, "{quotient}");
    assert!(quotient.high > 0.5 && quotient.high < 0.501, "{quotient}");
    assert_eq!(range("Reciprocal", (0.0, 4.0)), Interval::ALL);
    assert_eq!(range("Reciprocal", (-1.0, 4.0)), Interval::ALL);
    assert_eq!(range("Reciprocal", (1.0, f32::INFINITY)).low, 0.0);
    assert_eq!(range("ReduceMean", (3e38, 3e38)).high, f64::INFINITY);
    assert!(range("ReduceSum", (1.0, 2.0)).high >= 4.0);
}
