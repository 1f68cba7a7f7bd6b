//! A runtime that fails on demand, around the real one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use clarity::{
    OnnxRuntime, RunError, Runtime, RuntimeError, Session, Tensor, TensorData, TensorSpec,
    VerifiedVersion,
};

use super::FAILED;

/// What the next runs do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Well,
    Error,
    Panic,
    NotFinite,
    /// Not finite once, and well from then on.
    OneNotFinite,
    /// Waits until it is released.
    Hang,
}

/// Decides what the sessions of its [`runtime`](Self::runtime) do, and counts their runs.
#[derive(Debug)]
pub(crate) struct Faulty {
    switch: Arc<Switch>,
}

/// Loads with the real runtime; its sessions run in the mood of the moment.
#[derive(Debug)]
pub(crate) struct FaultyRuntime {
    inner: OnnxRuntime,
    switch: Arc<Switch>,
}

#[derive(Debug)]
struct Switch {
    mood: Mutex<Mood>,
    runs: AtomicUsize,
    release: Mutex<Option<Sender<()>>>,
    /// Gives an error when the sender is gone.
    released: Mutex<Receiver<()>>,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        let (release, released) = channel();
        let switch = Switch {
            mood: Mutex::new(Mood::Well),
            runs: AtomicUsize::new(0),
            release: Mutex::new(Some(release)),
            released: Mutex::new(released),
        };
        Self {
            switch: Arc::new(switch),
        }
    }

    pub(crate) fn runtime(&self) -> FaultyRuntime {
        FaultyRuntime {
            inner: OnnxRuntime::new(),
            switch: Arc::clone(&self.switch),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.switch.mood.lock().unwrap() = mood;
    }

    /// Runs so far, warm-ups included.
    pub(crate) fn runs(&self) -> usize {
        self.switch.runs.load(Ordering::SeqCst)
    }

    /// Ends all runs that hang, now and later.
    pub(crate) fn release(&self) {
        self.switch.release.lock().unwrap().take();
    }
}

impl Runtime for FaultyRuntime {
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        let session = self.inner.load(version)?;
        Ok(Box::new(FaultySession {
            session,
            switch: Arc::clone(&self.switch),
        }))
    }
}

struct FaultySession {
    session: Box<dyn Session>,
    switch: Arc<Switch>,
}

impl Session for FaultySession {
    fn inputs(&self) -> &[TensorSpec] {
        self.session.inputs()
    }

    fn outputs(&self) -> &[TensorSpec] {
        self.session.outputs()
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        self.switch.runs.fetch_add(1, Ordering::SeqCst);
        let mood = *self.switch.mood.lock().unwrap();
        match mood {
            Mood::Well => self.session.run(inputs),
            Mood::Error => Err(RunError::Failed("an injected error".to_owned())),
            Mood::Panic => panic!("an injected panic"),
            Mood::NotFinite | Mood::OneNotFinite => {
                if mood == Mood::OneNotFinite {
                    *self.switch.mood.lock().unwrap() = Mood::Well;
                }
                let mut outputs = self.session.run(inputs)?;
                let (shape, data) = outputs[0].clone().into_parts();
                let TensorData::Fp32(mut values) = data else {
                    unreachable!()
                };
                *values.last_mut().unwrap() = f32::NAN;
                outputs[0] = Tensor::new(shape, TensorData::Fp32(values)).unwrap();
                Ok(outputs)
            }
            Mood::Hang => {
                let _ = self.switch.released.lock().unwrap().recv_timeout(FAILED);
                self.session.run(inputs)
            }
        }
    }
}
