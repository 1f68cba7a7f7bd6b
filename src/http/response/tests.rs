//! Round trips of drawn tensors of every datatype, from an answer to a request.
//!
//! `PROPTEST_CASES=1000000 cargo test -p clarity-server --release --lib http::response` runs more
//! cases.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::super::document::RequestInput;
use super::super::input::{DimensionSizes, InputData, parse_tensor};
use super::*;
use crate::{ByteStrings, Fp16, TensorSpec};

/// Between 1 and 20 elements of any datatype, with all bit patterns.
fn elements() -> impl Strategy<Value = TensorData> {
    fn list<T: Arbitrary + Clone>() -> impl Strategy<Value = Vec<T>> {
        vec(any::<T>(), 1..20)
    }
    prop_oneof![
        list().prop_map(TensorData::Bool),
        list().prop_map(TensorData::Uint8),
        list().prop_map(TensorData::Uint16),
        list().prop_map(TensorData::Uint32),
        list().prop_map(TensorData::Uint64),
        list().prop_map(TensorData::Int8),
        list().prop_map(TensorData::Int16),
        list().prop_map(TensorData::Int32),
        list().prop_map(TensorData::Int64),
        vec(any::<u16>().prop_map(Fp16::from_bits), 1..20).prop_map(TensorData::Fp16),
        vec(any::<u32>().prop_map(f32::from_bits), 1..20).prop_map(TensorData::Fp32),
        vec(any::<u64>().prop_map(f64::from_bits), 1..20).prop_map(TensorData::Fp64),
        vec(vec(any::<u8>(), 0..20), 1..20).prop_map(texts),
        vec("\\PC*|[\0-\x7f]*", 1..20).prop_map(texts),
    ]
}

fn texts<T: AsRef<[u8]>>(elements: Vec<T>) -> TensorData {
    TensorData::Bytes(elements.into_iter().collect::<ByteStrings>())
}

/// The bytes of all elements. With `any_nan`, each NaN has the same bytes.
fn bytes(data: &TensorData, any_nan: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    match data {
        TensorData::Fp32(values) if any_nan => {
            let plain = |value: &f32| if value.is_nan() { f32::NAN } else { *value };
            let values = values.iter().map(plain).collect();
            binary::encode(&TensorData::Fp32(values), &mut bytes);
        }
        TensorData::Fp64(values) if any_nan => {
            let plain = |value: &f64| if value.is_nan() { f64::NAN } else { *value };
            let values = values.iter().map(plain).collect();
            binary::encode(&TensorData::Fp64(values), &mut bytes);
        }
        other => binary::encode(other, &mut bytes),
    }
    bytes
}

/// Parses the elements as an input of a request, and checks that their memory was reserved.
fn parse(datatype: DataType, count: usize, data: InputData<'_>) -> Result<TensorData, String> {
    let header = format!(r#"{{"name": "x", "datatype": "{datatype}", "shape": [{count}]}}"#);
    let input: RequestInput<'_> = serde_json::from_str(&header).unwrap();
    let spec = TensorSpec::new("x", datatype, None);
    let tensor = parse_tensor(&input, data, &spec, &mut DimensionSizes::default())?;
    assert!(
        tensor.data().size() <= data.most_bytes(datatype),
        "{tensor:?}"
    );
    Ok(tensor.into_parts().1)
}

fn in_json(data: &TensorData) -> Result<Box<RawValue>, String> {
    let json = serde_json::to_string(&OutputData("y", data)).map_err(|error| error.to_string())?;
    assert!(json.len() <= "[]".len() + max_json(data), "{json}");
    Ok(RawValue::from_string(json).unwrap())
}

proptest! {
    #[test]
    fn elements_round_trip_in_binary_with_all_bits(data in elements()) {
        let sent = bytes(&data, false);
        prop_assert_eq!(sent.len(), binary::size(&data));
        let found = parse(data.datatype(), data.len(), InputData::Binary(&sent)).unwrap();
        prop_assert_eq!(bytes(&found, false), sent);
    }

    #[test]
    fn elements_round_trip_in_json_exactly(data in elements()) {
        let is_text = |element| str::from_utf8(element).is_ok();
        match (&data, in_json(&data)) {
            (TensorData::Fp16(_), json) => prop_assert!(json.unwrap_err().contains("FP16")),
            (TensorData::Bytes(values), Err(why)) => {
                prop_assert!(!values.iter().all(is_text) && why.contains("not UTF-8"), "{}", why);
            }
            (_, json) => {
                let json = json.unwrap();
                let found = parse(data.datatype(), data.len(), InputData::Json(&json)).unwrap();
                prop_assert_eq!(bytes(&found, true), bytes(&data, true), "{}", json);
            }
        }
    }

    /// The nearest number to any digits, in nested lists, or a refusal if it is infinite.
    #[test]
    fn digits_of_fp64_give_the_nearest_number(
        digits in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
    ) {
        let nearest: f64 = digits.parse().unwrap();
        let json = RawValue::from_string(format!("[ {digits}\n]")).unwrap();
        match parse(DataType::Fp64, 1, InputData::Json(&json)) {
            Ok(TensorData::Fp64(found)) => {
                prop_assert_eq!(found[0].to_bits(), nearest.to_bits());
            }
            found => prop_assert!(found.is_err() && nearest.is_infinite(), "{:?}", found),
        }
    }
}
