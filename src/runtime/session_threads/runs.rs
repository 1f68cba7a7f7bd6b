//! The runs of one session that are under way.

use std::sync::Arc;
use std::thread::ThreadId;

use super::wide_pool::WidePool;
use crate::system_thread::SystemThread;

/// The work that the threads of one session do, at most one for each thread.
#[derive(Debug)]
pub(super) struct Runs {
    /// In the order in which they began.
    runs: Vec<ThreadRun>,
    /// The limit of demoted runs at the same time.
    limit: usize,
}

#[derive(Debug)]
struct ThreadRun {
    id: ThreadId,
    thread: SystemThread,
    /// Whether the thread had the lowest priority when the run began.
    is_lowered: bool,
    /// The pool that runs the model, if it is not the thread's own.
    wide_pool: Option<Arc<WidePool>>,
    stage: RunStage,
}

/// The stages of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunStage {
    Awaited,
    /// No caller waits for the result.
    Abandoned,
    /// The run has the lowest priority, and another thread takes its place.
    Demoted,
}

/// The effect of [`Runs::demote`].
#[derive(Debug, Default)]
pub(super) struct Demoted {
    /// The number of threads that need a replacement.
    pub(super) threads: usize,
    /// Whether a wide pool was demoted.
    pub(super) wide_pool: bool,
}

impl Runs {
    pub(super) fn new(limit: usize) -> Self {
        let runs = Vec::new();
        Self { runs, limit }
    }

    /// Begins a run on the calling thread.
    pub(super) fn begin(&mut self, thread: SystemThread, is_lowered: bool) {
        self.runs.push(ThreadRun {
            id: std::thread::current().id(),
            thread,
            is_lowered,
            wide_pool: None,
            stage: RunStage::Awaited,
        });
    }

    /// Ends the run of the calling thread. Returns whether the run was demoted.
    pub(super) fn end(&mut self) -> bool {
        let id = std::thread::current().id();
        let run = self.runs.iter().position(|run| run.id == id);
        run.is_some_and(|run| self.runs.remove(run).stage == RunStage::Demoted)
    }

    /// Whether no run is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The number of runs that are not demoted.
    pub(super) fn busy(&self) -> usize {
        self.runs.len() - self.count(RunStage::Demoted)
    }

    /// Whether the calling thread's run may use a pool of several threads: no other run is under
    /// way, except demoted ones.
    // A thread of the lowest priority would start a pool of the lowest priority.
    pub(super) fn is_alone(&mut self) -> bool {
        let is_only = self.busy() == 1;
        let run = self.current();
        is_only && run.is_some_and(|run| run.stage != RunStage::Demoted && !run.is_lowered)
    }

    /// Whether the run of the calling thread is demoted.
    pub(super) fn is_demoted(&mut self) -> bool {
        let run = self.current();
        run.is_some_and(|run| run.stage == RunStage::Demoted)
    }

    /// Records that the run of the calling thread uses `pool`.
    pub(super) fn use_pool(&mut self, pool: &Arc<WidePool>) {
        if let Some(run) = self.current() {
            run.wide_pool = Some(Arc::clone(pool));
        }
    }

    /// Records that no caller waits for the run on the thread `id`. `None` if that thread runs
    /// nothing. Otherwise returns whether the limit leaves room to demote the run.
    pub(super) fn abandon(&mut self, id: ThreadId) -> Option<bool> {
        let run = self.runs.iter_mut().find(|run| run.id == id)?;
        if run.stage == RunStage::Awaited {
            run.stage = RunStage::Abandoned;
        }
        Some(self.runs.len() - self.count(RunStage::Awaited) <= self.limit)
    }

    /// Whether a run is abandoned and not demoted.
    pub(super) fn has_abandoned(&self) -> bool {
        self.count(RunStage::Abandoned) > 0
    }

    /// Whether the limit leaves room to demote a run.
    pub(super) fn has_room(&self) -> bool {
        self.count(RunStage::Demoted) < self.limit
    }

    /// Demotes abandoned runs within the limit, the oldest first.
    // Each thread of a run under way is alive: its run must end first, in `end`.
    pub(super) fn demote(&mut self) -> Demoted {
        let mut demoted = Demoted::default();
        let room = self.limit - self.count(RunStage::Demoted);
        let abandoned = self.runs.iter_mut();
        let abandoned = abandoned.filter(|run| run.stage == RunStage::Abandoned);
        for run in abandoned.take(room) {
            run.stage = RunStage::Demoted;
            run.thread.lower_priority();
            demoted.threads += usize::from(!run.is_lowered);
            if let Some(pool) = &run.wide_pool {
                pool.lower_priority();
                demoted.wide_pool = true;
            }
        }
        demoted
    }

    fn count(&self, stage: RunStage) -> usize {
        self.runs.iter().filter(|run| run.stage == stage).count()
    }

    fn current(&mut self) -> Option<&mut ThreadRun> {
        let id = std::thread::current().id();
        self.runs.iter_mut().find(|run| run.id == id)
    }
}
