//! The body of a request for a prediction.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::input::{Sizes, parse_tensor};
use crate::predictor::Failure;
use crate::{Reason, Tensor, TensorSpec};

/// The body. Members that the protocol does not define are ignored, as extensions are meant to be; parameters that
/// would change the meaning of the answer and are not understood are refused.
#[derive(Deserialize)]
pub(super) struct InferRequest<'a> {
    id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    inputs: Vec<RequestInput<'a>>,
    #[serde(default)]
    outputs: Vec<RequestOutput>,
}

/// One input. The data is parsed when its datatype and shape are known to be right.
#[derive(Deserialize)]
pub(super) struct RequestInput<'a> {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<i64>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RequestOutput {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

type Parameters = BTreeMap<String, Value>;

/// Parameters of extensions that the server does not have, each with a value that asks for nothing, if there is one.
const UNSUPPORTED: [(&str, Option<Value>); 5] = [
    ("binary_data", Some(Value::Bool(false))),
    ("binary_data_output", Some(Value::Bool(false))),
    ("binary_data_size", None),
    ("shared_memory_region", None),
    ("classification", None),
];

impl<'a> InferRequest<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Failure> {
        let request: Self = serde_json::from_slice(body)
            .map_err(|error| invalid(format!("the body is not a request: {error}")))?;
        refuse_unsupported("the request", &request.parameters)?;
        for input in &request.inputs {
            refuse_unsupported(&format!("input {}", input.name), &input.parameters)?;
        }
        for output in &request.outputs {
            refuse_unsupported(&format!("output {}", output.name), &output.parameters)?;
        }
        Ok(request)
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The inputs in the order of the model, each checked against what the model declares.
    pub(super) fn inputs(&self, specs: &[TensorSpec]) -> Result<Vec<Tensor>, Failure> {
        for (place, input) in self.inputs.iter().enumerate() {
            if !specs.iter().any(|spec| spec.name == input.name) {
                return Err(invalid(format!(
                    "input {}: the model has no such input, only {}",
                    input.name,
                    names(specs)
                )));
            }
            if self.inputs[..place]
                .iter()
                .any(|before| before.name == input.name)
            {
                return Err(invalid(format!("input {}: it is there twice", input.name)));
            }
        }
        let mut sizes = Sizes::default();
        let tensor = |spec: &TensorSpec| {
            let input = self.inputs.iter().find(|input| input.name == spec.name);
            let input = input.ok_or_else(|| {
                invalid(format!(
                    "input {}: expected {}, found nothing",
                    spec.name, spec.datatype
                ))
            })?;
            let parsed = parse_tensor(input, spec, &mut sizes);
            parsed.map_err(|why| invalid(format!("input {}: {why}", spec.name)))
        };
        specs.iter().map(tensor).collect()
    }

    /// The places of the wanted outputs among those of the model, in the wanted order; all of them if none is named.
    pub(super) fn outputs<'m>(
        &self,
        specs: &'m [TensorSpec],
    ) -> Result<Vec<(usize, &'m TensorSpec)>, Failure> {
        if self.outputs.is_empty() {
            return Ok(specs.iter().enumerate().collect());
        }
        let place = |output: &RequestOutput| {
            let found = specs
                .iter()
                .enumerate()
                .find(|(_, spec)| spec.name == output.name);
            found.ok_or_else(|| {
                invalid(format!(
                    "output {}: the model has no such output, only {}",
                    output.name,
                    names(specs)
                ))
            })
        };
        let mut wanted: Vec<(usize, &TensorSpec)> = Vec::new();
        for output in &self.outputs {
            let found = place(output)?;
            // Never more than the model has outputs, so the look back is short; an answer cannot be multiplied by asking.
            if wanted.iter().any(|(place, _)| *place == found.0) {
                return Err(invalid(format!(
                    "output {}: it is there twice",
                    output.name
                )));
            }
            wanted.push(found);
        }
        Ok(wanted)
    }
}

fn refuse_unsupported(of: &str, parameters: &Parameters) -> Result<(), Failure> {
    for (name, harmless) in &UNSUPPORTED {
        if parameters
            .get(*name)
            .is_some_and(|value| Some(value) != harmless.as_ref())
        {
            return Err(invalid(format!(
                "{of}: the parameter {name} asks for an extension that is not spoken here: JSON tensors only"
            )));
        }
    }
    Ok(())
}

fn names(specs: &[TensorSpec]) -> String {
    specs
        .iter()
        .map(|spec| &*spec.name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn invalid(detail: String) -> Failure {
    Failure::new(Reason::InvalidRequest, detail)
}
