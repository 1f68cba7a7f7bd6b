//! Tests valid request bodies, as JSON and with binary tensors. Also tests invalid request bodies.

use serde_json::{Value, json};

use super::*;
use crate::{DataType, Dimension, Reason, TensorData};

mod datatypes;
mod random;

const DATATYPES: [DataType; 6] = [
    DataType::Bool,
    DataType::Uint8,
    DataType::Int8,
    DataType::Int32,
    DataType::Int64,
    DataType::Fp32,
];

/// The tensors of a model. For each datatype, one tensor has the shape `[n, 2]`. The last tensor,
/// `free`, accepts any shape.
fn specs() -> Vec<TensorSpec> {
    let open = Dimension::Dynamic(Some("n".to_owned()));
    let of = |datatype: DataType| {
        let shape = Some(vec![open.clone(), Dimension::Fixed(2)]);
        TensorSpec::new(datatype.as_str().to_lowercase(), datatype, shape)
    };
    let free = TensorSpec::new("free", DataType::Uint8, None);
    DATATYPES.into_iter().map(of).chain([free]).collect()
}

fn decode_for(
    body: &[u8],
    json_length: Option<usize>,
    specs: &[TensorSpec],
) -> Result<InferRequest, Failure> {
    InferRequest::decode(body, json_length, specs, specs, &Budget::new(1 << 20))
}

/// A request with `[[0, 1], [1, 0]]` in each input. `binary` names the inputs that follow the JSON
/// as bytes.
fn body(binary: &[&str]) -> (Value, Vec<u8>) {
    let (mut inputs, mut bytes) = (Vec::new(), Vec::new());
    for spec in specs() {
        let mut input =
            json!({ "name": spec.name, "datatype": spec.datatype.as_str(), "shape": [2, 2] });
        if binary.contains(&&*spec.name) {
            let size = spec.datatype.element_size().unwrap();
            for value in [0_u8, 1, 1, 0] {
                let element = match spec.datatype {
                    DataType::Fp32 => f32::from(value).to_le_bytes().to_vec(),
                    _ => i64::from(value).to_le_bytes()[..size].to_vec(),
                };
                bytes.extend(element);
            }
            input["parameters"] = json!({ "binary_data_size": 4 * size });
        } else {
            input["data"] = json!([[0, 1], [1, 0]]);
        }
        inputs.push(input);
    }
    (json!({ "inputs": inputs }), bytes)
}

fn with_binary(json: &Value, bytes: &[u8]) -> (Vec<u8>, Option<usize>) {
    let json = json.to_string();
    let length = json.len();
    ([json.as_bytes(), bytes].concat(), Some(length))
}

#[track_caller]
fn assert_refused(body: &[u8], json_length: Option<usize>, says: &str) {
    let failure = decode_for(body, json_length, &specs()).unwrap_err();
    assert_eq!(failure.reason, Reason::InvalidRequest);
    assert!(
        failure.detail.contains(says),
        "{:?} does not say {says:?}",
        failure.detail
    );
}

#[test]
fn request_mixing_json_and_binary_gives_the_same_tensors() {
    let (json, _) = body(&[]);
    let expected = decode_for(json.to_string().as_bytes(), None, &specs()).unwrap();
    assert_eq!(
        expected.inputs[3].data(),
        &TensorData::Int32(vec![0, 1, 1, 0])
    );
    let names: Vec<String> = specs().into_iter().map(|spec| spec.name).collect();
    for mask in 1..1_usize << names.len() {
        let binary: Vec<&str> = names
            .iter()
            .enumerate()
            .filter(|(place, _)| mask >> place & 1 == 1)
            .map(|(_, name)| &**name)
            .collect();
        let (json, bytes) = body(&binary);
        let (body, json_length) = with_binary(&json, &bytes);
        let found = decode_for(&body, json_length, &specs()).unwrap();
        assert_eq!(found.inputs, expected.inputs, "{binary:?} in binary");
    }
}

#[test]
fn binary_data_follows_the_order_of_the_request() {
    let (mut json, _) = body(&["uint8", "int8"]);
    json["inputs"].as_array_mut().unwrap().reverse();
    let (body, json_length) = with_binary(&json, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let found = decode_for(&body, json_length, &specs()).unwrap();
    assert_eq!(found.inputs[1].data(), &TensorData::Uint8(vec![5, 6, 7, 8]));
    assert_eq!(found.inputs[2].data(), &TensorData::Int8(vec![1, 2, 3, 4]));
}

#[test]
fn binary_data_mismatch_is_refused_with_its_input_name() {
    let all: Vec<String> = specs().into_iter().map(|spec| spec.name).collect();
    let all: Vec<&str> = all.iter().map(|name| &**name).collect();
    let (good, bytes) = body(&all);
    let check = |change: &dyn Fn(&mut Value, &mut Vec<u8>), says: &str| {
        let (mut json, mut bytes) = (good.clone(), bytes.clone());
        change(&mut json, &mut bytes);
        let (body, json_length) = with_binary(&json, &bytes);
        assert_refused(&body, json_length, says);
    };
    check(
        &|_, bytes| bytes.truncate(bytes.len() - 1),
        "input free: expected 4 bytes of binary data, found 3",
    );
    check(
        &|_, bytes| bytes.push(0),
        "expected 80 bytes of binary data, the sum of all binary_data_size, found 81",
    );
    check(
        &|json, _| json["inputs"][3]["parameters"]["binary_data_size"] = json!(15),
        "expected 79 bytes of binary data",
    );
    check(
        &|json, _| json["inputs"][3]["shape"] = json!([3, 2]),
        "input int32: expected the shape [-1, 2], found [3, 2]; n is 2 elsewhere",
    );
    check(
        &|json, _| json["inputs"][6]["shape"] = json!([5]),
        "input free: expected 5 elements of 1 bytes each, found 4 bytes",
    );
    check(
        &|json, _| json["inputs"][6]["shape"] = json!([i64::MAX, 2]),
        "input free: expected",
    );
    check(
        &|json, _| json["inputs"][1]["data"] = json!([1, 2, 3, 4]),
        "input uint8: expected data or the parameter binary_data_size, found both",
    );
    check(
        &|json, _| json["inputs"][0]["datatype"] = json!("BYTES"),
        "input bool: expected the datatype BOOL, found \"BYTES\"",
    );
    check(
        &|_, bytes| bytes[2] = 2,
        "input bool: expected the byte 0 or 1 for each element, found 2 at 2",
    );
    for (size, found) in [
        (json!(-1), "-1"),
        (json!("4"), "\"4\""),
        (json!(4.0), "4.0"),
        (json!(null), "null"),
        (json!([4]), "[4]"),
    ] {
        check(
            &|json, _| json["inputs"][1]["parameters"]["binary_data_size"] = size.clone(),
            &format!("input uint8: binary_data_size: expected a number of bytes, found {found}"),
        );
    }
}

#[test]
fn binary_and_json_inputs_that_are_not_finite_are_equal() {
    let (mut json, _) = body(&[]);
    json["inputs"][5]["data"] = json!([["NaN", "Infinity"], ["-Infinity", 0]]);
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
    let bits = |request: InferRequest| match request.inputs[5].data() {
        TensorData::Fp32(values) => values.iter().map(|value| value.to_bits()).collect(),
        _ => Vec::new(),
    };
    let found = decode_for(json.to_string().as_bytes(), None, &specs()).unwrap();
    assert_eq!(bits(found), values.map(f32::to_bits));

    let (json, mut bytes) = body(&["fp32"]);
    bytes.clear();
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    let (body, json_length) = with_binary(&json, &bytes);
    let found = decode_for(&body, json_length, &specs()).unwrap();
    assert_eq!(bits(found), values.map(f32::to_bits));
}

#[test]
fn literal_that_is_not_finite_is_refused_with_the_right_string() {
    let (json, _) = body(&[]);
    let text = json.to_string();
    for literal in ["NaN", "Infinity", "-Infinity"] {
        for list in ["[1, 0, @, 0]", "[@,1,0,0]", "[\n1,\n @\n,0,0]"] {
            let data = list.replace('@', literal);
            let text = text.replacen("[[0,1],[1,0]]", &data, 1);
            let says =
                format!("expected the string \"{literal}\", found the literal {literal}, which");
            assert_refused(text.as_bytes(), None, &says);
        }
    }
}

#[test]
fn binary_data_without_its_header_is_refused() {
    let (json, bytes) = body(&["int8"]);
    let body = [json.to_string().as_bytes(), &bytes].concat();
    assert_refused(&body, None, "invalid request: trailing characters");
    assert_refused(
        json.to_string().as_bytes(),
        None,
        "input int8: binary_data_size: expected the header Inference-Header-Content-Length",
    );
    let beyond = body.len() + 1;
    assert_refused(
        &body,
        Some(beyond),
        "Inference-Header-Content-Length: expected at most",
    );
    assert_refused(&body, Some(0), "invalid request");
}

#[test]
fn binary_outputs_are_selected_one_by_one_or_all() {
    let (mut json, _) = body(&[]);
    let mut wanted = |parameters: Value, outputs: Value| {
        json["parameters"] = parameters;
        json["outputs"] = outputs;
        let request = decode_for(json.to_string().as_bytes(), None, &specs()).unwrap();
        let wanted = request.outputs.iter();
        wanted
            .map(|output| (output.place, output.binary))
            .collect::<Vec<_>>()
    };
    let all = json!({ "binary_data_output": true });
    let binary = |binary: bool| json!({ "binary_data": binary });
    assert!(
        wanted(json!({}), json!([]))
            .iter()
            .all(|(_, binary)| !binary)
    );
    assert!(
        wanted(all.clone(), json!([]))
            .iter()
            .all(|(_, binary)| *binary)
    );
    let two = json!([{ "name": "fp32", "parameters": binary(true) }, { "name": "bool" }]);
    assert_eq!(wanted(json!({}), two.clone()), [(5, true), (0, false)]);
    let two = json!([{ "name": "fp32", "parameters": binary(false) }, { "name": "bool" }]);
    assert_eq!(wanted(all, two), [(5, false), (0, true)]);
}

#[test]
fn request_members_of_another_json_type_are_refused() {
    let (good, _) = body(&[]);
    let check = |change: &dyn Fn(&mut Value), says: &str| {
        let mut json = good.clone();
        change(&mut json);
        assert_refused(json.to_string().as_bytes(), None, says);
    };
    let fields = json!([null, {}, good["inputs"], []]);
    assert_refused(
        fields.to_string().as_bytes(),
        None,
        "invalid type: sequence, expected an object",
    );
    check(
        &|json| json["inputs"][0] = json!(["bool", "BOOL", [2, 2], {}, [0, 1, 1, 0]]),
        "invalid type: sequence, expected an object",
    );
    check(
        &|json| json["outputs"] = json!([["bool", {}]]),
        "invalid type: sequence, expected an object",
    );
    for value in [json!(null), json!([]), json!("")] {
        check(
            &|json| json["parameters"] = value.clone(),
            "expected an object",
        );
        check(
            &|json| json["inputs"][0]["parameters"] = value.clone(),
            "expected an object",
        );
    }
    for value in [json!(null), json!({}), json!("")] {
        check(
            &|json| json["outputs"] = value.clone(),
            "expected a sequence",
        );
        check(
            &|json| json["inputs"] = value.clone(),
            "expected a sequence",
        );
        check(
            &|json| json["inputs"][0]["shape"] = value.clone(),
            "expected a list of at most 64 sizes",
        );
    }
    check(
        &|json| json["inputs"][6]["shape"] = json!(vec![1; 65]),
        "expected a list of at most 64 sizes",
    );
}

/// A request whose tensor exceeds the free budget must be refused before the tensor is allocated.
#[test]
fn tensor_reserves_budget_before_it_allocates() {
    let free = specs().split_off(6);
    let body = json!({ "inputs": [{ "name": "free", "datatype": "UINT8", "shape": [9000], "data": vec![1; 9000] }] });
    let body = body.to_string();
    let decode = |budget| InferRequest::decode(body.as_bytes(), None, &free, &free, &budget);
    assert_eq!(
        decode(Budget::new(8 << 10)).unwrap_err().reason,
        Reason::PayloadTooLarge
    );
    let budget = Budget::new(16 << 10);
    let others = budget.reserve(8 << 10, "another").unwrap();
    assert_eq!(
        decode(budget.clone()).unwrap_err().reason,
        Reason::Overloaded
    );
    drop(others);
    let request = decode(budget.clone()).unwrap();
    assert!(
        budget.reserve(8 << 10, "another").is_err(),
        "it holds its room"
    );
    drop(request);
    drop(budget.reserve(16 << 10, "another").unwrap());
}
