//! Runtimes: they make sessions of verified bytes.

mod declared_tensors;
mod onnx;
mod session_threads;
mod warm_up;
mod weights;

use std::fmt;

use thiserror::Error;

pub use self::onnx::OnnxRuntime;
use self::warm_up::warm_up;
use crate::panics::catch;
use crate::{Probe, ProbeError, RunError, Session, VerifiedVersion};

/// Loads models. The server comes with [`OnnxRuntime`]; another can wrap or replace it.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Makes a session of a verified version.
    ///
    /// Called on an [`Executor`](crate::Executor), so it may block. A panic is caught and reported
    /// as [`RuntimeError::Panicked`].
    ///
    /// # Errors
    ///
    /// When the runtime cannot serve these bytes: see [`RuntimeError`].
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError>;
}

/// Why a runtime does not load a verified version.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The bytes are not a model that the runtime can run.
    #[error("the runtime cannot load the model: {0}")]
    Unloadable(String),
    /// The server cannot serve an input or output of this form.
    #[error("{tensor}: {why}")]
    Unservable {
        /// The input or output.
        tensor: String,
        /// The reason.
        why: String,
    },
    /// The runtime panicked.
    #[error("the runtime panicked while loading: {0}")]
    Panicked(String),
    /// The model failed its warm-up, on generated inputs.
    #[error("the warm-up failed: {0}")]
    WarmUp(#[source] RunError),
    /// The model's answer to its probe differs from the recorded one.
    #[error("the probe failed: {0}")]
    Probe(#[source] ProbeError),
}

/// Loads a version and runs it once, as a server does before it serves it: on its probe, or else on
/// generated inputs.
///
/// # Errors
///
/// Why a server would refuse the version.
pub fn try_version(
    runtime: &dyn Runtime,
    version: VerifiedVersion,
) -> Result<Box<dyn Session>, RuntimeError> {
    try_with_probe(runtime, version).map(|(session, _)| session)
}

/// The same; also returns the probe, for later probes of the session.
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

/// Loads a version and catches a panic of the runtime.
fn load(runtime: &dyn Runtime, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
    catch(|| runtime.load(version)).unwrap_or_else(|panic| Err(RuntimeError::Panicked(panic)))
}
