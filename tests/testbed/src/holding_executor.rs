//! An executor that counts inferences and can hold jobs back.

use clarity::{Executor, Inline, Job, JobKind, Overloaded};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Runs jobs inline, counts the inferences of each model, and can hold jobs back. Jobs that have
/// left the queue do not count towards its capacity.
#[derive(Debug)]
pub struct HoldingExecutor {
    state: Mutex<ExecutorState>,
    held: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct ExecutorState {
    inferences: HashMap<String, usize>,
    hold: Option<(JobKind, String)>,
    held: Vec<Job>,
    /// The number of held jobs at which further inferences are refused; `None` for no limit.
    capacity: Option<usize>,
}

impl Default for HoldingExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl HoldingExecutor {
    /// An executor that holds no jobs back.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            held: watch::Sender::new(0),
        }
    }

    /// The number of inferences of the model so far, including those held back.
    #[must_use]
    pub fn inferences(&self, model: &str) -> usize {
        self.state().inferences.get(model).copied().unwrap_or(0)
    }

    /// From now on, holds back jobs of this kind for this model only.
    pub fn hold(&self, kind: JobKind, model: &str) {
        self.state().hold = Some((kind, model.to_owned()));
    }

    /// Refuses inferences while at least `inferences` jobs are held back.
    pub fn set_capacity(&self, inferences: usize) {
        self.state().capacity = Some(inferences);
    }

    /// Waits until at least `jobs` jobs are held back, and returns their number.
    pub async fn until_held(&self, jobs: usize) -> usize {
        let mut held = self.held.subscribe();
        let held = held.wait_for(|held| *held >= jobs).await;
        held.map_or(0, |held| *held)
    }

    /// Runs all held jobs, and holds back no later job.
    pub fn release(&self) {
        let held = {
            let mut state = self.state();
            state.hold = None;
            std::mem::take(&mut state.held)
        };
        self.held.send_replace(0);
        held.into_iter().for_each(Job::run);
    }

    fn state(&self) -> MutexGuard<'_, ExecutorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for HoldingExecutor {
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

impl ExecutorState {
    fn is_full(&mut self) -> bool {
        let Some(capacity) = self.capacity else {
            return false;
        };
        self.held.retain(|job| !job.has_left());
        self.held.len() >= capacity
    }
}
