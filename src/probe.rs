//! Probes: inputs with known answers, which detect a model that loads but answers wrongly.

mod tensors;
mod tolerance;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::tensors::NamedTensor;
pub use self::tolerance::Tolerance;
use crate::sanitize::sanitize_for_log;
use crate::session::{RunError, Session, run};
use crate::tensor::{DataType, Dimension, Fp16, Tensor, TensorData, TensorSpec};

/// An input with a known answer.
///
/// A probe is a file of its version, listed in the manifest and verified like all other files. The
/// JSON contains the `inputs` and the known `outputs`, in the form of the Open Inference Protocol.
/// It also contains the tolerance for the comparison of outputs. Without one, each datatype has a
/// tolerance of its own: see [`Tolerance::of`].
///
/// The protocol has no JSON form for FP16, nor for BYTES that are not UTF-8. In a probe, an element
/// of FP16 is a number. An element of BYTES is a string, or an object such as `{"hex": "00ff"}`.
///
/// ```json
/// {
///   "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2] }],
///   "outputs": [{ "name": "y", "datatype": "FP32", "shape": [1, 2], "data": [2, 4] }],
///   "tolerance": { "relative": 0.001, "absolute": 1e-7 }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    inputs: Vec<NamedTensor>,
    #[serde(default)]
    outputs: Vec<NamedTensor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tolerance: Option<Tolerance>,
}

/// The reason why a probe is invalid, or why a model does not pass the probe.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The probe's file is not JSON in the documented format, or its tolerance is invalid.
    #[error("invalid probe: {0}")]
    Syntax(String),
    /// The inputs or outputs do not fit the model.
    #[error("{tensor}: expected {expected}, found {found}")]
    Unfit {
        /// The role and the name of the input or output.
        tensor: String,
        /// The expected datatype and shape, or the expected number of tensors of this name.
        expected: String,
        /// The actual datatype and shape, or the actual number of tensors of this name.
        found: String,
    },
    /// The model gave no answer to the probe.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The model's answer differs from the recorded one.
    #[error("output {output}: expected {expected} at {position}, found {found}")]
    WrongAnswer {
        /// The name of the output.
        output: String,
        /// The index of the first wrong value, counted from 0 in row-major order.
        position: usize,
        /// The value that the probe records.
        expected: String,
        /// The value in the model's answer.
        found: String,
    },
}

impl Probe {
    /// The usual name of the file with a recorded probe.
    pub const FILE_NAME: &str = "probe.json";

    /// Parses a probe. The body of a prediction request is a valid probe without outputs: see
    /// [`record`](Self::record).
    ///
    /// # Errors
    ///
    /// [`ProbeError::Syntax`].
    pub fn parse(json: &[u8]) -> Result<Self, ProbeError> {
        let probe: Self = serde_json::from_slice(json)
            .map_err(|error| ProbeError::Syntax(sanitize_for_log(error)))?;
        let given = probe.tolerance.unwrap_or_default();
        for part in [given.relative, given.absolute] {
            // With an infinite tolerance, any answer could pass. With NaN, no answer would pass.
            if !part.is_finite() || part < 0.0 {
                let why =
                    format!("expected a tolerance that is finite and not negative, found {part}");
                return Err(ProbeError::Syntax(why));
            }
        }
        Ok(probe)
    }

    /// The content of the probe's file: indented JSON, with a line break at the end.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self)
            .expect("strings, booleans and numbers always serialize to JSON");
        json.push('\n');
        json
    }

    /// Whether the probe contains an answer.
    pub(crate) fn has_outputs(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// The same probe with the answer of `recorded`.
    pub(crate) fn with_answer_of(self, recorded: Self) -> Self {
        self.with_answer(recorded.outputs)
    }

    /// The same probe with this answer, and with the tolerance of its datatype if it has none.
    fn with_answer(self, outputs: Vec<NamedTensor>) -> Self {
        let tolerance = Tolerance::of_all(outputs.iter().map(|output| &output.tensor));
        Self {
            tolerance: self.tolerance.or(tolerance),
            outputs,
            ..self
        }
    }

    /// Records the model's answer as the known answer. [Runs](Self::run) the probe instead if it
    /// already has outputs.
    ///
    /// # Errors
    ///
    /// When the inputs do not fit the model, or the model gives no answer. Also when the answer
    /// differs from the probe's outputs.
    pub fn record(self, session: &dyn Session) -> Result<Self, ProbeError> {
        if !self.outputs.is_empty() {
            return self.run(session).map(|()| self);
        }
        let outputs = run(session, self.inputs_of(session)?)?;
        let named = session.outputs().iter().zip(outputs);
        let outputs = named.map(|(spec, tensor)| NamedTensor {
            name: spec.name.clone(),
            tensor,
        });
        let outputs = outputs.collect();
        Ok(self.with_answer(outputs))
    }

    /// Runs the model on the inputs, and compares the answer with the known answer.
    ///
    /// # Errors
    ///
    /// When the inputs do not fit the model, or the model gives no answer. Also when the answer
    /// differs from the known answer.
    pub fn run(&self, session: &dyn Session) -> Result<(), ProbeError> {
        let expected = in_order(session.outputs(), &self.outputs, "output")?;
        let found = run(session, self.inputs_of(session)?)?;
        let specs = session.outputs().iter();
        for ((spec, expected), found) in specs.zip(expected).zip(&found) {
            self.compare(&spec.name, expected, found)?;
        }
        Ok(())
    }

    /// The inputs, in the order of the model's declaration.
    pub(crate) fn inputs_of(&self, session: &dyn Session) -> Result<Vec<Tensor>, ProbeError> {
        let inputs = in_order(session.inputs(), &self.inputs, "input")?;
        for (spec, tensor) in session.inputs().iter().zip(&inputs) {
            refuse_unfit(spec, tensor)?;
        }
        Ok(inputs.into_iter().cloned().collect())
    }

    fn compare(&self, output: &str, expected: &Tensor, found: &Tensor) -> Result<(), ProbeError> {
        let form = |tensor: &Tensor| format!("{} {:?}", tensor.datatype(), tensor.shape());
        let wrong = |position: Option<usize>, expected: &dyn ToString, found: &dyn ToString| {
            ProbeError::WrongAnswer {
                output: output.to_owned(),
                position: position.unwrap_or_default(),
                expected: expected.to_string(),
                found: found.to_string(),
            }
        };
        if form(expected) != form(found) {
            return Err(ProbeError::Unfit {
                tensor: format!("output {output}"),
                expected: form(expected),
                found: form(found),
            });
        }
        macro_rules! first {
            ($expected:expr, $found:expr, $same:expr) => {{
                let mut pairs = $expected.iter().zip($found.iter());
                let wrong_at = pairs.position(|(expected, found)| !$same(expected, found));
                match wrong_at {
                    Some(at) => Err(wrong(Some(at), &$expected[at], &$found[at])),
                    None => Ok(()),
                }
            }};
        }
        let tolerance = self.tolerance;
        let tolerance = tolerance.unwrap_or_else(|| Tolerance::of(expected.datatype()));
        match (expected.data(), found.data()) {
            (TensorData::Fp16(expected), TensorData::Fp16(found)) => {
                let is_near = |expected: &Fp16, found: &Fp16| {
                    tolerance.admits(expected.to_f32(), found.to_f32())
                };
                first!(expected, found, is_near)
            }
            (TensorData::Fp32(expected), TensorData::Fp32(found)) => {
                first!(expected, found, |a: &f32, b: &f32| tolerance.admits(*a, *b))
            }
            (TensorData::Fp64(expected), TensorData::Fp64(found)) => {
                first!(expected, found, |a: &f64, b: &f64| tolerance
                    .admits_double(*a, *b))
            }
            (TensorData::Bytes(expected), TensorData::Bytes(found)) => {
                let mut pairs = expected.iter().zip(found.iter()).enumerate();
                match pairs.find(|(_, (expected, found))| expected != found) {
                    Some((at, (expected, found))) => {
                        Err(wrong(Some(at), &quote(expected), &quote(found)))
                    }
                    None => Ok(()),
                }
            }
            (TensorData::Bool(expected), TensorData::Bool(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            (TensorData::Uint8(expected), TensorData::Uint8(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            (TensorData::Uint16(expected), TensorData::Uint16(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            (TensorData::Uint32(expected), TensorData::Uint32(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            (TensorData::Uint64(expected), TensorData::Uint64(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            (TensorData::Int8(expected), TensorData::Int8(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            (TensorData::Int16(expected), TensorData::Int16(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            (TensorData::Int32(expected), TensorData::Int32(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            (TensorData::Int64(expected), TensorData::Int64(found)) => {
                first!(expected, found, |a, b| a == b)
            }
            _ => Err(wrong(None, &expected.datatype(), &found.datatype())),
        }
    }
}

/// An element of BYTES, for a message.
fn quote(element: &[u8]) -> String {
    sanitize_for_log(format_args!("{:?}", String::from_utf8_lossy(element)))
}

/// Sorts tensors into the order of the model's declarations. Each declared tensor must occur
/// exactly once.
fn in_order<'a>(
    specs: &[TensorSpec],
    tensors: &'a [NamedTensor],
    role: &str,
) -> Result<Vec<&'a Tensor>, ProbeError> {
    let unfit = |tensor: String, expected: &str, found: &str| ProbeError::Unfit {
        tensor,
        expected: expected.to_owned(),
        found: found.to_owned(),
    };
    let unknown = tensors
        .iter()
        .find(|tensor| specs.iter().all(|spec| spec.name != tensor.name));
    if let Some(unknown) = unknown {
        let tensor = sanitize_for_log(format_args!("{role} {}", unknown.name));
        return Err(unfit(
            tensor,
            &format!("an {role} of the model"),
            &format!("no {role} of that name"),
        ));
    }
    specs
        .iter()
        .map(|spec| {
            let mut named = tensors.iter().filter(|tensor| tensor.name == spec.name);
            match (named.next(), named.next()) {
                (Some(tensor), None) => Ok(&tensor.tensor),
                (None, _) => Err(unfit(format!("{role} {}", spec.name), "one tensor", "none")),
                (Some(_), Some(_)) => Err(unfit(
                    format!("{role} {}", spec.name),
                    "one tensor",
                    "two or more",
                )),
            }
        })
        .collect()
}

fn refuse_unfit(spec: &TensorSpec, tensor: &Tensor) -> Result<(), ProbeError> {
    let fits = |dimensions: &Vec<Dimension>| {
        let sizes = tensor.shape();
        let fit = |(dimension, &size): (&Dimension, &usize)| match dimension {
            Dimension::Fixed(fixed) => *fixed == size,
            Dimension::Dynamic(_) => size > 0,
        };
        dimensions.len() == sizes.len() && dimensions.iter().zip(sizes).all(fit)
    };
    let form = |datatype: DataType, shape: String| format!("{datatype} {shape}");
    if spec.datatype == tensor.datatype() && spec.shape.as_ref().is_none_or(fits) {
        return Ok(());
    }
    let size = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => size.to_string(),
        Dimension::Dynamic(_) => "-1".to_owned(),
    };
    let shape = spec.shape.as_ref().map_or_else(
        || "of any shape".to_owned(),
        |shape| {
            format!(
                "[{}]",
                shape.iter().map(size).collect::<Vec<_>>().join(", ")
            )
        },
    );
    Err(ProbeError::Unfit {
        tensor: format!("input {}", spec.name),
        expected: form(spec.datatype, shape),
        found: form(tensor.datatype(), format!("{:?}", tensor.shape())),
    })
}

#[cfg(test)]
mod tests;
