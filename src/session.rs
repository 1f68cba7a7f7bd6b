//! Sessions: loaded models that answer requests.

use std::thread::ThreadId;

use thiserror::Error;

use crate::Reason;
use crate::panics::catch;
use crate::tensor::{Tensor, TensorSpec};

/// A loaded model, which several threads can run at the same time.
pub trait Session: Send + Sync {
    /// The inputs that the model declares, in order.
    fn inputs(&self) -> &[TensorSpec];

    /// The outputs that the model declares, in order.
    fn outputs(&self) -> &[TensorSpec];

    /// Runs the model once. The caller passes one tensor for each declared [input](Self::inputs),
    /// in the same order. Each tensor fits its declaration. The result has one tensor for each
    /// declared [output](Self::outputs), in the same order.
    ///
    /// The server calls this method on an [`Executor`](crate::Executor), so the method is allowed
    /// to block. A panic is caught and reported as [`RunError::Panicked`].
    ///
    /// # Errors
    ///
    /// [`RunError::Refused`] when an input has a value that the model cannot take. This error is
    /// the caller's fault. Any other error can be the fault of the model or of the caller. Before
    /// such errors open the model's circuit breaker, the server runs the version's probe or the
    /// last answered input.
    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError>;

    /// Queues `work` on one of the session's own threads and returns at once. The work calls
    /// [`run`](Self::run). The default implementation is for sessions without threads: it returns
    /// the work as the error.
    ///
    /// Work on the session's own threads needs two thread switches fewer than work on the threads
    /// of an executor. A session must run all work that it accepts. It should run the work in order
    /// of arrival, and may accept more work than it has threads.
    ///
    /// A session that wraps another one should forward this call. Otherwise, requests wait inside
    /// of [`run`](Self::run), where the wait counts as a part of the run.
    ///
    /// # Errors
    ///
    /// The work itself, which was not started.
    fn spawn(&self, work: Work) -> Result<(), Work> {
        Err(work)
    }

    /// Says that no caller waits any more for the result of the work that runs on `thread`. The
    /// session can then let other work run before it. Returns whether it does so: whether the next
    /// work begins soon, as if this work had ended. The default implementation does nothing and
    /// returns false.
    ///
    /// The server calls this method at most once for each work. `thread` can be a thread that does
    /// not belong to the session, if an executor ran the work. The work does not end during the
    /// call, so the call must not wait for it.
    ///
    /// A session that forwards [`spawn`](Self::spawn) to another one should forward this call, too.
    fn abandon(&self, thread: ThreadId) -> bool {
        let _ = thread;
        false
    }
}

/// Work that runs once, possibly on another thread.
pub type Work = Box<dyn FnOnce() + Send>;

/// The reason why a run gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The model cannot take a value of an input. Or an input is not finite, and so is an output
    /// that must be finite.
    #[error("input {input}: {why}")]
    Refused {
        /// The name of the input.
        input: String,
        /// The reason why the model cannot take the value.
        why: String,
    },
    /// The model failed with an error.
    #[error("the model failed: {0}")]
    Failed(String),
    /// The process of the model had no memory for the run.
    #[error("the model ran out of memory: {0}")]
    OutOfMemory(String),
    /// The worker that ran the model died, or no worker could be started.
    #[error("{why}")]
    WorkerDied {
        /// How the worker died.
        why: String,
        /// Whether the death can be the fault of the model or of the request. Then the failure
        /// counts like any other one.
        is_judged: bool,
    },
    /// The model panicked.
    #[error("the model panicked: {0}")]
    Panicked(String),
    /// The datatype of an output differs from the model's declaration.
    #[error("output {output}: expected {expected}, found {found}")]
    UnexpectedOutput {
        /// The name of the output.
        output: String,
        /// The declared datatype.
        expected: String,
        /// The actual datatype.
        found: String,
    },
    /// The number of dimensions of an output differs from the model's declaration.
    ///
    /// `output_ranks` in the [`Manifest`](crate::Manifest) overrides a wrong declaration.
    #[error("output {output}: expected {expected} dimensions, found {found} dimensions")]
    UnexpectedRank {
        /// The name of the output.
        output: String,
        /// The declared number of dimensions.
        expected: usize,
        /// The actual number of dimensions.
        found: usize,
    },
    /// An output contains a value that is infinite or not a number, and the version's manifest does
    /// not [allow](crate::Manifest::allow_nonfinite) it.
    #[error(
        "output {output}: the value at {position} is {found}, expected a finite one; `clarity add --allow-nonfinite {output}` allows others"
    )]
    NotFinite {
        /// The name of the output.
        output: String,
        /// The index of the first value that is not finite, counted from 0 in row-major order.
        position: usize,
        /// The value at that index.
        found: f32,
    },
}

impl RunError {
    /// Whether the error says nothing about the model, nor about the request.
    pub(crate) fn is_from_outside(&self) -> bool {
        matches!(
            self,
            Self::WorkerDied {
                is_judged: false,
                ..
            }
        )
    }

    /// The reason of the failure that this error causes.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::OutOfMemory(_) => Reason::OutOfMemory,
            Self::WorkerDied { .. } => Reason::WorkerDied,
            _ => Reason::InferenceFailed,
        }
    }
}

/// Runs a session, turns its panics into errors, and checks its outputs.
pub(crate) fn run(session: &dyn Session, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
    let not_finite = first_not_finite(session.inputs(), &inputs);
    let outputs =
        catch(|| session.run(inputs)).unwrap_or_else(|panic| Err(RunError::Panicked(panic)))?;
    check_outputs(session.outputs(), &outputs).map_err(|error| blame_input(error, not_finite))?;
    Ok(outputs)
}

/// An input with a value that is infinite or not a number: its name, the value's index, and the
/// value.
fn first_not_finite(specs: &[TensorSpec], inputs: &[Tensor]) -> Option<(String, usize, f32)> {
    specs.iter().zip(inputs).find_map(|(spec, input)| {
        let (position, found) = input.first_not_finite()?;
        Some((spec.name.clone(), position, found))
    })
}

/// Turns an output that is not finite into an error of the request, if an input was not finite.
// Nearly all models answer NaN for NaN, so such an answer says nothing about the model.
fn blame_input(error: RunError, not_finite: Option<(String, usize, f32)>) -> RunError {
    match (error, not_finite) {
        (error @ RunError::NotFinite { .. }, Some((input, position, found))) => RunError::Refused {
            input,
            why: format!("the value at {position} is {found}, which gave {error}"),
        },
        (error, _) => error,
    }
}

/// Checks that the outputs fit the model's declaration. They must also be finite, unless the
/// declaration allows other values.
// A wrong answer is worse than no answer.
fn check_outputs(specs: &[TensorSpec], outputs: &[Tensor]) -> Result<(), RunError> {
    if specs.len() != outputs.len() {
        return Err(RunError::Failed(format!(
            "expected {} outputs, found {}",
            specs.len(),
            outputs.len()
        )));
    }
    for (spec, tensor) in specs.iter().zip(outputs) {
        let output = || spec.name.clone();
        if spec.datatype != tensor.datatype() {
            return Err(RunError::UnexpectedOutput {
                output: output(),
                expected: spec.datatype.to_string(),
                found: tensor.datatype().to_string(),
            });
        }
        if let Some(shape) = &spec.shape
            && shape.len() != tensor.shape().len()
        {
            return Err(RunError::UnexpectedRank {
                output: output(),
                expected: shape.len(),
                found: tensor.shape().len(),
            });
        }
        if !spec.allow_nonfinite
            && let Some((position, found)) = tensor.first_not_finite()
        {
            return Err(RunError::NotFinite {
                output: output(),
                position,
                found,
            });
        }
    }
    Ok(())
}
