//! A runtime that fails on demand, around the real one.

use crate::{LIMIT, until};
use clarity::{
    OnnxRuntime, RunError, Runtime, RuntimeError, Session, Tensor, TensorData, TensorSpec,
    VerifiedVersion,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a run of a model goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Behaviour {
    /// As the model does.
    #[default]
    Normal,
    /// It gives an error.
    Error,
    /// It panics.
    Panic,
    /// The last number of its answer is NaN.
    NotFinite,
    /// The same for one run; later ones are normal.
    NotFiniteOnce,
    /// It hangs until it is released.
    Hang,
}

/// Decides how the sessions of its [`runtime`](Self::runtime) behave, and counts their runs.
#[derive(Debug, Default)]
pub struct FaultSwitch {
    state: Arc<SwitchState>,
}

/// Loads with the real runtime; each run of a session behaves as the switch says.
#[derive(Debug)]
pub struct FaultyRuntime {
    inner: OnnxRuntime,
    state: Arc<SwitchState>,
}

#[derive(Debug)]
struct SwitchState {
    behaviour: Mutex<Behaviour>,
    runs: AtomicUsize,
    release: Mutex<Option<Sender<()>>>,
    /// Gives an error once the sender is gone.
    released: Mutex<Receiver<()>>,
}

impl Default for SwitchState {
    fn default() -> Self {
        let (release, released) = channel();
        Self {
            behaviour: Mutex::default(),
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

    /// A runtime that obeys this switch.
    #[must_use]
    pub fn runtime(&self) -> FaultyRuntime {
        FaultyRuntime {
            inner: OnnxRuntime::new(),
            state: Arc::clone(&self.state),
        }
    }

    /// Sets the behaviour of the runs that begin from now on.
    pub fn set(&self, behaviour: Behaviour) {
        *lock(&self.state.behaviour) = behaviour;
    }

    /// The number of runs so far, warm-ups included.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.state.runs.load(Ordering::SeqCst)
    }

    /// Waits until this many runs have begun.
    pub async fn until_runs(&self, runs: usize) {
        until("a run of the model", || self.runs() >= runs).await;
    }

    /// Ends all runs that hang, now and later.
    pub fn release(&self) {
        lock(&self.state.release).take();
    }
}

impl Runtime for FaultyRuntime {
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        let session = self.inner.load(version)?;
        Ok(Box::new(FaultySession {
            session,
            state: Arc::clone(&self.state),
        }))
    }
}

struct FaultySession {
    session: Box<dyn Session>,
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
        let behaviour = *lock(&self.state.behaviour);
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
                // A test that has failed waits for its threads: no run may hang for ever.
                let _ = lock(&self.state.released).recv_timeout(LIMIT);
                self.session.run(inputs)
            }
        }
    }
}

/// These outputs, with NaN as the last number of the first.
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
