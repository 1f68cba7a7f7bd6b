//! A model that ONNX Runtime has loaded.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{Session, SessionInputValue};

use super::super::RuntimeError;
use super::super::declared_tensors::DeclaredTensors;
use super::super::session_threads::SessionThreads;
use super::values::{to_tensor, to_value};
use crate::background::in_background;
use crate::sanitize::sanitize_for_log;
use crate::session::{RunError, Work};
use crate::tensor::{Tensor, TensorSpec};

/// The upper limit of the size of all copies of a model, in bytes. A model that is larger is loaded
/// once.
const MAX_COPIED_BYTES: usize = 64 << 20;

/// A loaded model: sessions of ONNX Runtime, and as many threads, which run them.
pub(super) struct OnnxRuntimeSession {
    inputs: Vec<TensorSpec>,
    outputs: Arc<[TensorSpec]>,
    threads: SessionThreads,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl OnnxRuntimeSession {
    /// Loads a model for runs on `threads` threads in total.
    pub(super) fn load(
        environment: &Environment,
        model: Vec<u8>,
        declared: &DeclaredTensors,
        threads: NonZeroUsize,
    ) -> Result<Self, RuntimeError> {
        let sessions = MAX_COPIED_BYTES / model.len().max(1);
        let sessions = NonZeroUsize::new(sessions).unwrap_or(NonZeroUsize::MIN);
        let sessions = sessions.min(threads);
        let load = || {
            let session = || load_session(environment, &model, threads.get() / sessions);
            let loaded: Result<Vec<Session>, _> = (0..sessions.get()).map(|_| session()).collect();
            loaded.map_err(|error| RuntimeError::Unloadable(sanitize_for_log(error)))
        };
        // A session of several threads starts them during the load. They must not inherit the
        // low priority.
        let loaded = match sessions == threads {
            true => in_background(load),
            false => load(),
        }?;
        let outlets = |outlets: &[ort::value::Outlet]| {
            let specs = outlets.iter().map(|outlet| declared.spec(outlet.name()));
            specs.collect::<Result<Vec<_>, _>>()
        };
        let first = loaded.first();
        let inputs = first.map_or(Ok(Vec::new()), |first| outlets(first.inputs()))?;
        let outputs = first.map_or(Ok(Vec::new()), |first| outlets(first.outputs()))?;
        if outputs.is_empty() {
            return Err(RuntimeError::Unloadable(
                "the model has no outputs".to_owned(),
            ));
        }
        Ok(Self {
            inputs,
            outputs: outputs.into(),
            threads: SessionThreads::new(sessions)?,
            idle: Arc::new(Mutex::new(loaded)),
        })
    }

    /// The declared outputs, to complete their declarations.
    pub(super) fn outputs_mut(&mut self) -> &mut [TensorSpec] {
        Arc::make_mut(&mut self.outputs)
    }
}

/// Loads one session, whose runs use this number of threads.
fn load_session(
    environment: &Environment,
    model: &[u8],
    threads: usize,
) -> Result<Session, ort::Error> {
    Session::builder(environment)?
        .with_log_level(LogLevel::Error)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        // A thread that spins takes time from the other models.
        .with_intra_op_spinning(false)?
        // Without this entry, bytes in the format of ONNX Runtime itself are a model, too.
        .with_config_entry("session.load_model_format", "ONNX")?
        .commit_from_memory(model)
}

impl crate::Session for OnnxRuntimeSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let mut values = Vec::with_capacity(inputs.len());
        for (spec, tensor) in self.inputs.iter().zip(inputs) {
            values.push(SessionInputValue::from(to_value(spec, tensor)?));
        }
        let (idle, outputs) = (Arc::clone(&self.idle), Arc::clone(&self.outputs));
        self.threads
            .run(move |_| Borrowed::take(idle)?.run(&values, &outputs))
    }

    fn spawn(&self, work: Work) -> Result<(), Work> {
        self.threads.spawn(work);
        Ok(())
    }
}

/// A session that one run uses. Returned to the idle ones afterwards, even if the run panics.
struct Borrowed {
    session: Option<Session>,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl Borrowed {
    fn take(idle: Arc<Mutex<Vec<Session>>>) -> Result<Self, RunError> {
        let session = lock(&idle).pop();
        // There are as many sessions as threads, and a thread runs one request at a time.
        if session.is_none() {
            return Err(RunError::Failed("all its sessions are in use".to_owned()));
        }
        Ok(Self { session, idle })
    }

    fn run(
        &mut self,
        inputs: &[SessionInputValue<'_>],
        specs: &[TensorSpec],
    ) -> Result<Vec<Tensor>, RunError> {
        let failed = |error: ort::Error| RunError::Failed(sanitize_for_log(error));
        let Some(session) = &mut self.session else {
            return Ok(Vec::new());
        };
        let outputs = session.run(inputs).map_err(failed)?;
        let outputs = outputs.values().zip(specs);
        outputs
            .map(|(value, spec)| to_tensor(spec, &value))
            .collect()
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            lock(&self.idle).push(session);
        }
    }
}

fn lock(idle: &Mutex<Vec<Session>>) -> std::sync::MutexGuard<'_, Vec<Session>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for OnnxRuntimeSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxRuntimeSession")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}
