//! Forms that rten refuses at run, or panics on.

use super::*;

fn floats(name: &str, shape: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        dims: shape.to_vec(),
        data_type: Some(DataType::FLOAT),
        float_data: data.to_vec(),
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

#[track_caller]
fn assert_refused(inputs: &[ValueInfoProto], node: NodeProto, weights: Vec<TensorProto>, by: &str) {
    let refused = refusal(inputs, vec![node], weights);
    assert!(refused.contains(by), "{by}: {refused}");
    assert_eq!(refused.is_empty(), by.is_empty(), "{refused}");
}

/// rten has windows of one or two axes.
#[test]
fn windows_of_three_axes_are_refused() {
    for operator in ["Conv", "ConvTranspose"] {
        for (axes, by) in [(1, ""), (2, ""), (3, "rank 1 in 3 4")] {
            let mut shape = vec![1, 1];
            shape.extend(vec![2; axes]);
            let kernel = floats("w", &shape, &vec![1.0; 1 << axes]);
            let x = value("x", DataType::FLOAT, &shape);
            assert_refused(&[x], node(operator, &["x", "w"], "y"), vec![kernel], by);
        }
    }
    for operator in ["MaxPool", "AveragePool"] {
        for (axes, by) in [(1, ""), (2, ""), (3, "rule few_axes")] {
            let mut shape = vec![1, 1];
            shape.extend(vec![4; axes]);
            let kernel = vec![2; axes];
            let pool = with(
                node(operator, &["x"], "y"),
                "kernel_shape",
                integers(&kernel),
            );
            assert_refused(&[value("x", DataType::FLOAT, &shape)], pool, Vec::new(), by);
        }
    }
}

/// rten expects a vector of axes.
#[test]
fn scalar_of_axes_is_refused() {
    for operator in ["Squeeze", "Unsqueeze"] {
        for (dims, by) in [(vec![1], ""), (Vec::new(), "rank 1 in 1")] {
            let axes = TensorProto {
                dims,
                data_type: Some(DataType::INT64),
                int64_data: vec![0],
                name: Some("axes".to_owned()),
                ..Default::default()
            };
            let x = value("x", DataType::FLOAT, &[1, 2]);
            assert_refused(&[x], node(operator, &["x", "axes"], "y"), vec![axes], by);
        }
    }
}

/// rten samples images.
#[test]
fn grid_sample_of_a_volume_is_refused() {
    for (axes, by) in [(2, ""), (3, "rank 0 in 4")] {
        let shape = |last| [vec![1; 1], last].concat();
        let x = value("x", DataType::FLOAT, &shape(vec![2; axes + 1]));
        let places = [vec![2; axes], vec![i64::try_from(axes).unwrap()]].concat();
        let grid = value("grid", DataType::FLOAT, &shape(places));
        let sample = with(
            node("GridSample", &["x", "grid"], "y"),
            "mode",
            text("bilinear"),
        );
        assert_refused(&[x, grid], sample, Vec::new(), by);
    }
}

/// rten keeps a dimension of the vector after a batch of matrices.
#[test]
fn batch_of_matrices_times_a_vector_is_refused() {
    for (one, two, by) in [
        (&[2, 3, 4][..], &[4][..], "rule vector_product"),
        (&[3, 4], &[4], ""),
        (&[4], &[2, 4, 3], ""),
        (&[2, 3, 4], &[4, 1], ""),
    ] {
        let inputs = [
            value("x", DataType::FLOAT, one),
            value("v", DataType::FLOAT, two),
        ];
        let product = node("MatMul", &["x", "v"], "y");
        assert_refused(&inputs, product, Vec::new(), by);
    }
}

/// rten takes a zero point of shape [1] for the row of one row only.
#[test]
fn zero_point_of_one_element_for_several_rows_is_refused() {
    let inputs = [
        value("x", DataType::UINT8, &[4, 3]),
        value("w", DataType::UINT8, &[3, 2]),
        value("zero", DataType::UINT8, &[1]),
    ];
    let product = node("MatMulInteger", &["x", "w", "zero"], "y");
    assert_refused(&inputs, product, Vec::new(), "rule single_zero_points");
    // The rewriting of the columns' zero points has no such form, either.
    let product = node("MatMulInteger", &["x", "w", "zero", "zero"], "y");
    assert_refused(&inputs, product, Vec::new(), "rule single_zero_points");
}

/// rten reads past the end of the shape when it loads the model.
#[test]
fn expand_to_fewer_dimensions_is_refused() {
    for (length, by) in [(1, "rule long_shape"), (3, ""), (4, "")] {
        let inputs = [
            value("x", DataType::FLOAT, &[2, 1, 4]),
            value("shape", DataType::INT64, &[length]),
        ];
        let expand = node("Expand", &["x", "shape"], "y");
        assert_refused(&inputs, expand, Vec::new(), by);
    }
}

#[test]
fn normalization_of_an_empty_tensor_is_refused() {
    let parameter = |name| floats(name, &[3], &[1.0; 3]);
    let weights = || vec![parameter("a"), parameter("b"), parameter("c")];
    for (batch, by) in [(0, "rule not_empty"), (1, "")] {
        let count = usize::try_from(batch * 6).unwrap();
        let weights = || {
            [
                weights(),
                vec![floats("x", &[batch, 3, 2], &vec![1.0; count])],
            ]
            .concat()
        };
        let x = [];
        let instance = node("InstanceNormalization", &["x", "a", "b"], "y");
        assert_refused(&x, instance, weights(), by);
        let batch = node("BatchNormalization", &["x", "a", "b", "c", "c"], "y");
        assert_refused(&x, batch, weights(), by);
    }
}

/// Packs a matrix without rows into panels of no bytes.
#[test]
fn product_with_an_empty_matrix_is_refused() {
    for (inner, by) in [(0, "rule not_empty"), (2, "")] {
        let count = usize::try_from(inner * 3).unwrap();
        let b = floats("b", &[inner, 3], &vec![1.0; count]);
        let x = [value("x", DataType::FLOAT, &[4, inner])];
        assert_refused(&x, node("MatMul", &["x", "b"], "y"), vec![b], by);
    }
}

/// The smallest of no INT64 does not fit into 32 bits.
#[test]
fn extremum_of_an_empty_axis_of_int64_is_refused() {
    for (datatype, size, by) in [
        (DataType::INT64, 0, "rule no_empty_integers"),
        (DataType::INT64, 2, ""),
        (DataType::FLOAT, 0, ""),
    ] {
        for operator in ["ReduceMin", "ReduceMax"] {
            let x = TensorProto {
                dims: vec![3, size],
                data_type: Some(datatype),
                int64_data: match datatype {
                    DataType::INT64 => vec![1; 3 * usize::try_from(size).unwrap()],
                    _ => Vec::new(),
                },
                name: Some("x".to_owned()),
                ..Default::default()
            };
            assert_refused(&[], node(operator, &["x"], "y"), vec![x], by);
        }
    }
}

/// The corners of the standard lie at the product of the size and the scale: 2.4 for 4 and 0.6.
#[test]
fn resize_to_a_rounded_size_with_aligned_corners_is_refused() {
    for (scale, by) in [(0.6, "rule whole_sizes"), (0.5, ""), (2.0, ""), (1.5, "")] {
        let resize = with(
            node("Resize", &["x", "", "scales"], "y"),
            "mode",
            text("linear"),
        );
        let resize = with(
            resize,
            "coordinate_transformation_mode",
            text("align_corners"),
        );
        let x = value("x", DataType::FLOAT, &[1, 1, 4, 4]);
        let scales = floats("scales", &[4], &[1.0, 1.0, scale, scale]);
        assert_refused(&[x], resize, vec![scales], by);
    }
}

/// The size 3 stays 3 by a scale of 1.25, and the places of the elements do not.
#[test]
fn resize_that_keeps_the_size_of_an_axis_is_refused() {
    for (size, scale, by) in [
        (3, 1.25, "rule resized_axes"),
        (4, 1.25, ""),
        (clarity_testbed::onnx::OPEN, 1.25, "rule resized_axes"),
        (clarity_testbed::onnx::OPEN, 2.0, ""),
        (clarity_testbed::onnx::OPEN, 1.0, ""),
        (clarity_testbed::onnx::OPEN, 0.75, ""),
    ] {
        let x = value("x", DataType::FLOAT, &[1, 1, size, size]);
        let scales = floats("scales", &[4], &[1.0, 1.0, scale, scale]);
        let resize = node("Resize", &["x", "", "scales"], "y");
        let resize = with(resize, "mode", text("linear"));
        assert_refused(&[x], resize, vec![scales], by);
    }
    let inputs = [
        value("x", DataType::FLOAT, &[1, 1, 4, 4]),
        value("scales", DataType::FLOAT, &[4]),
    ];
    let resize = node("Resize", &["x", "", "scales"], "y");
    let resize = with(resize, "mode", text("linear"));
    assert_refused(&inputs, resize, Vec::new(), "rule resized_axes");
}

/// Of 12 elements, ONNX Runtime begins a window of 1 with a stride of 4 at the second one.
#[test]
fn window_that_leaves_a_gap_is_refused() {
    for (size, stride, by) in [(1, 4, "rule covering_windows"), (1, 2, ""), (3, 4, "")] {
        for padding in ["SAME_UPPER", "SAME_LOWER"] {
            let count = usize::try_from(size).unwrap();
            let weights = floats("w", &[1, 1, size], &vec![1.0; count]);
            let x = || vec![value("x", DataType::FLOAT, &[1, 1, 12])];
            for (operator, inputs) in [("Conv", &["x", "w"][..]), ("AveragePool", &["x"])] {
                let node = with(node(operator, inputs, "y"), "auto_pad", text(padding));
                let node = with(node, "kernel_shape", integers(&[size]));
                let node = with(node, "strides", integers(&[stride]));
                // A lower padding that is not replaced has no claim.
                let by = match (by.is_empty(), padding) {
                    (false, "SAME_LOWER") => "auto_pad in",
                    _ => by,
                };
                assert_refused(&x(), node, vec![weights.clone()], by);
            }
        }
    }
}

/// rten's optimiser adds a vector to a product of matrices in one node, for each column.
#[test]
fn bias_of_another_size_turns_the_optimiser_off() {
    let misleads = |size: i64| {
        let count = usize::try_from(size).unwrap();
        let weights = vec![
            floats("w", &[3, 2], &[1.0; 6]),
            floats("bias", &[size], &vec![1.0; count]),
        ];
        let nodes = vec![
            node("MatMul", &["x", "w"], "product"),
            node("Identity", &["product"], "same"),
            node("Add", &["bias", "same"], "y"),
        ];
        let inputs = vec![value("x", DataType::FLOAT, &[2, 3])];
        let output = value("y", DataType::FLOAT, &[2, 2]);
        let model = model_with_weights(inputs, nodes, vec![output], weights);
        let covered = Claims::rten().check_bytes(&model, &|_| None, &|_| false);
        covered.unwrap().unwrap().misleads_optimizer
    };
    assert!(misleads(1));
    assert!(!misleads(2));
}
