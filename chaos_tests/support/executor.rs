//! The server's executor, with somebody watching.

use clarity::{Executor, Inline, Job, JobKind, Overloaded};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Runs jobs at once, counts the inferences of each model, and can hold jobs back.
#[derive(Debug)]
pub(crate) struct Watched {
    state: Mutex<State>,
    held: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    inferences: HashMap<String, usize>,
    hold: Option<(JobKind, String)>,
    held: Vec<Job>,
    /// So many jobs may be held back; there is no room for another inference then.
    room: Option<usize>,
}

impl Watched {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            held: watch::Sender::new(0),
        }
    }

    /// How many times the model was asked to run.
    pub(crate) fn inferences(&self, model: &str) -> usize {
        self.state().inferences.get(model).copied().unwrap_or(0)
    }

    /// From now on, jobs of this kind for this model wait.
    pub(crate) fn hold(&self, kind: JobKind, model: &str) {
        self.state().hold = Some((kind, model.to_owned()));
    }

    /// From now on, there is room for so many inferences at a time.
    pub(crate) fn room_for(&self, inferences: usize) {
        self.state().room = Some(inferences);
    }

    /// Waits until a job is held back, and tells how many are.
    pub(crate) async fn held(&self) -> usize {
        self.so_many_held(1).await
    }

    /// Waits until so many jobs are held back, and tells how many are.
    pub(crate) async fn so_many_held(&self, jobs: usize) -> usize {
        let mut held = self.held.subscribe();
        let held = held.wait_for(|held| *held >= jobs).await;
        held.map_or(0, |held| *held)
    }

    /// Runs what was held back, and holds nothing any more.
    pub(crate) fn release(&self) {
        let held = {
            let mut state = self.state();
            state.hold = None;
            std::mem::take(&mut state.held)
        };
        self.held.send_replace(0);
        held.into_iter().for_each(Job::run);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for Watched {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        let model = job.model().map(ToString::to_string).unwrap_or_default();
        let mut state = self.state();
        if job.kind() == JobKind::Inference && state.is_full() {
            return Err(Overloaded);
        }
        if job.kind() == JobKind::Inference {
            *state.inferences.entry(model.clone()).or_default() += 1;
        }
        let hold = state.hold.as_ref();
        if hold.is_some_and(|(kind, held)| *kind == job.kind() && *held == model) {
            state.held.push(job);
            let held = state.held.len();
            drop(state);
            self.held.send_replace(held);
            return Ok(());
        }
        drop(state);
        Inline.execute(job)
    }

    fn has_room(&self, kind: JobKind) -> bool {
        kind != JobKind::Inference || !self.state().is_full()
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.room.is_some_and(|room| self.held.len() >= room)
    }
}
