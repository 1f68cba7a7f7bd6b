//! The tensors in a probe's file.

use serde::de::Error as _;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::json_float::{JsonFloat, parse_nonfinite};
use crate::tensor::{Tensor, TensorData};

/// A tensor and its name, in the JSON form of the Open Inference Protocol. The elements are in
/// row-major order, in a flat or nested list.
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
    data: Vec<Value>,
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
    flatten(&json.data, &mut flat);
    let integer = |value: &Value| value.as_i64();
    let data = match &*json.datatype {
        "BOOL" => TensorData::Bool(all(&flat, Value::as_bool)?),
        "INT64" => TensorData::Int64(all(&flat, integer)?),
        "INT32" => TensorData::Int32(all(&flat, |value| integer(value)?.try_into().ok())?),
        "INT8" => TensorData::Int8(all(&flat, |value| integer(value)?.try_into().ok())?),
        "UINT8" => TensorData::Uint8(all(&flat, |value| integer(value)?.try_into().ok())?),
        "FP32" => TensorData::Fp32(all(&flat, single)?),
        other => {
            return Err(format!(
                "expected the datatype BOOL, UINT8, INT8, INT32, INT64 or FP32, found {other:?}"
            ));
        }
    };
    let (shape, found) = (&json.shape, flat.len());
    Tensor::new(shape.clone(), data).ok_or_else(|| {
        format!("expected the number of elements of the shape {shape:?}, found {found}")
    })
}

/// Appends all elements of nested lists to `flat`. The recursion is bounded, because the JSON
/// parser limits the depth of the lists.
fn flatten<'a>(values: &'a [Value], flat: &mut Vec<&'a Value>) {
    for value in values {
        match value {
            Value::Array(inner) => flatten(inner, flat),
            value => flat.push(value),
        }
    }
}

fn all<T>(values: &[&Value], read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, String> {
    let read =
        |value: &&Value| read(value).ok_or_else(|| format!("{value} is not of the datatype"));
    values.iter().map(read).collect()
}

/// The nearest FP32 number, or the value of a string such as `"NaN"`. `None` if the value is
/// another string or type, or exceeds the range of FP32.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest number of 32 bits is wanted"
)]
fn single(value: &Value) -> Option<f32> {
    if let Some(text) = value.as_str() {
        return parse_nonfinite(text);
    }
    let single = value.as_f64()? as f32;
    single.is_finite().then_some(single)
}

impl Serialize for NamedTensor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tensor = serializer.serialize_struct("NamedTensor", 4)?;
        tensor.serialize_field("name", &self.name)?;
        tensor.serialize_field("datatype", self.tensor.datatype().as_str())?;
        tensor.serialize_field("shape", self.tensor.shape())?;
        match self.tensor.data() {
            TensorData::Bool(values) => tensor.serialize_field("data", values)?,
            TensorData::Uint8(values) => tensor.serialize_field("data", values)?,
            TensorData::Int8(values) => tensor.serialize_field("data", values)?,
            TensorData::Int32(values) => tensor.serialize_field("data", values)?,
            TensorData::Int64(values) => tensor.serialize_field("data", values)?,
            TensorData::Fp32(values) => {
                let values: Vec<JsonFloat> = values.iter().copied().map(JsonFloat).collect();
                tensor.serialize_field("data", &values)?;
            }
        }
        tensor.end()
    }
}
