//! A wrapper of the real model runtime, in which runs fail on demand.

use crate::{LIMIT, until};
use clarity::{
    RtenRuntime, RunError, Runtime, RuntimeError, RuntimeId, Session, Tensor, TensorData,
    TensorSpec, VerifiedVersion, Work,
};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// The behaviour of one run of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Behaviour {
    /// The run behaves as the model does.
    #[default]
    Normal,
    /// The run gives an error.
    Error,
    /// The run panics.
    Panic,
    /// The last number of the run's first output is NaN.
    NotFinite,
    /// Like [`NotFinite`](Self::NotFinite) for one run; later runs are normal.
    NotFiniteOnce,
    /// The run hangs until it is released, but at most for [`LIMIT`].
    Hang,
}

/// A value that makes an FP32 input poisonous: see [`FaultSwitch::poison`].
pub const POISON: f32 = 3e38;

/// Sets the behaviour of the sessions of its [`runtime`](Self::runtime), and counts their runs.
#[derive(Debug, Default)]
pub struct FaultSwitch {
    state: Arc<SwitchState>,
}

/// Loads models with the real runtime. Each run of a session behaves as its switch is set.
#[derive(Debug)]
pub struct FaultyRuntime {
    inner: RtenRuntime,
    /// Whether runs wait for the session's own threads.
    is_queued: bool,
    /// Whether abandoned runs keep their threads.
    is_stubborn: bool,
    /// The only model that follows the switch; `None` for all models.
    only: Option<String>,
    state: Arc<SwitchState>,
}

impl FaultyRuntime {
    /// Models other than `model` run as usual, and are not counted.
    #[must_use]
    pub fn only(self, model: &str) -> Self {
        let only = Some(model.to_owned());
        Self { only, ..self }
    }

    /// Abandoned runs keep their threads until they end, as in a session that does not implement
    /// [`Session::abandon`].
    #[must_use]
    pub fn stubborn(self) -> Self {
        let is_stubborn = true;
        Self {
            is_stubborn,
            ..self
        }
    }
}

#[derive(Debug)]
struct SwitchState {
    behaviour: Mutex<Behaviour>,
    /// The behaviour of runs on poisonous inputs; `None` if they behave as all others.
    poison: Mutex<Option<Behaviour>>,
    runs: AtomicUsize,
    release: Mutex<Option<Sender<()>>>,
    /// Receives an error once the sender `release` is dropped.
    released: Mutex<Receiver<()>>,
}

impl Default for SwitchState {
    fn default() -> Self {
        let (release, released) = channel();
        Self {
            behaviour: Mutex::default(),
            poison: Mutex::default(),
            runs: AtomicUsize::new(0),
            release: Mutex::new(Some(release)),
            released: Mutex::new(released),
        }
    }
}

impl FaultSwitch {
    /// A switch set to [`Behaviour::Normal`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A runtime whose sessions follow this switch.
    #[must_use]
    pub fn runtime(&self) -> FaultyRuntime {
        FaultyRuntime {
            inner: RtenRuntime::new(),
            is_queued: false,
            is_stubborn: false,
            only: None,
            state: Arc::clone(&self.state),
        }
    }

    /// Like [`runtime`](Self::runtime), with `threads` threads for each session. Further runs wait
    /// in the queue, as with the real runtime. The sessions of [`runtime`](Self::runtime) have no
    /// queue: their runs occupy the threads of the executor.
    ///
    /// # Panics
    ///
    /// When `threads` is 0.
    #[must_use]
    pub fn queued_runtime(&self, threads: usize) -> FaultyRuntime {
        let threads = NonZeroUsize::new(threads).expect("a session has at least one thread");
        FaultyRuntime {
            inner: RtenRuntime::new().threads(threads),
            is_queued: true,
            is_stubborn: false,
            only: None,
            state: Arc::clone(&self.state),
        }
    }

    /// Sets the behaviour of all runs that begin from now on.
    pub fn set(&self, behaviour: Behaviour) {
        *lock(&self.state.behaviour) = behaviour;
    }

    /// Sets the behaviour of all later runs whose first input contains [`POISON`]. The behaviour of
    /// other runs stays.
    pub fn poison(&self, behaviour: Behaviour) {
        *lock(&self.state.poison) = Some(behaviour);
    }

    /// The number of runs so far, including warm-ups.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.state.runs.load(Ordering::SeqCst)
    }

    /// Waits until the number of runs, including warm-ups, is at least `runs`.
    pub async fn until_runs(&self, runs: usize) {
        until("a run of the model", || self.runs() >= runs).await;
    }

    /// Ends one run that hangs, or the next one that would hang.
    pub fn release_one(&self) {
        if let Some(release) = &*lock(&self.state.release) {
            // The receiver lives as long as this switch.
            let _ = release.send(());
        }
    }

    /// Ends all runs that hang, and all that would hang later.
    pub fn release(&self) {
        lock(&self.state.release).take();
    }
}

impl Runtime for FaultyRuntime {
    fn id(&self) -> RuntimeId {
        self.inner.id()
    }

    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        let model = version.manifest().model().as_str();
        let is_other = self.only.as_ref().is_some_and(|only| only != model);
        let session = self.inner.load(version)?;
        if is_other {
            return Ok(session);
        }
        Ok(Box::new(FaultySession {
            session,
            is_queued: self.is_queued,
            is_stubborn: self.is_stubborn,
            state: Arc::clone(&self.state),
        }))
    }
}

struct FaultySession {
    session: Box<dyn Session>,
    is_queued: bool,
    is_stubborn: bool,
    state: Arc<SwitchState>,
}

impl Session for FaultySession {
    fn inputs(&self) -> &[TensorSpec] {
        self.session.inputs()
    }

    fn outputs(&self) -> &[TensorSpec] {
        self.session.outputs()
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        self.state.runs.fetch_add(1, Ordering::SeqCst);
        let poison = lock(&self.state.poison).filter(|_| is_poisonous(&inputs));
        let behaviour = poison.unwrap_or(*lock(&self.state.behaviour));
        match behaviour {
            Behaviour::Normal => self.session.run(inputs),
            Behaviour::Error => Err(RunError::Failed("an injected error".to_owned())),
            Behaviour::Panic => panic!("an injected panic"),
            Behaviour::NotFinite => Ok(not_finite(self.session.run(inputs)?)),
            Behaviour::NotFiniteOnce => {
                *lock(&self.state.behaviour) = Behaviour::Normal;
                Ok(not_finite(self.session.run(inputs)?))
            }
            Behaviour::Hang => {
                // A failed test waits for its threads, so no run may hang forever.
                let _ = lock(&self.state.released).recv_timeout(LIMIT);
                self.session.run(inputs)
            }
        }
    }

    fn spawn(&self, work: Work) -> Result<(), Work> {
        match self.is_queued {
            true => self.session.spawn(work),
            false => Err(work),
        }
    }

    fn abandon(&self, thread: ThreadId) -> bool {
        !self.is_stubborn && self.session.abandon(thread)
    }
}

fn is_poisonous(inputs: &[Tensor]) -> bool {
    let first = inputs.first().map(Tensor::data);
    matches!(first, Some(TensorData::Fp32(values)) if values.contains(&POISON))
}

/// Replaces the last number of the first output by NaN.
fn not_finite(mut outputs: Vec<Tensor>) -> Vec<Tensor> {
    let (shape, data) = outputs[0].clone().into_parts();
    let TensorData::Fp32(mut values) = data else {
        panic!("the first output of the model is not FP32");
    };
    let last = values.last_mut().expect("no output is empty");
    *last = f32::NAN;
    let changed = Tensor::new(shape, TensorData::Fp32(values));
    outputs[0] = changed.expect("the shape has not changed");
    outputs
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
