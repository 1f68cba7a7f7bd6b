//! Random bodies, and valid bodies with random edits.
//!
//! `PROPTEST_CASES=1000000 cargo test -p clarity-server --release --lib http::request` runs more
//! cases.

use proptest::prelude::*;
use serde_json::json;

use super::{body, decode_for, specs, with_binary};
use crate::TensorData;

/// Checks that decoding never panics, and that an accepted request matches the model.
fn fuzz(body: &[u8], json_length: Option<usize>) {
    let specs = specs();
    let Ok(request) = decode_for(body, json_length, &specs) else {
        return;
    };
    assert_eq!(request.inputs.len(), specs.len());
    for (tensor, spec) in request.inputs.iter().zip(&specs) {
        assert_eq!(tensor.datatype(), spec.datatype);
        if let Some(shape) = &spec.shape {
            assert_eq!(tensor.shape().len(), shape.len());
            assert_eq!(tensor.shape()[0], request.inputs[0].shape()[0]);
            assert_eq!(tensor.shape()[1], 2);
        }
    }
    let mut places: Vec<usize> = request.outputs.iter().map(|output| output.place).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), request.outputs.len());
    assert!(places.last().is_some_and(|last| *last < specs.len()));
}

/// A fragment of a request, or random bytes, for insertion into a body.
pub(super) fn token() -> impl Strategy<Value = Vec<u8>> {
    let tokens: [&'static [u8]; 26] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"0",
        b"2",
        b"\"free\"",
        b"\"bool\"",
        b"\"data\":",
        b"\"shape\":",
        b"\"outputs\":",
        b"\"parameters\":",
        b"\"binary_data_size\":",
        b"\"binary_data_output\":true",
        b"\\u0000",
        b"\xff",
        b"18446744073709551616",
        b"\"NaN\"",
        b"-Infinity",
        b"[[[[[[[[",
    ];
    prop_oneof![
        proptest::sample::select(tokens.to_vec()).prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 0..9),
    ]
}

proptest! {
    #[test]
    fn random_bytes_are_refused_or_valid(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        json_length in proptest::option::of(0..250_usize),
    ) {
        fuzz(&body, json_length);
    }

    #[test]
    fn randomly_edited_requests_are_refused_or_valid(
        mask in 0..1_usize << 7,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..6_usize, token()), 0..4),
        shift in prop_oneof![4 => Just(0), 1 => -3..4_isize],
    ) {
        let names: Vec<String> = specs().into_iter().map(|spec| spec.name).collect();
        let binary: Vec<&str> = (0..names.len()).filter(|place| mask >> place & 1 == 1).map(|place| &*names[place]).collect();
        let (json, bytes) = body(&binary);
        let (mut body, json_length) = with_binary(&json, &bytes);
        for (place, removed, token) in edits {
            let start = place.index(body.len());
            let end = (start + removed).min(body.len());
            body.splice(start..end, token);
            if body.is_empty() {
                break;
            }
        }
        let json_length = json_length.and_then(|length| length.checked_add_signed(shift));
        fuzz(&body, json_length);
        fuzz(&body, None);
    }

    /// A request with one binary input, whose `shape` and `binary_data_size` are random.
    #[test]
    fn random_shape_and_size_are_refused_or_valid(
        shape in proptest::collection::vec(prop_oneof![0..5_i64, any::<i64>()], 0..5),
        size in prop_oneof![0..40_usize, any::<usize>()],
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let free = specs().split_off(6);
        let json = json!({ "inputs": [{ "name": "free", "datatype": "UINT8", "shape": shape, "parameters": { "binary_data_size": size } }] });
        let (body, json_length) = with_binary(&json, &bytes);
        if let Ok(request) = decode_for(&body, json_length, &free) {
            prop_assert_eq!(size, bytes.len());
            prop_assert_eq!(request.inputs[0].data(), &TensorData::Uint8(bytes));
        }
    }
}
