use super::*;

fn spec(datatype: DataType, shape: &[Option<usize>]) -> TensorSpec {
    let dimension = |size: &Option<usize>| match size {
        Some(size) => Dimension::Fixed(*size),
        None => Dimension::Dynamic(Some("n".to_owned())),
    };
    TensorSpec::new("x", datatype, Some(shape.iter().map(dimension).collect()))
}

fn parse(spec: &TensorSpec, shape: &str, data: &str) -> Result<Tensor, String> {
    let input = format!(
        r#"{{"name": "x", "datatype": "{}", "shape": {shape}, "data": {data}}}"#,
        spec.datatype
    );
    let input: RequestInput<'_> =
        serde_json::from_str(&input).map_err(|error| error.to_string())?;
    let data = InputData::Json(input.data.ok_or("found none")?);
    parse_tensor(&input, data, spec, &mut DimensionSizes::default())
}

#[test]
fn input_flat_and_nested_data_give_the_same_tensor() {
    let spec = spec(DataType::Int32, &[Some(2), Some(3), Some(1)]);
    let flat = parse(&spec, "[2, 3, 1]", "[1, 2, 3, 4, 5, 6]").unwrap();
    let nested = parse(&spec, "[2, 3, 1]", "[[[1], [2], [3]], [[4], [5], [6]]]").unwrap();
    assert_eq!(flat, nested);
    assert_eq!(flat.data(), &TensorData::Int32(vec![1, 2, 3, 4, 5, 6]));
}

#[test]
fn input_scalar_is_a_list_of_one_element() {
    let spec = spec(DataType::Fp32, &[]);
    assert_eq!(
        parse(&spec, "[]", "[2.5]").unwrap().data(),
        &TensorData::Fp32(vec![2.5])
    );
    assert!(parse(&spec, "[]", "2.5").is_err());
    assert!(parse(&spec, "[]", "[[2.5]]").is_err());
}

#[test]
fn input_data_that_contradicts_its_shape_is_refused() {
    let spec = spec(DataType::Int32, &[Some(2), Some(2)]);
    for (data, says) in [
        ("[1, 2, 3]", "invalid length 3"),
        ("[1, 2, 3, 4, 5]", "found more"),
        ("[]", "invalid length 0"),
        ("[[1, 2], [3]]", "invalid length 1"),
        ("[[1, 2]]", "invalid length 1"),
        ("[[1], [2, 3, 4]]", "invalid length 1"),
        ("[[1, 2], [3, 4], []]", "invalid length"),
        ("[[1, 2], 3, 4]", "invalid type: integer `3`"),
        ("[1, [2, 3], 4]", "invalid type: sequence"),
        ("[[[1, 2], [3, 4]]]", "invalid type: sequence"),
        ("[[], []]", "invalid length 0"),
        ("{}", "invalid type: map"),
        ("null", "found none"),
        ("[1, 2, 3, null]", "invalid type: null"),
        (r#"[1, 2, 3, "4"]"#, "invalid type: string"),
    ] {
        let error = parse(&spec, "[2, 2]", data).expect_err(data);
        assert!(error.contains(says), "{data}: {error}");
    }
}

#[test]
fn input_shape_that_contradicts_the_model_is_refused() {
    let spec = spec(DataType::Fp32, &[None, Some(4)]);
    let sixteen = "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]";
    assert!(parse(&spec, "[4, 4]", sixteen).is_ok());
    for shape in [
        "[16]",
        "[1, 4, 4]",
        "[4, 5]",
        "[-1, 4]",
        "[0, 4]",
        "[4, -4]",
        "[]",
        "[9223372036854775807, 4]",
    ] {
        let error = parse(&spec, shape, sixteen).expect_err(shape);
        assert!(
            error.contains("expected the shape [-1, 4]") || error.contains("too many elements"),
            "{shape}: {error}"
        );
    }
}

#[test]
fn input_large_shape_with_little_data_allocates_little() {
    let spec = spec(DataType::Fp32, &[None]);
    assert!(
        parse(&spec, "[1000000000000]", "[1]")
            .unwrap_err()
            .contains("invalid length 1")
    );
}

#[test]
fn dimension_of_one_name_has_one_size_per_request() {
    let spec = spec(DataType::Int8, &[None, None]);
    assert!(parse(&spec, "[2, 2]", "[1, 2, 3, 4]").is_ok());
    assert!(
        parse(&spec, "[2, 1]", "[1, 2]")
            .unwrap_err()
            .contains("n is 2 elsewhere")
    );
}

/// Each row has a datatype, accepted elements and refused elements. A refused element is out of
/// range or of another type.
#[test]
fn input_element_is_exact_or_refused() {
    let cases: [(DataType, &[&str], &[&str]); 12] = [
        (
            DataType::Bool,
            &["true", "false", "0", "1"],
            &["2", "-1", "0.5", "\"true\"", "\"NaN\"", "null"],
        ),
        (
            DataType::Uint8,
            &["0", "255"],
            &["-1", "256", "1.5", "true", "1.0"],
        ),
        (
            DataType::Int8,
            &["-128", "127"],
            &["-129", "128", "1.5", "true"],
        ),
        (
            DataType::Int32,
            &["-2147483648", "2147483647"],
            &["2147483648", "-2147483649", "1e3", "true"],
        ),
        (
            DataType::Int64,
            &["-9223372036854775808", "9223372036854775807"],
            &[
                "9223372036854775808",
                "-9223372036854775809",
                "1.0",
                "true",
                "\"Infinity\"",
            ],
        ),
        (
            DataType::Fp32,
            &[
                "0",
                "-1",
                "1.5",
                "1e-300",
                "3.4028235e38",
                "18446744073709551615",
                "\"NaN\"",
                "\"Infinity\"",
                "\"-Infinity\"",
            ],
            &[
                "3.5e38", "-1e39", "1e400", "true", "null", "\"nan\"", "\"inf\"", "\"1\"", "NaN",
            ],
        ),
        (
            DataType::Uint16,
            &["0", "65535"],
            &["-1", "65536", "1.0", "true"],
        ),
        (
            DataType::Int16,
            &["-32768", "32767"],
            &["-32769", "32768", "1.0", "true"],
        ),
        (
            DataType::Uint32,
            &["0", "4294967295"],
            &["-1", "4294967296", "1.0", "true"],
        ),
        (
            DataType::Uint64,
            &["0", "9223372036854775808", "18446744073709551615"],
            &["-1", "18446744073709551616", "1.0", "true", "\"1\""],
        ),
        (
            DataType::Fp64,
            &[
                "0",
                "-1",
                "1e-400",
                "1.7976931348623157e308",
                "18446744073709551616",
                "\"NaN\"",
                "\"-Infinity\"",
            ],
            &[
                "1e309", "-1e400", "true", "null", "{}", "\"nan\"", "\"1\"", "NaN",
            ],
        ),
        (
            DataType::Bytes,
            &["\"\"", "\"1\"", "\"NaN\""],
            &[
                "1",
                "-1",
                "0.5",
                "true",
                "null",
                "{}",
                "[\"a\"]",
                "\"\\ud800\"",
            ],
        ),
    ];
    for (datatype, good, bad) in cases {
        let spec = spec(datatype, &[None]);
        for element in good {
            let parsed = parse(&spec, "[1]", &format!("[{element}]"));
            assert!(parsed.is_ok(), "{datatype} {element}: {parsed:?}");
        }
        for element in bad {
            assert!(
                parse(&spec, "[1]", &format!("[{element}]")).is_err(),
                "{datatype} took {element}"
            );
        }
    }
}

#[test]
fn input_of_another_datatype_is_refused() {
    let spec = spec(DataType::Fp32, &[None]);
    let input = r#"{"name": "x", "datatype": "FP64", "shape": [1], "data": [1]}"#;
    let input: RequestInput<'_> = serde_json::from_str(input).unwrap();
    let data = InputData::Json(input.data.unwrap());
    assert_eq!(
        parse_tensor(&input, data, &spec, &mut DimensionSizes::default()).unwrap_err(),
        "expected the datatype FP32, found \"FP64\""
    );
}

#[test]
fn fp32_round_trip_through_json_keeps_all_bits() {
    let spec = spec(DataType::Fp32, &[None]);
    // Tests a sample of all bit patterns. The step is odd, so the lowest bits vary too.
    for bits in (0..u32::MAX).step_by(1_000_003) {
        let value = f32::from_bits(bits);
        if value.is_finite() {
            let written = serde_json::to_string(&[value]).unwrap();
            let read = parse(&spec, "[1]", &written).unwrap();
            let TensorData::Fp32(read) = read.data() else {
                unreachable!()
            };
            assert_eq!(read[0].to_bits(), bits, "{written}");
        }
    }
}

/// Numbers of FP64 are parsed from their digits, so their errors are made elsewhere.
#[test]
fn input_of_fp64_that_contradicts_its_shape_is_refused() {
    let shape = spec(DataType::Fp64, &[Some(2), Some(2)]);
    let good = parse(&shape, "[2, 2]", "[[1, 2.5], [\"NaN\", -0]]").unwrap();
    let TensorData::Fp64(values) = good.data() else {
        unreachable!()
    };
    assert_eq!(values[..2], [1.0, 2.5]);
    assert!(values[2].is_nan() && values[3].is_sign_negative());
    for (data, says) in [
        ("[1, 2, 3]", "invalid length 3"),
        ("[1, 2, 3, 4, 5]", "found more"),
        ("[[1, 2], [3]]", "invalid length 1"),
        ("[[1, 2], 3, 4]", "invalid type: floating point `3.0`"),
        ("[1, [2, 3], 4]", "invalid type: sequence"),
        ("[[[1, 2], [3, 4]]]", "invalid type: sequence"),
        ("[[1, 2], [3, 1e999]]", "a number in the range of FP64"),
        ("[[1, 2], [3, true]]", "invalid value: boolean `true`"),
        (
            "[[1, 2],\n [3, \"4\"]]",
            "flat or nested like the shape [2, 2] at line 2 column 10",
        ),
    ] {
        let error = parse(&shape, "[2, 2]", data).expect_err(data);
        assert!(error.contains(says), "{data}: {error}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&shape, "[2, 2]", &deep).is_err());
}

#[test]
fn input_of_few_texts_with_a_large_shape_allocates_little() {
    let spec = spec(DataType::Bytes, &[None]);
    let error = parse(&spec, "[1000000000000]", "[\"a\"]").unwrap_err();
    assert!(error.contains("invalid length 1"), "{error}");
    let header = r#"{"name": "x", "datatype": "BYTES", "shape": [1000000000000]}"#;
    let input: RequestInput<'_> = serde_json::from_str(header).unwrap();
    let data = InputData::Binary(&[1, 0, 0, 0, 97]);
    let error = parse_tensor(&input, data, &spec, &mut DimensionSizes::default()).unwrap_err();
    assert!(
        error.starts_with("expected 1000000000000 elements with 4"),
        "{error}"
    );
}
