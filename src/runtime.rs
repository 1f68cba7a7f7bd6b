//! What turns verified bytes into answers.

mod lane;
mod onnx;
mod signature;
mod tensor;
mod warm_up;
mod weights;

use std::fmt;

use thiserror::Error;

pub use self::onnx::OnnxRuntime;
pub(crate) use self::tensor::element_count;
pub use self::tensor::{DataType, Dimension, Tensor, TensorData, TensorSpec};
use self::warm_up::warm_up;
use crate::panics::catch;
use crate::{Probe, ProbeError, VerifiedVersion};

/// Loads models. [`OnnxRuntime`] is the one that comes with the server; another can wrap it or take its place.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Makes a session of a verified version.
    ///
    /// Called on an [`Executor`](crate::Executor), so it may block. A panic is caught and reported as
    /// [`RuntimeError::Panicked`].
    ///
    /// # Errors
    ///
    /// When the runtime cannot serve these bytes: see [`RuntimeError`].
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError>;
}

/// A loaded model, ready to run, by several threads at once.
pub trait Session: Send + Sync {
    /// What it takes, in order.
    fn inputs(&self) -> &[TensorSpec];

    /// What it gives, in order.
    fn outputs(&self) -> &[TensorSpec];

    /// Runs the model once: one tensor for each of [`inputs`](Self::inputs), in that order and fitting it; gives one
    /// for each of [`outputs`](Self::outputs), in that order.
    ///
    /// Called on an [`Executor`](crate::Executor), so it may block. A panic is caught and reported as
    /// [`RunError::Panicked`].
    ///
    /// # Errors
    ///
    /// [`RunError::Refused`] when a value cannot be given to the model, which is the caller's fault; anything else is
    /// the model's.
    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError>;

    /// Does `work`, which calls [`run`](Self::run), on a thread of the session's own when its turn comes, and returns at
    /// once; gives it back if the session has no threads of its own, as here.
    ///
    /// A session that has some saves each run the way from one thread to another and back. It must do all work that
    /// it takes.
    ///
    /// # Errors
    ///
    /// The work itself, untouched.
    fn spawn(&self, work: Work) -> Result<(), Work> {
        Err(work)
    }
}

/// Something to be done once, on another thread.
pub type Work = Box<dyn FnOnce() + Send>;

/// Why a runtime does not load a verified version.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The bytes are not a model that the runtime can run.
    #[error("the runtime cannot load the model: {0}")]
    Unloadable(String),
    /// An input or output has a form that the server does not serve.
    #[error("{tensor}: {why}")]
    Unservable {
        /// The input or output.
        tensor: String,
        /// What about it.
        why: String,
    },
    /// The runtime panicked.
    #[error("the runtime panicked while loading: {0}")]
    Panicked(String),
    /// The model failed its first pass, on inputs made up for it.
    #[error("the warm-up failed: {0}")]
    WarmUp(#[source] RunError),
    /// The model does not answer its probe as was recorded.
    #[error("the probe failed: {0}")]
    Probe(#[source] ProbeError),
}

/// Why a run gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// A value of an input cannot be given to this model. The model was not run.
    #[error("input {input}: {why}")]
    Refused {
        /// The input.
        input: String,
        /// What about it.
        why: String,
    },
    /// The model failed.
    #[error("the model failed: {0}")]
    Failed(String),
    /// The model panicked.
    #[error("the model panicked: {0}")]
    Panicked(String),
    /// An output is not what the model declares.
    #[error("output {output}: expected {expected}, found {found}")]
    UnexpectedOutput {
        /// The output.
        output: String,
        /// What the model declares.
        expected: String,
        /// What came.
        found: String,
    },
    /// An output has an infinity or something that is not a number.
    #[error("output {output}: the value at {position} is {found}, expected a finite one")]
    NotFinite {
        /// The output.
        output: String,
        /// The place of the first such value, counted from 0 in row-major order.
        position: usize,
        /// The value.
        found: f32,
    },
}

/// Loads a version and runs it once, on its probe or else on made-up inputs, as a server does before it serves it.
///
/// # Errors
///
/// Why a server would refuse it.
pub fn try_version(
    runtime: &dyn Runtime,
    version: VerifiedVersion,
) -> Result<Box<dyn Session>, RuntimeError> {
    try_with_probe(runtime, version).map(|(session, _)| session)
}

/// The same; gives the probe too, so that the session can be probed again.
pub(crate) fn try_with_probe(
    runtime: &dyn Runtime,
    version: VerifiedVersion,
) -> Result<(Box<dyn Session>, Option<Probe>), RuntimeError> {
    let probe = version.probe().map_err(RuntimeError::Probe)?;
    let session = load(runtime, version)?;
    match &probe {
        Some(probe) => probe.run(&*session).map_err(RuntimeError::Probe)?,
        None => warm_up(&*session)?,
    }
    Ok((session, probe))
}

/// Loads, with panics caught, whatever the runtime.
fn load(runtime: &dyn Runtime, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
    catch(|| runtime.load(version)).unwrap_or_else(|panic| Err(RuntimeError::Panicked(panic)))
}

/// Runs, with panics caught and the outputs checked, whatever the runtime.
pub(crate) fn run(session: &dyn Session, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
    let outputs =
        catch(|| session.run(inputs)).unwrap_or_else(|panic| Err(RunError::Panicked(panic)))?;
    check_outputs(session.outputs(), &outputs)?;
    Ok(outputs)
}

/// A wrong answer is worse than none: what does not fit the model's own declaration, or cannot be a number, is no answer.
fn check_outputs(specs: &[TensorSpec], outputs: &[Tensor]) -> Result<(), RunError> {
    if specs.len() != outputs.len() {
        return Err(RunError::Failed(format!(
            "expected {} outputs, found {}",
            specs.len(),
            outputs.len()
        )));
    }
    for (spec, tensor) in specs.iter().zip(outputs) {
        let unexpected = |expected, found| RunError::UnexpectedOutput {
            output: spec.name.clone(),
            expected,
            found,
        };
        if spec.datatype != tensor.datatype() {
            return Err(unexpected(
                spec.datatype.to_string(),
                tensor.datatype().to_string(),
            ));
        }
        if let Some(shape) = &spec.shape
            && shape.len() != tensor.shape().len()
        {
            let (expected, found) = (shape.len(), tensor.shape().len());
            return Err(unexpected(
                format!("{expected} dimensions"),
                format!("{found} dimensions"),
            ));
        }
        if let Some((position, found)) = tensor.first_not_finite() {
            return Err(RunError::NotFinite {
                output: spec.name.clone(),
                position,
                found,
            });
        }
    }
    Ok(())
}
