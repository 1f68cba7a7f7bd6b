//! Runs ONNX models with rten.

mod inputs;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::ThreadId;

use rten::{LoadError, Model, ModelOptions, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::prelude::*;

use self::inputs::to_value;
use super::claims::{Claims, Coverage};
use super::declared_tensors::DeclaredTensors;
use super::default_threads;
use super::manifest_outputs::declare_outputs;
use super::rewrite::{self, NewNames};
use super::session_threads::{IdleThreads, SessionThreads};
use super::weights::{self, ExternalFile, SplitModel};
use super::{Runtime, RuntimeError};
use crate::background::in_background;
use crate::onnx::{InputLimits, UnreadableGraph};
use crate::sanitize::sanitize_for_log;
use crate::session::{RunError, Session, Work};
use crate::tensor::{DataType, Tensor, TensorData, TensorSpec};
use crate::{FilePath, RuntimeId, VerifiedVersion};

/// The version of rten.
// rten itself does not export it. A test compares it with Cargo.lock.
const RTEN_VERSION: &str = "0.27.0";

/// The file name under which rten finds the weights that are split off the model file. rten
/// requires an extension that starts with `data` or `onnx_data`.
const SPLIT_WEIGHTS: &str = "inside.data";

/// Runs ONNX models with [rten](https://docs.rs/rten), in this process.
///
/// Every loaded model has a small number of threads of its own, which start when requests arrive,
/// and end when they are idle. The threads take requests in order of arrival, and each thread runs
/// one request at a time. A run uses a separate thread pool if the model's last run was long and
/// nothing else is queued or running. That pool has the same number of threads, which share the
/// work of the run. (During a load, rten packs weights on its own thread pool, which all models
/// share.)
///
/// If no caller waits for a run any more, other work takes its thread's place, and on Linux the run
/// gets the lowest priority. So up to twice as many runs as threads can need memory.
///
/// External weights come from the version's verified files, never from disk. A model can have any
/// number of them, under any relative names that the manifest lists. Weights inside the model file
/// are not copied. So a loaded model takes little more memory than its files, even during its load.
///
/// rten computes INT64 in 32 bits. Inputs that do not fit into 32 bits are refused. If a model's
/// own arithmetic leaves 32 bits for large inputs, smaller limits hold for its inputs. A model is
/// refused if its arithmetic leaves 32 bits for small inputs, too.
///
/// A model is loaded only if rten is known to compute each of its operators rightly, for the
/// versions, datatypes and attributes that the model uses: [`RuntimeError::Unclaimed`].
// The models share no threads, because a run cannot be stopped: a run that never finishes would
// block other models. One thread per model would run its requests one after the other.
#[derive(Clone, Debug)]
pub struct RtenRuntime {
    threads: NonZeroUsize,
    idle_threads: Arc<IdleThreads>,
    claims: ClaimsCheck,
    replaces_nodes: bool,
}

/// Which claims a model must satisfy. Not public API: for tests of the claims.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClaimsCheck {
    /// All claims.
    #[default]
    Whole,
    /// All claims, but without the condition of this number.
    Without(usize),
    /// None.
    Off,
}

impl RtenRuntime {
    /// A runtime whose sessions have one thread for each processor, but at most 4.
    pub fn new() -> Self {
        Self {
            threads: default_threads(),
            idle_threads: Arc::default(),
            claims: ClaimsCheck::Whole,
            replaces_nodes: true,
        }
    }

    /// Sets the number of threads of each session.
    #[must_use]
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets which claims a model must satisfy. Not public API.
    #[doc(hidden)]
    #[must_use]
    pub fn claims(self, claims: ClaimsCheck) -> Self {
        Self { claims, ..self }
    }

    /// Sets whether nodes that rten computes wrongly are replaced. Not public API.
    #[doc(hidden)]
    #[must_use]
    pub fn replaces_nodes(mut self, replaces_nodes: bool) -> Self {
        self.replaces_nodes = replaces_nodes;
        self
    }

    /// The claims as lines of JSON. Not public API.
    #[doc(hidden)]
    pub fn list_claims() -> Vec<String> {
        Claims::rten().to_json_lines()
    }

    /// The lines of the claims that the nodes of a model satisfy. Not public API.
    ///
    /// # Errors
    ///
    /// The reason why a node satisfies no claim.
    #[doc(hidden)]
    pub fn lines_of_claims(&self, model: &[u8]) -> Result<Vec<usize>, RuntimeError> {
        let (model, added) = match rewrite::rewrite(model, self.replaces_nodes) {
            Some(rewritten) => (Cow::Owned(rewritten), NewNames::of(model)),
            None => (Cow::Borrowed(model), NewNames::default()),
        };
        self.check_claims(&model, added, &[])
            .map(|coverage| coverage.lines)
    }

    fn session_threads(&self) -> SessionThreads {
        SessionThreads::new(self.threads, Arc::clone(&self.idle_threads))
    }

    fn check_claims(
        &self,
        model: &[u8],
        added: NewNames,
        external: &[(FilePath, Vec<u8>)],
    ) -> Result<Coverage, RuntimeError> {
        let changed;
        let claims = match self.claims {
            ClaimsCheck::Off => return Ok(Coverage::default()),
            ClaimsCheck::Whole => Claims::rten(),
            ClaimsCheck::Without(condition) => {
                changed = Claims::rten().without(condition);
                &changed
            }
        };
        let file = |location: &str| {
            let mut files = external.iter().enumerate();
            let found = files.find(|(number, _)| external_name(*number) == location);
            found.map(|(_, (_, bytes))| bytes.as_slice())
        };
        match claims.check_bytes(model, &file, &|name| added.contain(name)) {
            Ok(checked) => checked.map_err(|unmet| RuntimeError::unclaimed(&unmet, model)),
            Err(UnreadableGraph(why)) => Err(RuntimeError::Unloadable(why.to_owned())),
        }
    }
}

impl Default for RtenRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for RtenRuntime {
    fn id(&self) -> RuntimeId {
        RuntimeId::new("rten", RTEN_VERSION)
    }

    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        let (manifest, mut files) = version.into_parts();
        let model = files.remove(manifest.entry()).unwrap_or_default();
        let declared = DeclaredTensors::read(&model)?;
        RuntimeError::check_randomness(&manifest, &model)?;
        let probe = manifest.probe();
        let external = files.into_iter().filter(|(path, _)| Some(path) != probe);
        let external: Vec<_> = external.collect();
        let (model, limits) = in_background(|| {
            let mut options = ModelOptions::with_all_ops();
            let renamed = weights::rename(&model, &external_files(&external));
            let model = match renamed.map_err(RuntimeError::Unloadable)? {
                None => model,
                Some(renamed) => renamed,
            };
            let model = match weights::split(model, SPLIT_WEIGHTS) {
                Ok(SplitModel { graph, weights }) => {
                    options.external_data(SPLIT_WEIGHTS, weights);
                    graph
                }
                Err(model) => model,
            };
            let (model, added) = match rewrite::rewrite(&model, self.replaces_nodes) {
                Some(rewritten) => (rewritten, NewNames::of(&model)),
                None => (model, NewNames::default()),
            };
            let claimed = self.check_claims(&model, added, &external);
            // A type that no runtime serves is the better reason.
            let claimed = claimed.or_else(|why| declared.check_served(&model).and(Err(why)));
            let coverage = claimed?;
            options.enable_optimization(!coverage.misleads_optimizer);
            let limits = coverage.limits;
            for (number, (_, bytes)) in external.into_iter().enumerate() {
                options.external_data(&external_name(number), bytes);
            }
            let unloadable =
                |error: LoadError| RuntimeError::Unloadable(sanitize_for_log(error.to_string()));
            Ok::<_, RuntimeError>((options.load(model).map_err(unloadable)?, limits))
        })?;
        let mut session = RtenSession::new(model, &declared, self.session_threads())?;
        declare_outputs(&mut session.outputs, &manifest)?;
        session.limits = limits;
        Ok(Box::new(session))
    }
}

/// The names of the external files for rten, and their lengths, by path.
fn external_files(files: &[(FilePath, Vec<u8>)]) -> BTreeMap<FilePath, ExternalFile> {
    let file = |(number, (path, bytes)): (usize, &(FilePath, Vec<u8>))| {
        let length = bytes.len() as u64;
        let name = external_name(number);
        (path.clone(), ExternalFile { name, length })
    };
    files.iter().enumerate().map(file).collect()
}

fn external_name(number: usize) -> String {
    format!("external-{number}.data")
}

struct RtenSession {
    model: Arc<Model>,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    threads: SessionThreads,
    /// The inputs for which the model is known to be computed rightly.
    limits: InputLimits,
}

impl RtenSession {
    fn new(
        model: Model,
        declared: &DeclaredTensors,
        threads: SessionThreads,
    ) -> Result<Self, RuntimeError> {
        let specs = |nodes: &[NodeId]| {
            nodes
                .iter()
                .map(|&node| spec(&model, declared, node))
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
            threads,
            limits: InputLimits::WIDEST,
        })
    }
}

fn spec(
    model: &Model,
    declared: &DeclaredTensors,
    node: NodeId,
) -> Result<TensorSpec, RuntimeError> {
    let name = model.node_info(node).and_then(|info| info.name());
    let nameless = || RuntimeError::Unloadable("an input or output has no name".to_owned());
    let spec = declared.spec(name.ok_or_else(nameless)?)?;
    refuse_uncomputed(&spec)?;
    Ok(spec)
}

/// Refuses the datatypes that rten does not compute.
// rten loads DOUBLE and computes it with 32 bits: a wrong answer.
fn refuse_uncomputed(spec: &TensorSpec) -> Result<(), RuntimeError> {
    use DataType::{Bool, Fp32, Int8, Int32, Int64, Uint8};
    if let Fp32 | Int32 | Int64 | Bool | Uint8 | Int8 = spec.datatype {
        return Ok(());
    }
    Err(RuntimeError::Unservable {
        tensor: spec.name.clone(),
        why: format!(
            "expected a datatype that the runtime rten computes (FP32, INT32, INT64, BOOL, UINT8 or INT8), found {}",
            spec.datatype
        ),
    })
}

impl Session for RtenSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    // Every run computes all outputs, so rten makes an execution plan only in the first run.
    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let mut values = Vec::with_capacity(inputs.len());
        for ((&node, spec), tensor) in self.model.input_ids().iter().zip(&self.inputs).zip(inputs) {
            values.push((
                node,
                ValueOrView::Value(to_value(spec, tensor, self.limits)?),
            ));
        }
        let model = Arc::clone(&self.model);
        let outputs = self.threads.run(move |pool| {
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
        self.threads.spawn(work)
    }

    fn abandon(&self, thread: ThreadId) -> bool {
        self.threads.abandon(thread)
    }
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
    let mismatch = || {
        RunError::Failed(format!(
            "output {}: the shape does not fit the data",
            spec.name
        ))
    };
    Tensor::new(shape, data).ok_or_else(mismatch)
}

impl fmt::Debug for RtenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtenSession")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_rten_is_the_locked_one() {
        let lock = include_str!("../../Cargo.lock");
        let locked = format!("name = \"rten\"\nversion = \"{RTEN_VERSION}\"\n");
        assert!(lock.contains(&locked), "{locked}");
    }
}
