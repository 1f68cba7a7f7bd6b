//! Probes of models with every datatype.

use super::*;
use crate::tensor::ByteStrings;

/// A model that answers with its inputs. Its outputs may be NaN or infinite.
struct Echo(Vec<TensorSpec>);

impl Session for Echo {
    fn inputs(&self) -> &[TensorSpec] {
        &self.0
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.0
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        Ok(inputs)
    }
}

fn echo(datatypes: &[DataType]) -> Echo {
    let spec = |datatype: &DataType| TensorSpec {
        allow_nonfinite: datatype.is_floating_point(),
        ..TensorSpec::new(datatype.as_str(), *datatype, None)
    };
    Echo(datatypes.iter().map(spec).collect())
}

/// A probe with this input for each datatype, as the text of its elements.
fn probe(inputs: &[(DataType, &str)]) -> Result<Probe, ProbeError> {
    let input = |(datatype, data): &(DataType, &str)| {
        let count = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(data)
            .unwrap()
            .len();
        format!(
            r#"{{"name": "{datatype}", "datatype": "{datatype}", "shape": [{count}], "data": {data}}}"#
        )
    };
    let inputs: Vec<String> = inputs.iter().map(input).collect();
    Probe::parse(format!(r#"{{"inputs": [{}]}}"#, inputs.join(", ")).as_bytes())
}

const INPUTS: [(DataType, &str); 13] = [
    (DataType::Bool, "[true, false]"),
    (DataType::Uint8, "[0, 255]"),
    (DataType::Uint16, "[0, 65535]"),
    (DataType::Uint32, "[0, 4294967295]"),
    (DataType::Uint64, "[9007199254740993, 18446744073709551615]"),
    (DataType::Int8, "[-128, 127]"),
    (DataType::Int16, "[-32768, 32767]"),
    (DataType::Int32, "[-2147483648, 2147483647]"),
    (
        DataType::Int64,
        "[-9223372036854775808, 9223372036854775807]",
    ),
    (
        DataType::Fp16,
        "[0.1, 65504, -0.0, 5.9604645e-8, \"-Infinity\"]",
    ),
    (DataType::Fp32, "[0.1, 3.4028235e38, \"Infinity\"]"),
    (
        DataType::Fp64,
        "[0.1, 1.7976931348623157e308, 5e-324, 9007199254740993, \"Infinity\"]",
    ),
    (
        DataType::Bytes,
        r#"["", "ä\u0000", {"hex": "ff00"}, {"hex": ""}]"#,
    ),
];

#[test]
fn every_datatype_is_recorded_and_parsed_back_exactly() {
    let model = echo(DataType::ALL);
    let recorded = probe(&INPUTS).unwrap().record(&model).unwrap();
    assert_eq!(recorded.outputs.len(), DataType::ALL.len());
    let json = recorded.to_json();
    let read = Probe::parse(json.as_bytes()).unwrap();
    assert_eq!(read, recorded);
    read.run(&model).unwrap();
    let data = |name: &str| {
        let mut tensors = read.inputs.iter();
        tensors
            .find(|tensor| tensor.name == name)
            .unwrap()
            .tensor
            .data()
            .clone()
    };
    let double = [
        0.1,
        f64::MAX,
        f64::from_bits(1),
        9_007_199_254_740_992.0,
        f64::INFINITY,
    ];
    assert_eq!(data("FP64"), TensorData::Fp64(double.to_vec()));
    assert_eq!(
        data("UINT64"),
        TensorData::Uint64(vec![(1 << 53) + 1, u64::MAX])
    );
    let bits = [0x2e66, 0x7bff, 0x8000, 1, 0xfc00].map(Fp16::from_bits);
    assert_eq!(data("FP16"), TensorData::Fp16(bits.to_vec()));
    let texts: [&[u8]; 4] = [b"", "ä\0".as_bytes(), b"\xff\0", b""];
    let texts = texts.into_iter().collect::<ByteStrings>();
    assert_eq!(data("BYTES"), TensorData::Bytes(texts));
}

#[test]
fn elements_that_are_not_of_the_datatype_are_refused() {
    for (datatype, data) in [
        (DataType::Uint16, "[65536]"),
        (DataType::Uint64, "[-1]"),
        (DataType::Uint64, "[18446744073709551616]"),
        (DataType::Int16, "[1.0]"),
        (DataType::Fp16, "[65520]"),
        (DataType::Fp16, "[true]"),
        (DataType::Fp64, "[1e309]"),
        (DataType::Fp64, r#"["1"]"#),
        (DataType::Fp64, "[null]"),
        (DataType::Bytes, "[1]"),
        (DataType::Bytes, "[null]"),
        (DataType::Bytes, r#"[{"hex": "f"}]"#),
        (DataType::Bytes, r#"[{"hex": "ff", "base64": ""}]"#),
        (DataType::Bytes, "[{}]"),
    ] {
        let error = probe(&[(datatype, data)]).unwrap_err().to_string();
        assert!(error.contains("is not of the datatype"), "{data}: {error}");
    }
}

#[test]
fn nested_lists_have_a_limit() {
    let json = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(
            r#"{{"inputs": [{{"name": "x", "datatype": "FP64", "shape": [1], "data": {open}1{close}}}]}}"#
        )
    };
    Probe::parse(json(100).as_bytes()).unwrap();
    for depth in [129, 100_000] {
        let error = Probe::parse(json(depth).as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains("at most 128 nested lists"), "{error}");
    }
}

#[test]
fn tolerance_depends_on_the_datatype() {
    let [half, single, double] =
        [DataType::Fp16, DataType::Fp32, DataType::Fp64].map(Tolerance::of);
    assert_eq!(single, Tolerance::default());
    assert!(half.admits(10.0, 10.02) && !half.admits(10.0, 10.03));
    assert!(single.admits(10.0, 10.009) && !single.admits(10.0, 10.011));
    assert!(double.admits_double(10.0, 10.000_000_9) && !double.admits_double(10.0, 10.000_001_1));
    assert!(double.admits_double(0.0, 9e-13) && !double.admits_double(0.0, 2e-12));
    assert!(!double.admits_double(f64::MAX, -f64::MAX));

    let tolerance = |inputs: &[(DataType, &str)]| {
        let datatypes: Vec<DataType> = inputs.iter().map(|(datatype, _)| *datatype).collect();
        let recorded = probe(inputs).unwrap().record(&echo(&datatypes)).unwrap();
        Probe::parse(recorded.to_json().as_bytes())
            .unwrap()
            .tolerance
    };
    assert_eq!(tolerance(&INPUTS[11..]), Some(double));
    assert_eq!(tolerance(&INPUTS[10..11]), Some(single));
    assert_eq!(tolerance(&INPUTS[..10]), Some(half));
    assert_eq!(tolerance(&INPUTS[..9]), Some(single));
    assert_eq!(tolerance(&INPUTS), None, "each datatype has its own");
}

#[test]
fn wrong_answer_of_each_datatype_is_found() {
    for (datatype, right, wrong, says) in [
        (
            DataType::Uint64,
            "[1, 18446744073709551615]",
            "[1, 18446744073709551614]",
            "expected 18446744073709551614 at 1, found 18446744073709551615",
        ),
        (
            DataType::Int16,
            "[1, 2]",
            "[1, 3]",
            "expected 3 at 1, found 2",
        ),
        (
            DataType::Fp16,
            "[1, 2]",
            "[1, 2.01]",
            "expected 2.0097656 at 1, found 2",
        ),
        (
            DataType::Fp64,
            "[1, 2]",
            "[1, 2.0000003]",
            "expected 2.0000003 at 1, found 2",
        ),
        (
            DataType::Bytes,
            r#"["a", "b"]"#,
            r#"["a", {"hex": "ff0a"}]"#,
            "expected \"\u{fffd}\\n\" at 1, found \"b\"",
        ),
        (
            DataType::Bytes,
            r#"["a", "bc"]"#,
            r#"["ab", "c"]"#,
            "expected \"ab\" at 0, found \"a\"",
        ),
    ] {
        let mut recorded = probe(&[(datatype, right)])
            .unwrap()
            .record(&echo(&[datatype]))
            .unwrap();
        recorded.outputs = probe(&[(datatype, wrong)]).unwrap().inputs;
        let error = recorded.run(&echo(&[datatype])).unwrap_err().to_string();
        assert_eq!(error, format!("output {datatype}: {says}"));
    }
}
