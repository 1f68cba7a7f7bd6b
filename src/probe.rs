//! An input whose answer is known: what tells a wrong model from a right one when both load well.

mod tensors;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::tensors::NamedTensor;
use crate::sanitize::sanitize_for_log;
use crate::session::{RunError, Session, run};
use crate::tensor::{DataType, Dimension, Tensor, TensorData, TensorSpec};

/// An input whose answer is known.
///
/// It is a file of its version, listed and verified as every other, in the form of the Open Inference Protocol: the
/// `inputs` of a request, the `outputs` of its answer, and the tolerance within which another answer counts as the same.
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
    #[serde(default)]
    tolerance: Tolerance,
}

/// How far a number of an answer may be from the expected one: `absolute + relative * |expected|`. Integers and truth
/// values must be equal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// The part that grows with the expected number. Not negative.
    pub relative: f32,
    /// The part that does not. Not negative.
    pub absolute: f32,
}

/// Why a probe is none, or a model does not pass it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Not JSON of the documented form.
    #[error("invalid probe: {0}")]
    Syntax(String),
    /// The inputs or outputs are not those of the model.
    #[error("{tensor}: expected {expected}, found {found}")]
    Unfit {
        /// The input or output.
        tensor: String,
        /// What the model declares, or the probe expects.
        expected: String,
        /// What was found in its place.
        found: String,
    },
    /// The model gave no answer.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The model gave another answer.
    #[error("output {output}: expected {expected} at {position}, found {found}")]
    WrongAnswer {
        /// The output.
        output: String,
        /// The place of the first such value, counted from 0 in row-major order.
        position: usize,
        /// The value that was recorded.
        expected: String,
        /// The value that came.
        found: String,
    },
}

impl Default for Tolerance {
    /// Those of ONNX's own tests of backends:
    /// <https://github.com/onnx/onnx/blob/main/onnx/backend/test/loader/__init__.py>. Processors sum in different orders.
    fn default() -> Self {
        Self {
            relative: 1e-3,
            absolute: 1e-7,
        }
    }
}

impl Probe {
    /// What the file of a probe is called by who records it.
    pub const FILE_NAME: &str = "probe.json";

    /// Reads a probe. The body of a request for a prediction is one without outputs, to be [recorded](Self::record).
    ///
    /// # Errors
    ///
    /// [`ProbeError::Syntax`].
    pub fn parse(json: &[u8]) -> Result<Self, ProbeError> {
        let probe: Self = serde_json::from_slice(json)
            .map_err(|error| ProbeError::Syntax(sanitize_for_log(error)))?;
        let Tolerance { relative, absolute } = probe.tolerance;
        for part in [relative, absolute] {
            // A tolerance that is no number would make every answer a right one.
            if !part.is_finite() || part < 0.0 {
                let why =
                    format!("expected a tolerance that is finite and not negative, found {part}");
                return Err(ProbeError::Syntax(why));
            }
        }
        Ok(probe)
    }

    /// The probe as it is written: indented JSON that ends with a line break.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self)
            .expect("texts, flags and finite numbers cannot fail to be written as JSON");
        json.push('\n');
        json
    }

    /// Takes what the model answers now for what is right, unless the probe says already what is.
    ///
    /// # Errors
    ///
    /// When the inputs do not fit the model, it does not answer, or it answers otherwise than the probe says.
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
        Ok(Self {
            outputs: outputs.collect(),
            ..self
        })
    }

    /// Runs the model on the input and compares its answer with the one that is known.
    ///
    /// # Errors
    ///
    /// What is wrong with the answer, or why there is none.
    pub fn run(&self, session: &dyn Session) -> Result<(), ProbeError> {
        let expected = in_order(session.outputs(), &self.outputs, "output")?;
        let found = run(session, self.inputs_of(session)?)?;
        let specs = session.outputs().iter();
        for ((spec, expected), found) in specs.zip(expected).zip(&found) {
            self.compare(&spec.name, expected, found)?;
        }
        Ok(())
    }

    fn inputs_of(&self, session: &dyn Session) -> Result<Vec<Tensor>, ProbeError> {
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
                let mut pairs = $expected.iter().zip($found);
                let place = pairs.position(|(expected, found)| !$same(*expected, *found));
                match place {
                    Some(place) => Err(wrong(Some(place), &$expected[place], &$found[place])),
                    None => Ok(()),
                }
            }};
        }
        let Tolerance { relative, absolute } = self.tolerance;
        let near = |expected: f32, found: f32| {
            (expected - found).abs() <= absolute + relative * expected.abs()
        };
        match (expected.data(), found.data()) {
            (TensorData::Fp32(expected), TensorData::Fp32(found)) => first!(expected, found, near),
            (TensorData::Int64(expected), TensorData::Int64(found)) => {
                first!(expected, found, |a: i64, b: i64| a == b)
            }
            (TensorData::Int32(expected), TensorData::Int32(found)) => {
                first!(expected, found, |a: i32, b: i32| a == b)
            }
            (TensorData::Int8(expected), TensorData::Int8(found)) => {
                first!(expected, found, |a: i8, b: i8| a == b)
            }
            (TensorData::Uint8(expected), TensorData::Uint8(found)) => {
                first!(expected, found, |a: u8, b: u8| a == b)
            }
            (TensorData::Bool(expected), TensorData::Bool(found)) => {
                first!(expected, found, |a: bool, b: bool| a == b)
            }
            _ => Err(wrong(None, &expected.datatype(), &found.datatype())),
        }
    }
}

/// The tensors in the order in which the model declares them, each of them once.
fn in_order<'a>(
    specs: &[TensorSpec],
    tensors: &'a [NamedTensor],
    what: &str,
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
        let tensor = sanitize_for_log(format_args!("{what} {}", unknown.name));
        return Err(unfit(
            tensor,
            &format!("an {what} of the model"),
            "none of that name",
        ));
    }
    specs
        .iter()
        .map(|spec| {
            let mut named = tensors.iter().filter(|tensor| tensor.name == spec.name);
            match (named.next(), named.next()) {
                (Some(tensor), None) => Ok(&tensor.tensor),
                (None, _) => Err(unfit(
                    format!("{what} {}", spec.name),
                    "it once",
                    "it is left out",
                )),
                (Some(_), Some(_)) => Err(unfit(
                    format!("{what} {}", spec.name),
                    "it once",
                    "it twice",
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
