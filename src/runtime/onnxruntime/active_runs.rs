//! The runs of one session that have begun and not ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use ort::session::RunOptions;

use crate::sanitize::sanitize_for_log;
use crate::session::RunError;

/// The options of each run, by the thread that waits for its result.
#[derive(Default)]
pub(super) struct ActiveRuns(Mutex<HashMap<ThreadId, Arc<RunOptions>>>);

/// A run that has begun. It ends when this value is dropped.
pub(super) struct ActiveRun {
    pub(super) options: Arc<RunOptions>,
    active: Arc<ActiveRuns>,
    thread: ThreadId,
}

impl ActiveRuns {
    /// Begins a run for whose result `thread` waits.
    pub(super) fn begin(self: &Arc<Self>, thread: ThreadId) -> Result<ActiveRun, RunError> {
        let options = Arc::new(RunOptions::new().map_err(failed)?);
        self.lock().insert(thread, Arc::clone(&options));
        Ok(ActiveRun {
            options,
            active: Arc::clone(self),
            thread,
        })
    }

    /// Asks the run for whose result `thread` waits to end. Does nothing if there is none.
    pub(super) fn terminate(&self, thread: ThreadId) {
        let options = self.lock().get(&thread).cloned();
        if let Some(options) = options {
            // An error is ignored: the run then ends by itself.
            let _ = options.terminate();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, Arc<RunOptions>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        self.active.lock().remove(&self.thread);
    }
}

pub(super) fn failed(error: ort::Error) -> RunError {
    RunError::Failed(sanitize_for_log(error))
}
