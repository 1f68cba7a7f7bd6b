//! The body of an answer.

use serde::{Serialize, Serializer};

use crate::predictor::Serving;
use crate::{ModelName, Tensor, TensorData, TensorSpec};

#[derive(Serialize)]
struct InferResponse<'a> {
    model_name: &'a str,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    outputs: Vec<ResponseOutput<'a>>,
}

/// Only there when the version that answers is not the one that should, or nobody has promised its bytes.
#[derive(Serialize)]
struct Parameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified: Option<bool>,
}

#[derive(Serialize)]
struct ResponseOutput<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    data: Data<'a>,
}

/// Flat, in row-major order.
struct Data<'a>(&'a TensorData);

/// The answer as JSON. Numbers of 32 bits are written with as few digits as tell them from their neighbours among
/// numbers of 32 bits, so that reading them back gives the same bits.
pub(super) fn encode<'a>(
    model: &ModelName,
    serving: &Serving,
    id: Option<&str>,
    wanted: &[(usize, &'a TensorSpec)],
    outputs: &'a [Tensor],
) -> Vec<u8> {
    let output = |&(place, spec): &(usize, &'a TensorSpec)| ResponseOutput {
        name: &spec.name,
        datatype: spec.datatype.as_str(),
        shape: outputs[place].shape(),
        data: Data(outputs[place].data()),
    };
    let is_unverified = serving.loaded.is_unverified;
    let parameters = Parameters {
        degraded: serving.degraded.map(|_| true),
        degraded_reason: serving.degraded.map(crate::Reason::as_str),
        unverified: is_unverified.then_some(true),
    };
    let response = InferResponse {
        model_name: model.as_str(),
        model_version: serving.loaded.version().to_string(),
        id,
        parameters: (serving.degraded.is_some() || is_unverified).then_some(parameters),
        outputs: wanted.iter().map(output).collect(),
    };
    serde_json::to_vec(&response)
        .expect("texts, flags and finite numbers cannot fail to be written as JSON")
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            TensorData::Bool(values) => serializer.collect_seq(values),
            TensorData::Uint8(values) => serializer.collect_seq(values),
            TensorData::Int8(values) => serializer.collect_seq(values),
            TensorData::Int32(values) => serializer.collect_seq(values),
            TensorData::Int64(values) => serializer.collect_seq(values),
            TensorData::Fp32(values) => serializer.collect_seq(values),
        }
    }
}
