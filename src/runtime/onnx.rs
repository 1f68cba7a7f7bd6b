//! ONNX models, run by rten.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use rten::{LoadError, Model, ModelOptions, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::prelude::*;

use super::lane::Lane;
use super::signature::Signature;
use super::weights::{self, Parted};
use super::{
    DataType, RunError, Runtime, RuntimeError, Session, Tensor, TensorData, TensorSpec, Work,
};
use crate::VerifiedVersion;
use crate::background::in_background;
use crate::sanitize::sanitize_for_log;

/// Under this name a model's graph finds the weights that are in the model's own file. rten looks at how it ends.
const INSIDE: &str = "inside.data";

/// Threads of a session where nothing else is asked for: see [`OnnxRuntime::threads`].
const MAX_DEFAULT_THREADS: usize = 4;

/// Runs ONNX models with [rten](https://docs.rs/rten), in this process.
///
/// Every loaded model has a few threads of its own. Threads for all would let a model that never finishes, which
/// cannot be stopped from outside, take those of the others; one thread for each model would run its requests one
/// after the other. On a few as many requests run beside each other, first come, first served, and a long run
/// with nobody behind it is spread over as many more. (Packing weights while loading happens on rten's own pool, which all models share.)
///
/// Weights outside of the model are taken from the version's own files, which were verified with it, and are never looked
/// for on disk. rten takes them from files beside the model whose names end with `.data` or `.onnx_data`, and a number if
/// there are several. Those inside of the model stay where they are, so that a loaded model takes little more memory than its files,
/// also while it loads.
///
/// rten computes INT64 in 32 bits. Values that do not fit are refused on their way in, but a model whose own arithmetic leaves that range gives
/// wrapped numbers: models that count in INT64 beyond 2^31 are not for this runtime.
#[derive(Clone, Debug)]
pub struct OnnxRuntime {
    threads: NonZeroUsize,
}

impl OnnxRuntime {
    /// A runtime whose sessions have as many threads as the machine has processors, 4 at most.
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let most = NonZeroUsize::new(MAX_DEFAULT_THREADS).unwrap_or(NonZeroUsize::MIN);
        Self {
            threads: processors.min(most),
        }
    }

    /// The number of threads of each session.
    #[must_use]
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}

impl Default for OnnxRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for OnnxRuntime {
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        let (manifest, mut files) = version.into_parts();
        let model = files.remove(manifest.entry()).unwrap_or_default();
        let signature = Signature::read(&model)?;
        let probe = manifest.probe();
        let beside = files.into_iter().filter(|(path, _)| Some(path) != probe);
        let model = in_background(|| {
            let mut options = ModelOptions::with_all_ops();
            let mut inside = INSIDE.to_owned();
            for (path, bytes) in beside {
                // In the order of the names, so that a longer one that is taken comes later.
                if inside == path.as_str() {
                    inside.push('_');
                }
                options.external_data(path.as_str(), bytes);
            }
            let model = match weights::part(model, &inside) {
                Ok(Parted { graph, weights }) => {
                    options.external_data(&inside, weights);
                    graph
                }
                Err(model) => model,
            };
            options.load(model)
        });
        let unloadable =
            |error: LoadError| RuntimeError::Unloadable(sanitize_for_log(told(&error.to_string())));
        let model = model.map_err(unloadable)?;
        Ok(Box::new(OnnxSession::new(model, &signature, self.threads)?))
    }
}

/// What rten says about a file of weights that it does not take, with what it would.
fn told(error: &str) -> String {
    match error.contains("disallowed path") {
        true => format!(
            "{error}: expected a file beside the model whose name ends with .data or .onnx_data"
        ),
        false => error.to_owned(),
    }
}

struct OnnxSession {
    model: Arc<Model>,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    lane: Lane,
}

impl OnnxSession {
    fn new(
        model: Model,
        signature: &Signature,
        threads: NonZeroUsize,
    ) -> Result<Self, RuntimeError> {
        let specs = |nodes: &[NodeId]| {
            nodes
                .iter()
                .map(|&node| spec(&model, signature, node))
                .collect::<Result<Vec<_>, _>>()
        };
        let inputs = specs(model.input_ids())?;
        let outputs = specs(model.output_ids())?;
        if outputs.is_empty() {
            return Err(RuntimeError::Unloadable(
                "the model has no outputs".to_owned(),
            ));
        }
        Ok(Self {
            model: Arc::new(model),
            inputs,
            outputs,
            lane: Lane::new(threads)?,
        })
    }
}

fn spec(model: &Model, signature: &Signature, node: NodeId) -> Result<TensorSpec, RuntimeError> {
    let name = model.node_info(node).and_then(|info| info.name());
    let nameless = || RuntimeError::Unloadable("an input or output has no name".to_owned());
    signature.of(name.ok_or_else(nameless)?)
}

impl Session for OnnxSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// All outputs are computed at every run, so that rten makes its plan once, in the warm-up, and not under traffic.
    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let mut values = Vec::with_capacity(inputs.len());
        for ((&node, spec), tensor) in self.model.input_ids().iter().zip(&self.inputs).zip(inputs) {
            values.push((node, ValueOrView::Value(to_value(spec, tensor)?)));
        }
        let model = Arc::clone(&self.model);
        let outputs = self.lane.run(move |pool| {
            let options = RunOptions::default().with_thread_pool(Some(pool));
            model.run(values, model.output_ids(), Some(options))
        });
        let outputs = outputs.map_err(|error| RunError::Failed(error.to_string()))?;
        self.outputs
            .iter()
            .zip(outputs)
            .map(|(spec, value)| to_tensor(spec, value))
            .collect()
    }

    fn spawn(&self, work: Work) -> Result<(), Work> {
        self.lane.spawn(work);
        Ok(())
    }
}

fn to_value(spec: &TensorSpec, tensor: Tensor) -> Result<Value, RunError> {
    let (shape, data) = tensor.into_parts();
    let refused = |why: String| RunError::Refused {
        input: spec.name.clone(),
        why,
    };
    let value = match data {
        TensorData::Fp32(values) => Value::from_shape(shape, values).ok(),
        TensorData::Int32(values) => Value::from_shape(shape, values).ok(),
        TensorData::Int8(values) => Value::from_shape(shape, values).ok(),
        TensorData::Uint8(values) => Value::from_shape(shape, values).ok(),
        TensorData::Bool(values) => {
            Value::from_shape(shape, values.into_iter().map(i32::from).collect::<Vec<_>>()).ok()
        }
        TensorData::Int64(values) => {
            let narrow = |value: i64| i32::try_from(value).map_err(|_| value);
            let narrowed = values
                .into_iter()
                .map(narrow)
                .collect::<Result<Vec<_>, _>>();
            let why = |value| {
                format!(
                    "expected 64-bit integers in the range of 32-bit ones, which the runtime computes with, found {value}"
                )
            };
            Value::from_shape(shape, narrowed.map_err(|value| refused(why(value)))?).ok()
        }
    };
    value
        .ok_or_else(|| refused("the number of elements is not the product of the shape".to_owned()))
}

fn to_tensor(spec: &TensorSpec, value: Value) -> Result<Tensor, RunError> {
    let shape = value.shape().to_vec();
    let found = value.dtype();
    let data = match (spec.datatype, value) {
        (DataType::Fp32, Value::FloatTensor(values)) => TensorData::Fp32(values.into_data()),
        (DataType::Int32, Value::Int32Tensor(values)) => TensorData::Int32(values.into_data()),
        (DataType::Int64, Value::Int32Tensor(values)) => {
            TensorData::Int64(values.into_data().into_iter().map(i64::from).collect())
        }
        (DataType::Bool, Value::Int32Tensor(values)) => TensorData::Bool(
            values
                .into_data()
                .into_iter()
                .map(|value| value != 0)
                .collect(),
        ),
        (DataType::Int8, Value::Int8Tensor(values)) => TensorData::Int8(values.into_data()),
        (DataType::Uint8, Value::UInt8Tensor(values)) => TensorData::Uint8(values.into_data()),
        _ => {
            let (output, expected) = (spec.name.clone(), spec.datatype.to_string());
            return Err(RunError::UnexpectedOutput {
                output,
                expected,
                found: found.to_string(),
            });
        }
    };
    let lengths = || {
        RunError::Failed(format!(
            "output {}: the shape does not fit the data",
            spec.name
        ))
    };
    Tensor::new(shape, data).ok_or_else(lengths)
}

impl fmt::Debug for OnnxSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxSession")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}
