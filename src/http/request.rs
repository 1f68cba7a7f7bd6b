//! The body of a request for a prediction.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::budget::{Budget, Reservation};
use super::input::{Data, Shape, Sizes, parse_tensor};
use super::object::Object;
use super::parameters::Parameters;
use crate::predictor::Failure;
use crate::{Reason, Tensor, TensorSpec};

/// A request for a prediction that is known to be good: every tensor fits the model.
#[derive(Debug)]
pub(super) struct InferRequest {
    pub(super) id: Option<String>,
    /// One for each input of the model, in its order.
    pub(super) inputs: Vec<Tensor>,
    /// What the answer has, in its order.
    pub(super) outputs: Vec<WantedOutput>,
    /// The room that the inputs take.
    pub(super) memory: Reservation,
}

/// An output that the answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WantedOutput {
    /// Its place among the outputs of the model.
    pub(super) place: usize,
    /// Whether its elements come as bytes after the JSON.
    pub(super) binary: bool,
}

/// The JSON of the body. Members that the protocol does not define are ignored, as extensions are meant to be;
/// parameters that would change the meaning of the answer and are not understood are refused.
#[derive(Deserialize)]
struct Json<'a> {
    id: Option<String>,
    #[serde(default, borrow)]
    parameters: Object<Parameters<'a>>,
    #[serde(borrow)]
    inputs: Vec<Object<RequestInput<'a>>>,
    #[serde(default, borrow)]
    outputs: Vec<Object<RequestOutput<'a>>>,
}

/// The same with what it lists unread, for a body that is wrong: what is wrong with an input or output is told with its name.
#[derive(Deserialize)]
struct Unread<'a> {
    #[serde(default, borrow, rename = "parameters")]
    _parameters: Object<Parameters<'a>>,
    #[serde(rename = "id")]
    _id: Option<String>,
    #[serde(borrow)]
    inputs: Vec<&'a RawValue>,
    #[serde(default, borrow)]
    outputs: Vec<&'a RawValue>,
}

/// What is wrong with a body that is no request.
fn complaint(json: &[u8], error: &serde_json::Error) -> Failure {
    let Object(Unread {
        inputs, outputs, ..
    }) = match serde_json::from_slice(json) {
        Ok(unread) => unread,
        Err(error) => return invalid(format!("the body is not a request: {error}")),
    };
    let inputs = each::<RequestInput<'_>>("input", &inputs).err();
    let of_one = inputs.or_else(|| each::<RequestOutput<'_>>("output", &outputs).err());
    of_one.unwrap_or_else(|| invalid(format!("the body is not a request: {error}")))
}

/// One input. The data is parsed when its datatype and shape are known to be right.
#[derive(Deserialize)]
pub(super) struct RequestInput<'a> {
    #[serde(deserialize_with = "name")]
    pub(super) name: String,
    #[serde(deserialize_with = "datatype")]
    pub(super) datatype: String,
    #[serde(deserialize_with = "shape")]
    pub(super) shape: Shape,
    #[serde(default, borrow, deserialize_with = "parameters")]
    parameters: Object<Parameters<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RequestOutput<'a> {
    #[serde(deserialize_with = "name")]
    name: String,
    #[serde(default, borrow, deserialize_with = "parameters")]
    parameters: Object<Parameters<'a>>,
}

fn name<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    member("name", value)
}

fn datatype<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    member("datatype", value)
}

fn shape<'de, D: Deserializer<'de>>(value: D) -> Result<Shape, D::Error> {
    member("shape", value)
}

fn parameters<'de, D: Deserializer<'de>>(value: D) -> Result<Object<Parameters<'de>>, D::Error> {
    member("parameters", value)
}

/// A member of an object; what is wrong with it is told with its name.
fn member<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    name: &str,
    value: D,
) -> Result<T, D::Error> {
    T::deserialize(value).map_err(|error| D::Error::custom(format_args!("{name}: {error}")))
}

/// Reads each of the inputs or outputs of a request.
fn each<'a, T: Deserialize<'a>>(kind: &str, texts: &[&'a RawValue]) -> Result<Vec<T>, Failure> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }

    let read = |(place, text): (usize, &&'a RawValue)| {
        let read = serde_json::from_str(text.get());
        read.map(|Object(tensor)| tensor).map_err(|error| {
            let called = match serde_json::from_str(text.get()) {
                Ok(Object(Named { name })) => format!("{kind} {name}"),
                Err(_) => format!("{kind}s[{place}]"),
            };
            invalid(format!("{called}: {error}"))
        })
    };
    texts.iter().enumerate().map(read).collect()
}

impl InferRequest {
    /// Reads a body of which the first `json_length` bytes are JSON, or all of them, for a model that takes and gives
    /// these tensors. Takes room from the budget before it takes memory for a tensor.
    pub(super) fn decode(
        body: &[u8],
        json_length: Option<usize>,
        takes: &[TensorSpec],
        gives: &[TensorSpec],
        budget: &Budget,
    ) -> Result<Self, Failure> {
        let (json, binary) = split(body, json_length)?;
        let Object(json): Object<Json<'_>> =
            serde_json::from_slice(json).map_err(|error| complaint(json, &error))?;
        let outputs = json.wanted(gives)?;
        let data = json.locate(binary, json_length.is_some(), takes)?;
        let mut memory = budget.reserve(0, "an input")?;
        let inputs = json.tensors(&data, takes, &mut memory)?;
        Ok(Self {
            id: json.id,
            inputs,
            outputs,
            memory,
        })
    }
}

fn split(body: &[u8], json_length: Option<usize>) -> Result<(&[u8], &[u8]), Failure> {
    match json_length {
        None => Ok((body, &[])),
        Some(length) => body.split_at_checked(length).ok_or_else(|| {
            invalid(format!(
                "Inference-Header-Content-Length: expected no more than the {} bytes of the body, found {length}",
                body.len()
            ))
        }),
    }
}

impl<'a> Json<'a> {
    /// The data of each input, in the order of the request, which is the order of binary data in the body.
    fn locate(
        &self,
        binary: &'a [u8],
        announced: bool,
        specs: &[TensorSpec],
    ) -> Result<Vec<Data<'a>>, Failure> {
        for (place, Object(input)) in self.inputs.iter().enumerate() {
            if !specs.iter().any(|spec| spec.name == input.name) {
                return Err(invalid(format!(
                    "input {}: the model has no such input, only {}",
                    input.name,
                    names(specs)
                )));
            }
            // Every name before this one is another of the model's, so the look back is short.
            if self.inputs[..place]
                .iter()
                .any(|Object(before)| before.name == input.name)
            {
                return Err(invalid(format!("input {}: it is there twice", input.name)));
            }
        }
        let mut rest = binary;
        let mut found = Vec::with_capacity(self.inputs.len());
        for Object(input) in &self.inputs {
            let data = input.data(&mut rest, announced);
            found.push(data.map_err(|why| invalid(format!("input {}: {why}", input.name)))?);
        }
        if !rest.is_empty() {
            return Err(invalid(format!(
                "expected {} bytes of binary data after the JSON, as the inputs announce in binary_data_size, found {}",
                binary.len() - rest.len(),
                binary.len()
            )));
        }
        Ok(found)
    }

    /// The inputs in the order of the model, each checked against what the model declares.
    fn tensors(
        &self,
        data: &[Data<'_>],
        specs: &[TensorSpec],
        memory: &mut Reservation,
    ) -> Result<Vec<Tensor>, Failure> {
        let mut sizes = Sizes::default();
        let mut bytes = 0;
        let tensor = |spec: &TensorSpec| {
            let mut inputs = self.inputs.iter().zip(data);
            let found = inputs.find(|(Object(input), _)| input.name == spec.name);
            let (Object(input), data) = found.ok_or_else(|| {
                invalid(format!(
                    "input {}: expected {}, found nothing",
                    spec.name, spec.datatype
                ))
            })?;
            bytes += data.most_bytes(spec.datatype);
            memory.grow_to(bytes, &format!("input {}", spec.name))?;
            let parsed = parse_tensor(input, *data, spec, &mut sizes);
            parsed.map_err(|why| invalid(format!("input {}: {why}", spec.name)))
        };
        specs.iter().map(tensor).collect()
    }

    /// The outputs that the answer has, in the order in which they are named; all of them if none is.
    fn wanted(&self, specs: &[TensorSpec]) -> Result<Vec<WantedOutput>, Failure> {
        let Object(parameters) = &self.parameters;
        let binary = parameters
            .of_request()
            .map_err(|why| invalid(format!("the request: {why}")))?;
        if self.outputs.is_empty() {
            return Ok((0..specs.len())
                .map(|place| WantedOutput { place, binary })
                .collect());
        }
        let mut wanted: Vec<WantedOutput> = Vec::new();
        for Object(output) in &self.outputs {
            let refused = |why: String| invalid(format!("output {}: {why}", output.name));
            let place = specs.iter().position(|spec| spec.name == output.name);
            let place = place.ok_or_else(|| {
                refused(format!(
                    "the model has no such output, only {}",
                    names(specs)
                ))
            })?;
            // Never more than the model has outputs, so the look back is short; an answer cannot be multiplied by asking.
            if wanted.iter().any(|before| before.place == place) {
                return Err(refused("it is there twice".to_owned()));
            }
            let Object(parameters) = &output.parameters;
            let binary = parameters.of_output().map_err(refused)?.unwrap_or(binary);
            wanted.push(WantedOutput { place, binary });
        }
        Ok(wanted)
    }
}

impl<'a> RequestInput<'a> {
    /// Its data: in the JSON, or the next bytes of what is left of the binary part.
    fn data(&self, rest: &mut &'a [u8], announced: bool) -> Result<Data<'a>, String> {
        let Object(parameters) = &self.parameters;
        match (parameters.of_input()?, self.data) {
            (None, Some(data)) => Ok(Data::Json(data)),
            (None, None) => Err("expected data or the parameter binary_data_size, found neither".to_owned()),
            (Some(_), Some(_)) => Err("expected data or the parameter binary_data_size, found both".to_owned()),
            (Some(_), None) if !announced => Err(
                "binary_data_size: expected the header Inference-Header-Content-Length with it, found none".to_owned(),
            ),
            (Some(size), None) => {
                let (data, after) = rest.split_at_checked(size).ok_or_else(|| {
                    format!("expected {size} bytes of binary data, found {}", rest.len())
                })?;
                *rest = after;
                Ok(Data::Binary(data))
            }
        }
    }
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

#[cfg(test)]
mod tests;
