//! The queue of one loaded version: predictions whose run has not begun.

mod queued_work;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use self::queued_work::{BegunWork, Deadline, Departure, QueuedWork};
use crate::session::Session;

/// The queue of one loaded version, in order of arrival.
///
/// The version's session runs *turns*: each turn runs the first work that is still in the queue.
/// Work that leaves the queue frees its memory at once; its turn remains for later work.
// A session's own queue only grows and shrinks at its ends. If abandoned work stayed in it, clients
// of a hanging model could fill the memory.
#[derive(Default)]
pub(crate) struct RunQueue(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<QueuedWork>>,
    /// The turns that the session has accepted and not begun; at least the length of `waiting`.
    turns: usize,
    running: usize,
    /// The number of ends: of runs, and of waits for another run because a run was abandoned.
    ended: u64,
    /// The value of `ended` at which the queue was last found to stand still.
    stalled_at: Option<u64>,
    /// About the longest of the last runs.
    usual: Duration,
}

impl RunQueue {
    /// Adds `work` at the end. Returns whether the caller must give the session one more turn.
    #[must_use]
    pub(crate) fn push(&self, work: Arc<QueuedWork>) -> bool {
        let mut state = self.lock();
        state.waiting.push_back(work);
        let needs_turn = state.turns < state.waiting.len();
        state.turns += usize::from(needs_turn);
        needs_turn
    }

    /// Removes `work` from the queue if it is still there.
    pub(crate) fn remove(&self, work: &Arc<QueuedWork>) {
        let mut state = self.lock();
        state.waiting.retain(|waiting| !Arc::ptr_eq(waiting, work));
    }

    /// Uses up one turn: takes the first work that has not left and can meet its deadline.
    pub(crate) fn take_turn(&self) -> Option<BegunWork> {
        self.lock().turns -= 1;
        loop {
            // The lock is free again before the work begins or leaves, which runs other code.
            let next = self.lock().waiting.pop_front()?;
            if let Some(begun) = self.begin(&next) {
                return Some(begun);
            }
        }
    }

    /// Uses up one turn: drops the first work.
    pub(crate) fn drop_turn(&self) {
        let mut state = self.lock();
        state.turns -= 1;
        let first = state.waiting.pop_front();
        // The lock is free again before the work leaves, which runs other code.
        drop(state);
        if let Some(first) = first {
            first.leave(Departure::Dropped);
        }
    }

    /// Begins `work` on this thread, unless it has left or cannot meet its deadline.
    pub(crate) fn begin(&self, work: &Arc<QueuedWork>) -> Option<BegunWork> {
        work.begin(self.lock().usual)
    }

    /// Runs `work`, and records the run.
    pub(crate) fn run(&self, work: BegunWork) {
        let mut state = self.lock();
        state.running += 1;
        drop(state);
        let running = Running(self);
        let took = work.run();
        drop(running);
        if let Some(took) = took {
            let mut state = self.lock();
            state.usual = next_usual(state.usual, took);
        }
    }

    /// Records that no caller waits any more for `work`, which `session` runs. Does nothing if the
    /// work has not begun or has ended.
    pub(crate) fn abandon(&self, work: &QueuedWork, session: &dyn Session) {
        if work.abandon(session) {
            self.lock().ended += 1;
        }
    }

    /// The number of runs that have ended, for [`expired_since`](Self::expired_since). `None` if
    /// the queue stands still: runs are under way, and none has ended for the time of a whole
    /// deadline. The next end of a run ends this state. An abandoned run that lets other work run
    /// counts as ended.
    pub(crate) fn ended(&self) -> Option<u64> {
        let state = self.lock();
        (!state.is_stalled()).then_some(state.ended)
    }

    /// Records that work waited in vain until its deadline. `ended` is the number of ended runs
    /// when the work was queued. Returns whether the queue is newly found to stand still.
    pub(crate) fn expired_since(&self, ended: u64) -> bool {
        let mut state = self.lock();
        if state.running == 0 || state.ended != ended || state.is_stalled() {
            return false;
        }
        state.stalled_at = Some(ended);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run under way, until this value is dropped.
struct Running<'a>(&'a RunQueue);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.ended += 1;
    }
}

impl State {
    fn is_stalled(&self) -> bool {
        self.stalled_at == Some(self.ended)
    }
}

/// Follows a longer run at once, and shorter runs slowly.
// Under overload, the first of the queue has nearly used up its deadline. A run that is begun too
// late is wasted. So a time that is too long costs less than one that is too short.
fn next_usual(usual: Duration, took: Duration) -> Duration {
    match usual.checked_sub(took) {
        Some(excess) => usual - excess / 8,
        None => took,
    }
}

impl fmt::Debug for RunQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunQueue").field(&*self.lock()).finish()
    }
}

#[cfg(test)]
mod tests;
