//! Inputs of rten, from the inputs of requests.

use rten::Value;

use crate::onnx::InputLimits;
use crate::session::RunError;
use crate::tensor::{Tensor, TensorData, TensorSpec};

/// The beginning of a refusal of numbers that the model would convert to integers of 32 bits.
const LIMITED: &str = "expected absolute values, which the model converts to integers, of at most";

pub(super) fn to_value(
    spec: &TensorSpec,
    tensor: Tensor,
    limits: InputLimits,
) -> Result<Value, RunError> {
    let (shape, data) = tensor.into_parts();
    let refused = |why: String| RunError::Refused {
        input: spec.name.clone(),
        why,
    };
    let too_large = |size: &&usize| i64::try_from(**size).is_ok_and(|size| size > limits.size);
    if let Some(size) = shape.iter().find(too_large) {
        let most = limits.size;
        let why = format!(
            "expected sizes up to {most}, for which the model's arithmetic fits into 32 bits, \
             found {size}"
        );
        return Err(refused(why));
    }
    let value = match data {
        TensorData::Fp32(values) => {
            let most = limits.number.map_or(f32::INFINITY, |most| most as f32);
            let is_large =
                |value: &&f32| limits.number.is_some() && (value.is_nan() || value.abs() > most);
            if let Some(value) = values.iter().find(is_large) {
                return Err(refused(format!("{LIMITED} {most}, found {value}")));
            }
            Value::from_shape(shape, values).ok()
        }
        TensorData::Int32(values) => {
            let most = limits.number.unwrap_or(i64::MAX);
            if let Some(value) = values.iter().find(|value| i64::from(**value).abs() > most) {
                return Err(refused(format!("{LIMITED} {most}, found {value}")));
            }
            Value::from_shape(shape, values).ok()
        }
        TensorData::Int8(values) => Value::from_shape(shape, values).ok(),
        TensorData::Uint8(values) => Value::from_shape(shape, values).ok(),
        TensorData::Bool(values) => {
            Value::from_shape(shape, values.into_iter().map(i32::from).collect::<Vec<_>>()).ok()
        }
        TensorData::Int64(values) => {
            let most = limits.integer.unwrap_or(i32::MAX.into());
            let least = limits.integer.map_or(i32::MIN.into(), |most| -most);
            let narrow = |value: i64| match i32::try_from(value) {
                Ok(narrow) if (least..=most).contains(&value) => Ok(narrow),
                _ => Err(value),
            };
            let narrowed = values
                .into_iter()
                .map(narrow)
                .collect::<Result<Vec<_>, _>>();
            let expected = match limits.integer {
                None => "in the range of 32 bits, in which the runtime computes".to_owned(),
                Some(_) => format!(
                    "from {least} to {most}, for which the model's arithmetic fits into 32 bits"
                ),
            };
            let why = |value| format!("expected 64-bit integers {expected}, found {value}");
            Value::from_shape(shape, narrowed.map_err(|value| refused(why(value)))?).ok()
        }
        other => {
            let found = other.datatype();
            return Err(refused(format!(
                "expected {}, found {found}",
                spec.datatype
            )));
        }
    };
    value
        .ok_or_else(|| refused("the number of elements is not the product of the shape".to_owned()))
}
