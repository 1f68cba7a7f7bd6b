//! Decodes inference request bodies.

use super::binary::{NO_JSON, REQUEST_BINARY};
use super::budget::{Budget, Reservation};
use super::document::{RequestDocument, RequestInput, invalid};
use super::input::{DimensionSizes, InputData, parse_tensor};
use super::object::Object;
use crate::predictor::Failure;
use crate::{DataType, Tensor, TensorSpec};

/// A validated inference request: every tensor matches the model's signature.
#[derive(Debug)]
pub(super) struct InferRequest {
    pub(super) id: Option<String>,
    /// One tensor for each input of the model, in the model's order.
    pub(super) inputs: Vec<Tensor>,
    /// The requested outputs, in the order of the response.
    pub(super) outputs: Vec<WantedOutput>,
    /// The memory reservation for `inputs`.
    pub(super) memory: Reservation,
}

/// A requested output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WantedOutput {
    /// The index of this output among the model's outputs.
    pub(super) place: usize,
    /// Whether the elements of this output follow the JSON as bytes.
    pub(super) binary: bool,
}

impl InferRequest {
    /// Decodes a body for a model with these inputs (`takes`) and outputs (`gives`).
    ///
    /// The first `json_length` bytes are JSON; with `None`, the whole body is JSON. Memory is
    /// reserved from `budget` before each tensor is allocated.
    pub(super) fn decode(
        body: &[u8],
        json_length: Option<usize>,
        takes: &[TensorSpec],
        gives: &[TensorSpec],
        budget: &Budget,
    ) -> Result<Self, Failure> {
        let (json, binary) = split(body, json_length)?;
        let json = RequestDocument::parse(json)?;
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

impl WantedOutput {
    /// Refuses a datatype without a JSON form, unless the output is binary.
    fn refuse_without_json(self, spec: &TensorSpec) -> Result<(), Failure> {
        if self.binary || spec.datatype != DataType::Fp16 {
            return Ok(());
        }
        let name = &spec.name;
        Err(invalid(format!(
            "output {name}: {NO_JSON}: {REQUEST_BINARY}"
        )))
    }
}

fn split(body: &[u8], json_length: Option<usize>) -> Result<(&[u8], &[u8]), Failure> {
    match json_length {
        None => Ok((body, &[])),
        Some(length) => body.split_at_checked(length).ok_or_else(|| {
            invalid(format!(
                "Inference-Header-Content-Length: expected at most {}, the size of the body, found {length}",
                body.len()
            ))
        }),
    }
}

impl<'a> RequestDocument<'a> {
    /// Finds the data of each input, in request order. The binary data has the same order.
    /// `announced` is true if the request has the header with the length of the JSON.
    fn locate(
        &self,
        binary: &'a [u8],
        announced: bool,
        specs: &[TensorSpec],
    ) -> Result<Vec<InputData<'a>>, Failure> {
        for (place, Object(input)) in self.inputs.iter().enumerate() {
            if !specs.iter().any(|spec| spec.name == input.name) {
                return Err(invalid(format!(
                    "unknown input {}: the model has {}",
                    input.name,
                    names(specs)
                )));
            }
            // This search is short, because each earlier name names a different input of the model.
            if self.inputs[..place]
                .iter()
                .any(|Object(before)| before.name == input.name)
            {
                return Err(invalid(format!("input {}: listed twice", input.name)));
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
                "expected {} bytes of binary data, the sum of all binary_data_size, found {}",
                binary.len() - rest.len(),
                binary.len()
            )));
        }
        Ok(found)
    }

    /// Parses the inputs, in the model's order, and validates each against its spec.
    fn tensors(
        &self,
        data: &[InputData<'_>],
        specs: &[TensorSpec],
        memory: &mut Reservation,
    ) -> Result<Vec<Tensor>, Failure> {
        let mut sizes = DimensionSizes::default();
        let mut bytes = 0;
        let tensor = |spec: &TensorSpec| {
            let mut inputs = self.inputs.iter().zip(data);
            let found = inputs.find(|(Object(input), _)| input.name == spec.name);
            let (Object(input), data) = found.ok_or_else(|| {
                invalid(format!(
                    "missing input {} of type {}",
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

    /// The requested outputs in request order; all outputs if the request names none.
    fn wanted(&self, specs: &[TensorSpec]) -> Result<Vec<WantedOutput>, Failure> {
        let Object(parameters) = &self.parameters;
        let binary = parameters
            .of_request()
            .map_err(|why| invalid(format!("the request: {why}")))?;
        if self.outputs.is_empty() {
            let all = specs.iter().enumerate().map(|(place, spec)| {
                let wanted = WantedOutput { place, binary };
                wanted.refuse_without_json(spec)?;
                Ok(wanted)
            });
            return all.collect();
        }
        let mut wanted: Vec<WantedOutput> = Vec::new();
        for Object(output) in &self.outputs {
            let refused = |why: String| invalid(format!("output {}: {why}", output.name));
            let place = specs.iter().position(|spec| spec.name == output.name);
            let place = place.ok_or_else(|| {
                refused(format!("unknown output: the model has {}", names(specs)))
            })?;
            // This search is short: `wanted` has at most one entry per output of the model.
            // Repeated outputs are refused, because they would multiply the size of the response.
            if wanted.iter().any(|before| before.place == place) {
                return Err(refused("listed twice".to_owned()));
            }
            let Object(parameters) = &output.parameters;
            let binary = parameters.of_output().map_err(refused)?.unwrap_or(binary);
            let output = WantedOutput { place, binary };
            output.refuse_without_json(&specs[place])?;
            wanted.push(output);
        }
        Ok(wanted)
    }
}

impl<'a> RequestInput<'a> {
    /// Returns the data of the input, which is in the JSON or at the start of `rest`. `rest` is the
    /// unused binary part of the body. Removes the returned data from `rest`.
    fn data(&self, rest: &mut &'a [u8], announced: bool) -> Result<InputData<'a>, String> {
        let Object(parameters) = &self.parameters;
        match (parameters.of_input()?, self.data) {
            (None, Some(data)) => Ok(InputData::Json(data)),
            (None, None) => {
                Err("expected data or the parameter binary_data_size, found neither".to_owned())
            }
            (Some(_), Some(_)) => {
                Err("expected data or the parameter binary_data_size, found both".to_owned())
            }
            (Some(_), None) if !announced => Err(
                "binary_data_size: expected the header Inference-Header-Content-Length, found none"
                    .to_owned(),
            ),
            (Some(size), None) => {
                let (data, after) = rest.split_at_checked(size).ok_or_else(|| {
                    format!("expected {size} bytes of binary data, found {}", rest.len())
                })?;
                *rest = after;
                Ok(InputData::Binary(data))
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

#[cfg(test)]
mod tests;
