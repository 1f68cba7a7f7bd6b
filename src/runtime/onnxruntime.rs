//! Runs ONNX models with ONNX Runtime.

mod active_runs;
mod library;
mod one_node_model;
mod session;
mod values;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

pub use self::library::LibraryError;
use self::library::LoadedLibrary;
use self::session::OnnxRuntimeSession;
use super::declared_tensors::DeclaredTensors;
use super::default_threads;
use super::manifest_outputs::declare_outputs;
use super::session_threads::IdleThreads;
use super::weights::verified_model;
use super::{Runtime, RuntimeError};
use crate::sanitize::sanitize_for_log;
use crate::{Digest, RuntimeId, VerifiedVersion};

/// Runs ONNX models with [ONNX Runtime](https://onnxruntime.ai), in this process.
///
/// The operator provides the shared library. A process loads at most one library, and never unloads
/// it. Nothing else in the process may load ONNX Runtime through the crate `ort`.
///
/// Like [`RtenRuntime`](crate::RtenRuntime), each loaded model has threads of its own, which take
/// requests in order of arrival. A session of ONNX Runtime runs one request at a time, so a small
/// model is loaded once for each thread. The copies take at most 64 MiB. A larger model is loaded
/// fewer times, and each run uses several threads.
///
/// A model is refused if it has a form of an operator that ONNX Runtime is known to compute
/// wrongly: [`RuntimeError::Excepted`].
///
/// ONNX Runtime is C++: a fault in it can end this process. [`Vetting`](crate::Vetting) in a child
/// process finds models that crash when they load or run for the first time.
// Needs no unsafe code: `ort` wraps the calls. It takes `&mut Session` for a run because concurrent
// runs of one session are not safe in each build of ONNX Runtime.
#[derive(Clone, Debug)]
pub struct OnnxRuntimeLibrary {
    loaded: LoadedLibrary,
    threads: NonZeroUsize,
    idle_threads: Arc<IdleThreads>,
}

impl OnnxRuntimeLibrary {
    /// Loads the shared library at `path` if its SHA-256 is `expected`.
    ///
    /// On Linux, the loaded bytes are the verified ones: they are copied into memory that nothing
    /// can change, and loaded from there. On other systems, the file must not change between its
    /// verification and its load.
    ///
    /// The first call loads the library. A later call with the same digest only checks that the
    /// environment variable of the telemetry is set.
    ///
    /// # Errors
    ///
    /// See [`LibraryError`].
    pub fn open(path: &Path, expected: Digest) -> Result<Self, LibraryError> {
        Ok(Self {
            loaded: library::load(path, expected)?,
            threads: default_threads(),
            idle_threads: Arc::default(),
        })
    }

    /// Sets the number of threads of each session.
    #[must_use]
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// The SHA-256 of the library.
    pub fn digest(&self) -> Digest {
        self.loaded.digest
    }

    /// The version of the library, such as `1.32.0`; empty if it is unknown.
    pub fn version(&self) -> &str {
        &self.loaded.version
    }

    /// Runs a small model.
    pub(crate) fn self_test(&self) -> Result<(), String> {
        session::self_test(&self.loaded.environment).map_err(sanitize_for_log)
    }
}

impl Runtime for OnnxRuntimeLibrary {
    fn id(&self) -> RuntimeId {
        RuntimeId::new("onnxruntime", self.version())
    }

    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn crate::Session>, RuntimeError> {
        let (manifest, files) = version.into_parts();
        let model = verified_model(&manifest, files).map_err(RuntimeError::Unloadable)?;
        let declared = DeclaredTensors::read(&model)?;
        // The crate `ort` panics at some types that are no tensors.
        declared.check_types()?;
        RuntimeError::check_randomness(&manifest, &model)?;
        RuntimeError::check_exceptions(self.id(), &model)?;
        let environment = &self.loaded.environment;
        let (threads, idle_threads) = (self.threads, Arc::clone(&self.idle_threads));
        let session =
            OnnxRuntimeSession::load(environment, model, &declared, threads, idle_threads);
        let mut session = session?;
        declare_outputs(session.outputs_mut(), &manifest)?;
        Ok(Box::new(session))
    }
}
