//! The tensors in a probe's file.

use serde::de::Error as _;
use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json_float::{JsonFloat, parse_nonfinite};
use crate::tensor::{DataType, Fp16, Tensor, TensorData};

/// A tensor and its name, in the JSON form of the Open Inference Protocol. The elements are in
/// row-major order, in a flat or nested list.
///
/// The protocol has no JSON form for two kinds of elements. An element of FP16 is a number, like
/// one of FP32. An element of BYTES that is not UTF-8 is an object with its bytes as hexadecimal
/// digits: `{"hex": "00ff"}`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NamedTensor {
    pub(super) name: String,
    pub(super) tensor: Tensor,
}

#[derive(Deserialize)]
struct TensorJson {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    data: Box<RawValue>,
}

impl<'de> Deserialize<'de> for NamedTensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = TensorJson::deserialize(deserializer)?;
        let tensor = tensor(&json).map_err(|why| {
            let name = &json.name;
            D::Error::custom(format_args!("{name}: {why}"))
        })?;
        Ok(Self {
            name: json.name,
            tensor,
        })
    }
}

fn tensor(json: &TensorJson) -> Result<Tensor, String> {
    let mut flat = Vec::new();
    flatten(&json.data, 1, &mut flat)?;
    let datatype = DataType::from_name(&json.datatype).ok_or_else(|| {
        let all = DataType::ALL.iter().map(|datatype| datatype.as_str());
        let all = all.collect::<Vec<_>>().join(", ");
        format!("expected a datatype of {all}, found {:?}", json.datatype)
    })?;
    let data = match datatype {
        DataType::Bool => TensorData::Bool(all(&flat, json_value)?),
        DataType::Uint8 => TensorData::Uint8(all(&flat, json_value)?),
        DataType::Uint16 => TensorData::Uint16(all(&flat, json_value)?),
        DataType::Uint32 => TensorData::Uint32(all(&flat, json_value)?),
        DataType::Uint64 => TensorData::Uint64(all(&flat, json_value)?),
        DataType::Int8 => TensorData::Int8(all(&flat, json_value)?),
        DataType::Int16 => TensorData::Int16(all(&flat, json_value)?),
        DataType::Int32 => TensorData::Int32(all(&flat, json_value)?),
        DataType::Int64 => TensorData::Int64(all(&flat, json_value)?),
        DataType::Fp16 => TensorData::Fp16(all(&flat, half)?),
        DataType::Fp32 => TensorData::Fp32(all(&flat, single)?),
        DataType::Fp64 => TensorData::Fp64(all(&flat, double)?),
        DataType::Bytes => TensorData::Bytes(all(&flat, byte_string)?),
    };
    let (shape, found) = (&json.shape, flat.len());
    Tensor::new(shape.clone(), data).ok_or_else(|| {
        format!("expected the number of elements of the shape {shape:?}, found {found}")
    })
}

/// The maximum depth of nested lists, as in the JSON parser.
// The parser does not limit the depth of a value that stays text.
const MAX_DEPTH: usize = 128;

/// Appends the texts of all elements of nested lists to `flat`. `list` is at `depth`.
fn flatten<'a>(
    list: &'a RawValue,
    depth: usize,
    flat: &mut Vec<&'a RawValue>,
) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!(
            "expected at most {MAX_DEPTH} nested lists, found more"
        ));
    }
    let values: Vec<&RawValue> =
        serde_json::from_str(list.get()).map_err(|error| format!("data: {error}"))?;
    for value in values {
        match value.get().starts_with('[') {
            true => flatten(value, depth + 1, flat)?,
            false => flat.push(value),
        }
    }
    Ok(())
}

fn all<T, L: FromIterator<T>>(
    values: &[&RawValue],
    read: impl Fn(&str) -> Option<T>,
) -> Result<L, String> {
    let read = |value: &&RawValue| {
        let text = value.get();
        read(text).ok_or_else(|| format!("{text} is not of the datatype"))
    };
    values.iter().map(read).collect()
}

/// A boolean or an integer that is exactly of the type.
fn json_value<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// The nearest FP16 number, or the value of a string such as `"NaN"`. `None` if the value is
/// another string or type, or exceeds the range of FP16.
fn half(text: &str) -> Option<Fp16> {
    let single = single(text)?;
    let half = Fp16::from_f32(single);
    (half.is_finite() || !single.is_finite()).then_some(half)
}

/// The nearest FP32 number, or the value of a string such as `"NaN"`. `None` if the value is
/// another string or type, or exceeds the range of FP32.
fn single(text: &str) -> Option<f32> {
    let value: Value = serde_json::from_str(text).ok()?;
    if let Some(text) = value.as_str() {
        return parse_nonfinite(text);
    }
    let single = value.as_f64()? as f32;
    single.is_finite().then_some(single)
}

/// The nearest FP64 number, or the value of a string such as `"NaN"`. `None` if the value is
/// another string or type, or exceeds the range of FP64.
// The JSON parser does not always find the nearest number.
fn double(text: &str) -> Option<f64> {
    if text.starts_with('"') {
        return single(text).map(f64::from);
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(value)
}

/// The bytes of a string, or of the hexadecimal digits in an object.
fn byte_string(text: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Hex {
        hex: String,
    }

    if text.starts_with('{') {
        let Hex { hex } = json_value(text)?;
        return hex::decode(hex).ok();
    }
    json_value::<String>(text).map(String::into_bytes)
}

impl Serialize for NamedTensor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tensor = serializer.serialize_struct("NamedTensor", 4)?;
        tensor.serialize_field("name", &self.name)?;
        tensor.serialize_field("datatype", self.tensor.datatype().as_str())?;
        tensor.serialize_field("shape", self.tensor.shape())?;
        tensor.serialize_field("data", &ElementsJson(self.tensor.data()))?;
        tensor.end()
    }
}

/// The elements of a tensor, serialized as a flat list.
struct ElementsJson<'a>(&'a TensorData);

impl Serialize for ElementsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            TensorData::Bool(values) => serializer.collect_seq(values),
            TensorData::Uint8(values) => serializer.collect_seq(values),
            TensorData::Uint16(values) => serializer.collect_seq(values),
            TensorData::Uint32(values) => serializer.collect_seq(values),
            TensorData::Uint64(values) => serializer.collect_seq(values),
            TensorData::Int8(values) => serializer.collect_seq(values),
            TensorData::Int16(values) => serializer.collect_seq(values),
            TensorData::Int32(values) => serializer.collect_seq(values),
            TensorData::Int64(values) => serializer.collect_seq(values),
            TensorData::Fp16(values) => {
                serializer.collect_seq(values.iter().map(|value| JsonFloat(value.to_f32())))
            }
            TensorData::Fp32(values) => {
                serializer.collect_seq(values.iter().copied().map(JsonFloat))
            }
            TensorData::Fp64(values) => {
                serializer.collect_seq(values.iter().copied().map(JsonFloat))
            }
            TensorData::Bytes(values) => serializer.collect_seq(values.iter().map(ByteString)),
        }
    }
}

/// An element of BYTES: a string if it is UTF-8, otherwise an object with hexadecimal digits.
struct ByteString<'a>(&'a [u8]);

impl Serialize for ByteString<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut object = serializer.serialize_map(Some(1))?;
        object.serialize_entry("hex", &hex::encode(self.0))?;
        object.end()
    }
}
