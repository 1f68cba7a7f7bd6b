//! Model runtimes, which make sessions from verified bytes.

mod declared_tensors;
mod onnx;
mod protobuf;
mod rewrite;
mod session_threads;
mod trial;
mod warm_up;
mod weights;

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

pub use self::onnx::OnnxRuntime;
pub use self::trial::Trial;
pub(crate) use self::trial::{DEFAULT_WARM_UP, TrialOptions, TriedVersion, try_with};
use crate::panics::catch;
use crate::{NonFiniteOutputs, ProbeError, RunError, Session, TensorSpec, VerifiedVersion};

/// Loads models. The server comes with [`OnnxRuntime`]; another model runtime can wrap or replace
/// it.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Makes a session from a verified version.
    ///
    /// The server calls this method on an [`Executor`](crate::Executor), so the method is allowed
    /// to block. A panic is caught and reported as [`RuntimeError::Panicked`].
    ///
    /// The runtime sets [`TensorSpec::allow_nonfinite`] of each output that the manifest
    /// [declares](crate::Manifest::allow_nonfinite).
    ///
    /// # Errors
    ///
    /// When the runtime cannot serve the bytes of the version: see [`RuntimeError`].
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError>;
}

/// The reason why a runtime does not load a verified version.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The bytes are not a model that the runtime can run.
    #[error("the runtime cannot load the model: {0}")]
    Unloadable(String),
    /// The server cannot serve an input or output of the model.
    #[error("{tensor}: {why}")]
    Unservable {
        /// The name of the input or output.
        tensor: String,
        /// The reason why the server cannot serve the input or output.
        why: String,
    },
    /// The runtime panicked during the load.
    #[error("the runtime panicked while loading: {0}")]
    Panicked(String),
    /// An output of a run on generated inputs does not have the declared datatype or rank, or is
    /// not finite.
    #[error("the warm-up failed: {}{}", .0, remedy(.0))]
    WarmUp(#[source] RunError),
    /// The model did not pass its probe.
    #[error("the probe failed: {}{}", .0, remedy_of_probe(.0))]
    Probe(#[source] ProbeError),
}

fn remedy_of_probe(error: &ProbeError) -> String {
    match error {
        ProbeError::Run(error @ RunError::UnexpectedRank { .. }) => remedy(error),
        _ => String::new(),
    }
}

/// How to serve a good model that failed its warm-up.
fn remedy(error: &RunError) -> String {
    match error {
        RunError::NotFinite { .. } => {
            ": if real inputs do not do this, publish the version with a probe".to_owned()
        }
        RunError::UnexpectedRank { output, found, .. } => {
            format!(": to override the declaration, publish with --output-rank {output}={found}")
        }
        _ => String::new(),
    }
}

/// Loads a version and runs its probe. Runs the model on generated inputs instead if the version
/// has no probe. A server does the same before it serves a version.
///
/// A version without a probe that refuses each generated input is not an error.
///
/// # Errors
///
/// The reason why a server would refuse the version.
pub fn try_version(
    runtime: &dyn Runtime,
    version: VerifiedVersion,
) -> Result<Box<dyn Session>, RuntimeError> {
    try_with(runtime, version, &TrialOptions::default()).map(|tried| tried.session)
}

/// Loads a version, and turns a panic of the runtime into an error. Checks that the outputs in the
/// manifest's declaration exist.
fn load(runtime: &dyn Runtime, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
    let allow_nonfinite = version.manifest().allow_nonfinite().cloned();
    let session = catch(|| runtime.load(version))
        .unwrap_or_else(|panic| Err(RuntimeError::Panicked(panic)))?;
    if let Some(NonFiniteOutputs::Named(names)) = allow_nonfinite {
        check_nonfinite(&names, session.outputs())?;
    }
    Ok(session)
}

/// Checks that each name is the name of a floating-point output.
fn check_nonfinite(names: &BTreeSet<String>, outputs: &[TensorSpec]) -> Result<(), RuntimeError> {
    for name in names {
        let found = match outputs.iter().find(|output| output.name == *name) {
            Some(output) if output.datatype.is_floating_point() => continue,
            Some(output) => format!("the datatype {}", output.datatype),
            None => {
                let outputs = outputs.iter().map(|output| &*output.name);
                format!("only {}", outputs.collect::<Vec<_>>().join(", "))
            }
        };
        return Err(RuntimeError::Unservable {
            tensor: name.clone(),
            why: format!(
                "allow_nonfinite: expected a floating-point output of this name, found {found}"
            ),
        });
    }
    Ok(())
}
