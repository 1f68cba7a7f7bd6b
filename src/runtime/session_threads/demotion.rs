//! Demotion: abandoned runs make way for other work.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::{Builder, ThreadId};
use std::time::Duration;

use super::{Queue, Shared};

/// The bounds of the time between the departure of a caller and the demotion of its run.
const GRACE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

impl Shared {
    /// Records that no caller waits for the run on `thread`. The run is demoted after a short
    /// time, unless it ends before. Returns false if it is not: `thread` does not run anything for
    /// this session, or as many runs as the session has threads are demoted already.
    pub(super) fn abandon(self: &Arc<Self>, thread: ThreadId) -> bool {
        let mut queue = self.lock();
        let Some(has_room) = queue.runs.abandon(thread) else {
            return false;
        };
        self.start_demoter(&mut queue);
        has_room
    }

    /// Starts a thread that demotes abandoned runs and replaces their threads, unless it exists.
    /// The new threads get the priority of the caller.
    pub(super) fn start_demoter(self: &Arc<Self>, queue: &mut Queue) {
        if queue.is_demoting {
            return;
        }
        let shared = Arc::clone(self);
        let demoter = Builder::new().name("demoter".to_owned());
        // If the system starts no thread, the run keeps its own. The next work tries again.
        queue.is_demoting = demoter.spawn(move || shared.demote_abandoned()).is_ok();
    }

    /// Demotes abandoned runs until there are none.
    fn demote_abandoned(self: Arc<Self>) {
        loop {
            let is_under_way = |queue: &mut Queue| queue.runs.has_abandoned() && !queue.is_over();
            let waited = self
                .ended
                .wait_timeout_while(self.lock(), self.grace(), is_under_way);
            let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            queue.demote();
            drop(queue);
            self.replace_threads();
            let mut queue = self.lock();
            while queue.runs.has_abandoned() && !queue.runs.has_room() && !queue.is_over() {
                let woken = self.ended.wait(queue);
                queue = woken.unwrap_or_else(PoisonError::into_inner);
            }
            if !queue.runs.has_abandoned() || queue.is_over() {
                queue.is_demoting = false;
                self.arrived.notify_all();
                return;
            }
        }
    }

    /// Starts threads in the place of those that were demoted, as many as the queued work needs.
    fn replace_threads(self: &Arc<Self>) {
        while self.reserve_thread(&mut self.lock()) {
            if !self.start_thread() {
                tracing::warn!(
                    "the system started no thread for a model: its requests wait longer"
                );
                return;
            }
            // A demoted thread that waits for its replacement can end.
            self.arrived.notify_all();
        }
    }

    /// The time between the departure of a caller and the demotion of its run: a tenth of the last
    /// run, within bounds.
    // Clients often go together, for example those of a proxy that stops. A replacement that begins
    // at once would take the work of the next client that is about to go. And a short run ends
    // before the threads for its replacement are there.
    fn grace(&self) -> Duration {
        let last = Duration::from_micros(self.last_run.load(Ordering::Relaxed));
        (last / 10).clamp(GRACE.0, GRACE.1)
    }
}

impl Queue {
    fn demote(&mut self) {
        let demoted = self.runs.demote();
        self.serving -= demoted.threads;
        if demoted.wide_pool {
            self.wide_pool = None;
        }
    }
}

#[cfg(test)]
mod tests;
