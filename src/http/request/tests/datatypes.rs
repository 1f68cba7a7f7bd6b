//! The datatypes that are not in [`specs`](super::specs).

use proptest::prelude::*;
use serde_json::json;

use super::random::token;
use super::*;

const OTHERS: [DataType; 7] = [
    DataType::Uint16,
    DataType::Uint32,
    DataType::Uint64,
    DataType::Int16,
    DataType::Fp16,
    DataType::Fp64,
    DataType::Bytes,
];

/// For each datatype, an input of the shape `[n]`.
fn others() -> Vec<TensorSpec> {
    let of = |datatype: DataType| {
        let shape = vec![Dimension::Dynamic(Some("n".to_owned()))];
        TensorSpec::new(datatype.as_str().to_lowercase(), datatype, Some(shape))
    };
    OTHERS.into_iter().map(of).collect()
}

/// A request with two elements in each input. FP16 is in binary, and so are the inputs in `mask`.
fn two(mask: usize) -> (Vec<u8>, Option<usize>) {
    let (mut inputs, mut bytes) = (Vec::new(), Vec::new());
    for (place, spec) in others().iter().enumerate() {
        let mut input =
            json!({ "name": spec.name, "datatype": spec.datatype.as_str(), "shape": [2] });
        if mask >> place & 1 == 0 && spec.datatype != DataType::Fp16 {
            input["data"] = match spec.datatype {
                DataType::Bytes => json!(["1", "ab"]),
                _ => json!([1, 2]),
            };
        } else {
            let data = match spec.datatype {
                DataType::Bytes => b"\x01\0\0\x001\x02\0\0\0ab".to_vec(),
                DataType::Fp16 => vec![0, 0x3c, 0, 0x40],
                DataType::Fp64 => [1.0_f64, 2.0].map(f64::to_le_bytes).concat(),
                other => {
                    let size = other.element_size().unwrap();
                    [1_u64, 2]
                        .iter()
                        .flat_map(|value| value.to_le_bytes()[..size].to_vec())
                        .collect()
                }
            };
            input["parameters"] = json!({ "binary_data_size": data.len() });
            bytes.extend(data);
        }
        inputs.push(input);
    }
    let parameters = json!({ "binary_data_output": true });
    with_binary(
        &json!({ "inputs": inputs, "parameters": parameters }),
        &bytes,
    )
}

#[test]
fn other_datatypes_give_the_same_tensors_in_json_and_in_binary() {
    let decode = |mask| {
        let (body, json_length) = two(mask);
        decode_for(&body, json_length, &others()).unwrap().inputs
    };
    let expected = decode(0);
    assert_eq!(expected[0].data(), &TensorData::Uint16(vec![1, 2]));
    assert_eq!(expected[5].data(), &TensorData::Fp64(vec![1.0, 2.0]));
    let texts = ["1", "ab"].into_iter().collect();
    assert_eq!(expected[6].data(), &TensorData::Bytes(texts));
    for mask in 1..1 << OTHERS.len() {
        assert_eq!(decode(mask), expected, "{mask:b} in binary");
    }
}

/// Each short text needs more memory for its place than for its bytes.
#[test]
fn texts_reserve_their_real_size_before_they_are_parsed() {
    let specs = others().split_off(6);
    let texts = vec![""; 30_000];
    let body = json!({ "inputs": [{ "name": "bytes", "datatype": "BYTES", "shape": [30_000], "data": texts }] });
    let body = body.to_string();
    let decode = |budget| InferRequest::decode(body.as_bytes(), None, &specs, &specs, &budget);
    let places = 30_000 * size_of::<usize>();
    let refused = decode(Budget::new(places - 1024)).unwrap_err();
    assert_eq!(refused.reason, Reason::PayloadTooLarge);
    let most = Budget::new(places + body.len() + 1024);
    let request = decode(most.clone()).unwrap();
    assert_eq!(request.inputs[0].data().size(), places);
    let failure = most.reserve(1024 + body.len(), "another").unwrap_err();
    assert_eq!(failure.reason, Reason::Overloaded, "it holds its room");

    let data = vec![0; 4 * 30_000];
    let input = json!({ "name": "bytes", "datatype": "BYTES", "shape": [30_000], "parameters": { "binary_data_size": data.len() } });
    let (body, json_length) = with_binary(&json!({ "inputs": [input] }), &data);
    let decode = |bytes| {
        let budget = Budget::new(bytes);
        InferRequest::decode(&body, json_length, &specs, &specs, &budget)
    };
    let refused = decode(places - 1024).unwrap_err();
    assert_eq!(refused.reason, Reason::PayloadTooLarge);
    assert!(decode(places + data.len() + 1024).is_ok());
}

proptest! {
    #[test]
    fn edited_requests_of_other_datatypes_are_refused_or_valid(
        mask in 0..1_usize << OTHERS.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..6_usize, token()), 0..4),
    ) {
        let specs = others();
        let (mut body, json_length) = two(mask);
        for (place, removed, token) in edits {
            let start = place.index(body.len());
            let end = (start + removed).min(body.len());
            body.splice(start..end, token);
            if body.is_empty() {
                break;
            }
        }
        if let Ok(request) = decode_for(&body, json_length, &specs) {
            for (tensor, spec) in request.inputs.iter().zip(&specs) {
                prop_assert_eq!(tensor.datatype(), spec.datatype);
                prop_assert_eq!(tensor.shape(), request.inputs[0].shape());
                prop_assert_eq!(tensor.data().len(), tensor.shape()[0]);
            }
        }
    }
}
