use super::*;

mod datatypes;

/// A model that multiplies its input `x` by a factor. The output `y` holds the products, and the
/// output `positive` marks the positive numbers of `x`.
struct Doubling(f32, Vec<TensorSpec>, Vec<TensorSpec>);

impl Doubling {
    fn by(factor: f32) -> Self {
        let shape = || Some(vec![Dimension::Fixed(1), Dimension::Dynamic(None)]);
        let spec = |name: &str, datatype| TensorSpec::new(name, datatype, shape());
        let outputs = vec![spec("y", DataType::Fp32), spec("positive", DataType::Bool)];
        Self(factor, vec![spec("x", DataType::Fp32)], outputs)
    }
}

impl Session for Doubling {
    fn inputs(&self) -> &[TensorSpec] {
        &self.1
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.2
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let (shape, data) = inputs[0].clone().into_parts();
        let TensorData::Fp32(values) = data else {
            unreachable!()
        };
        let doubled = values.iter().map(|value| value * self.0).collect();
        let positive = values.iter().map(|value| *value > 0.0).collect();
        Ok(vec![
            Tensor::new(shape.clone(), TensorData::Fp32(doubled)).unwrap(),
            Tensor::new(shape, TensorData::Bool(positive)).unwrap(),
        ])
    }
}

fn request(data: &str) -> Vec<u8> {
    format!(r#"{{"id": "7", "inputs": [{{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": {data}}}]}}"#)
        .into_bytes()
}

fn recorded() -> Probe {
    let probe = Probe::parse(&request("[[1.5, -0.1]]")).unwrap();
    probe.record(&Doubling::by(2.0)).unwrap()
}

#[test]
fn recorded_probe_is_parsed_back_and_passes() {
    let probe = recorded();
    let read = Probe::parse(probe.to_json().as_bytes()).unwrap();
    assert_eq!(read, probe);
    read.run(&Doubling::by(2.0)).unwrap();
}

#[test]
fn run_names_the_wrong_value_and_applies_the_tolerance() {
    let probe = recorded();
    probe.run(&Doubling::by(2.001)).unwrap();
    let error = probe.run(&Doubling::by(2.01)).unwrap_err().to_string();
    assert!(
        error.starts_with("output y: expected 3 at 0, found 3.0"),
        "{error}"
    );
    let mut flipped = probe.clone();
    flipped.outputs[1].tensor =
        Tensor::new(vec![1, 2], TensorData::Bool(vec![true, true])).unwrap();
    let error = flipped.run(&Doubling::by(2.0)).unwrap_err().to_string();
    assert_eq!(error, "output positive: expected true at 1, found false");
}

#[test]
fn record_keeps_a_given_answer() {
    let json = recorded().to_json();
    let given = Probe::parse(json.as_bytes()).unwrap();
    assert!(given.record(&Doubling::by(3.0)).is_err());
}

#[test]
fn record_of_an_unfit_probe_names_the_mismatch() {
    let parse = |json: &str| Probe::parse(json.as_bytes());
    let with = |from: &str, to: &str| {
        let text = String::from_utf8(request("[1, 2]")).unwrap();
        assert!(text.contains(from), "{from}");
        parse(&text.replace(from, to)).and_then(|probe| probe.record(&Doubling::by(2.0)))
    };
    let cases = [
        (
            r#""x""#,
            r#""z""#,
            "input z: expected an input of the model",
        ),
        (
            r#""FP32""#,
            r#""INT32""#,
            "input x: expected FP32 [1, -1], found INT32 [1, 2]",
        ),
        (r#""FP32""#, r#""BF16""#, "expected a datatype of BOOL"),
        ("[1, 2]}", "[1, 2, 3]}", "found 3"),
        ("[1, 2]}", "[1, 1e39]}", "1e39 is not of the datatype"),
        ("[1, 2]}", "[1, true]}", "true is not of the datatype"),
        (r#"[1, 2], "data""#, r#"[2], "data""#, "found FP32 [2]"),
        (
            r#""inputs""#,
            r#""tolerance": {"relative": -1, "absolute": 0}, "inputs""#,
            "not negative",
        ),
        (r#""id": "7""#, r#""id": "7""#, ""),
    ];
    for (from, to, says) in cases {
        match with(from, to) {
            Err(error) => assert!(error.to_string().contains(says), "{to}: {error}"),
            Ok(_) => assert_eq!(says, "", "{to} was accepted"),
        }
    }
    let none = parse(r#"{"inputs": []}"#)
        .unwrap()
        .record(&Doubling::by(2.0));
    assert!(
        none.unwrap_err()
            .to_string()
            .contains("expected one tensor, found none")
    );
}

#[test]
fn nonfinite_answers_are_recorded_and_compared_exactly() {
    let model = |factor| {
        let mut model = Doubling::by(factor);
        model.2[0].allow_nonfinite = true;
        model
    };
    let inputs = r#"["NaN", "Infinity"]"#;
    let recorded = Probe::parse(&request(inputs))
        .unwrap()
        .record(&model(1.0))
        .unwrap();
    let json = recorded.to_json();
    assert!(json.contains("\"NaN\"") && !json.contains("null"), "{json}");
    let read = Probe::parse(json.as_bytes()).unwrap();
    read.run(&model(1.0)).unwrap();
    read.run(&model(3.0)).unwrap();
    let error = read.run(&model(-1.0)).unwrap_err().to_string();
    assert_eq!(error, "output y: expected inf at 1, found -inf");
    let error = read.run(&model(0.0)).unwrap_err().to_string();
    assert_eq!(error, "output y: expected inf at 1, found NaN");
    let error = read.run(&Doubling::by(1.0)).unwrap_err().to_string();
    assert!(error.contains("input x: the value at 0 is NaN"), "{error}");

    // The tolerance must not make finite numbers equal to infinite ones.
    let expect = |data: &str| {
        let json = String::from_utf8(request("[1, 2]")).unwrap();
        let outputs = format!(
            r#""outputs": [{{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": {data}}},
                {{"name": "positive", "datatype": "BOOL", "shape": [1, 2], "data": [true, true]}}], "inputs""#
        );
        let probe = Probe::parse(json.replacen("\"inputs\"", &outputs, 1).as_bytes()).unwrap();
        probe.run(&model(1.0)).map_err(|error| error.to_string())
    };
    assert_eq!(expect("[1, 2]"), Ok(()));
    for (data, says) in [
        ("[1, \"Infinity\"]", "output y: expected inf at 1, found 2"),
        ("[\"NaN\", 2]", "output y: expected NaN at 0, found 1"),
        (
            "[1, \"-Infinity\"]",
            "output y: expected -inf at 1, found 2",
        ),
    ] {
        assert_eq!(expect(data).unwrap_err(), says, "{data}");
    }
}

/// A model whose answers to the same request differ.
struct Drifting(std::sync::atomic::AtomicU8, Doubling);

impl Session for Drifting {
    fn inputs(&self) -> &[TensorSpec] {
        self.1.inputs()
    }

    fn outputs(&self) -> &[TensorSpec] {
        self.1.outputs()
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let runs = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Doubling::by(f32::from(runs)).run(inputs)
    }
}

#[test]
fn recorded_probe_of_a_drifting_model_fails() {
    let drifting = Drifting(1.into(), Doubling::by(1.0));
    let probe = Probe::parse(&request("[[1.5, -0.1]]")).unwrap();
    assert!(!probe.has_outputs());
    let recorded = probe.clone().record(&drifting).unwrap();
    assert!(recorded.has_outputs());
    assert!(recorded.run(&drifting).is_err());
    let answered = probe.with_answer_of(recorded.clone());
    assert_eq!(answered, recorded);
}
