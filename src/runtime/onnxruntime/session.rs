//! A model that ONNX Runtime has loaded.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::Outlet;

use super::active_runs::{ActiveRuns, failed};
use super::one_node_model::{self, BOOL, UINT8};
use super::values::{Booleans, to_tensor, to_value};
use crate::background::in_background;
use crate::runtime::RuntimeError;
use crate::runtime::declared_tensors::DeclaredTensors;
use crate::runtime::session_threads::{IdleThreads, SessionThreads};
use crate::sanitize::sanitize_for_log;
use crate::session::{RunError, Work};
use crate::tensor::{DataType, Tensor, TensorSpec};

/// The upper limit of the size of all copies of a model, in bytes. A model that is larger is loaded
/// once.
const MAX_COPIED_BYTES: usize = 64 << 20;

/// A loaded model: sessions of ONNX Runtime, and as many threads, which run them.
pub(super) struct OnnxRuntimeSession {
    inputs: Vec<TensorSpec>,
    outputs: Arc<[TensorSpec]>,
    threads: SessionThreads,
    idle: Arc<IdleSessions>,
    active: Arc<ActiveRuns>,
}

type IdleSessions = Mutex<Vec<ModelSession>>;

/// What one run needs.
struct ModelSession {
    model: Session,
    /// Reads outputs of booleans, if the model has any.
    booleans: Option<Booleans>,
}

impl OnnxRuntimeSession {
    /// Loads a model for runs on `threads` threads in total.
    pub(super) fn load(
        environment: &Environment,
        model: Vec<u8>,
        declared: &DeclaredTensors,
        threads: NonZeroUsize,
        idle_threads: Arc<IdleThreads>,
    ) -> Result<Self, RuntimeError> {
        let sessions = MAX_COPIED_BYTES / model.len().max(1);
        let sessions = NonZeroUsize::new(sessions).unwrap_or(NonZeroUsize::MIN);
        let sessions = sessions.min(threads);
        let load = || {
            let session = || load_session(environment, &model, threads.get() / sessions);
            let loaded: Result<Vec<Session>, _> = (0..sessions.get()).map(|_| session()).collect();
            loaded.map_err(unloadable)
        };
        // A session of several threads starts them during the load. They must not inherit the
        // low priority.
        let loaded = match sessions == threads {
            true => in_background(load),
            false => load(),
        }?;
        let specs = |outlets: fn(&Session) -> &[Outlet]| {
            let outlets = loaded.first().map(outlets).unwrap_or_default();
            let specs = outlets.iter().map(|outlet| declared.spec(outlet.name()));
            specs.collect::<Result<Vec<_>, _>>()
        };
        let (inputs, outputs) = (specs(Session::inputs)?, specs(Session::outputs)?);
        if outputs.is_empty() {
            return Err(RuntimeError::Unloadable(
                "the model has no outputs".to_owned(),
            ));
        }
        let has_booleans = outputs
            .iter()
            .any(|output| output.datatype == DataType::Bool);
        let with_booleans = |model| {
            let cast = || load_session(environment, &one_node_model::cast(BOOL, UINT8), 1);
            let booleans = has_booleans.then(|| cast().map(Booleans::new)).transpose();
            let booleans = booleans.map_err(unloadable)?;
            Ok(ModelSession { model, booleans })
        };
        let idle: Result<Vec<_>, _> = loaded.into_iter().map(with_booleans).collect();
        Ok(Self {
            inputs,
            outputs: outputs.into(),
            threads: SessionThreads::new(sessions, idle_threads),
            idle: Arc::new(Mutex::new(idle?)),
            active: Arc::default(),
        })
    }

    /// The declared outputs, to complete their declarations.
    pub(super) fn outputs_mut(&mut self) -> &mut [TensorSpec] {
        Arc::make_mut(&mut self.outputs)
    }
}

/// Converts booleans into numbers, and compares the numbers with the expected ones.
pub(super) fn self_test(environment: &Environment) -> Result<(), String> {
    let run = || {
        let mut session = load_session(environment, &one_node_model::cast(BOOL, UINT8), 1)?;
        let booleans = ort::value::Tensor::from_array(([2_usize], vec![true, false]))?;
        let outputs = session.run(&[SessionInputValue::from(booleans)][..])?;
        Ok(outputs[0].try_extract_tensor::<u8>()?.1.to_vec())
    };
    match run().map_err(|error: ort::Error| error.to_string())?[..] {
        [1, 0] => Ok(()),
        ref found => Err(format!(
            "a model for a test gave a wrong answer: expected [1, 0], found {found:?}"
        )),
    }
}

fn unloadable(error: ort::Error) -> RuntimeError {
    RuntimeError::Unloadable(sanitize_for_log(error))
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
        let run = self.active.begin(thread::current().id())?;
        self.threads
            .run(move |_| Borrowed::take(idle)?.run(&values, &outputs, &run.options))
    }

    fn spawn(&self, work: Work) -> Result<(), Work> {
        self.threads.spawn(work)
    }

    /// Asks the run to end before its next operator. Returns false: the present operator can take
    /// any time.
    fn abandon(&self, thread: ThreadId) -> bool {
        self.active.terminate(thread);
        false
    }
}

/// A session that one run uses. It is idle again afterwards, even if the run panics.
struct Borrowed {
    session: Option<ModelSession>,
    idle: Arc<IdleSessions>,
}

impl Borrowed {
    fn take(idle: Arc<IdleSessions>) -> Result<Self, RunError> {
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
        options: &RunOptions,
    ) -> Result<Vec<Tensor>, RunError> {
        let Some(ModelSession { model, booleans }) = &mut self.session else {
            return Ok(Vec::new());
        };
        let outputs = model.run_with_options(inputs, options).map_err(failed)?;
        let outputs = outputs.values().zip(specs);
        outputs
            .map(|(value, spec)| to_tensor(spec, &value, booleans.as_mut()))
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

fn lock(idle: &IdleSessions) -> MutexGuard<'_, Vec<ModelSession>> {
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
