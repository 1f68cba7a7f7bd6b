//! Work that begins or leaves its queue, exactly one of the two.

use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::session::Work;

/// Blocking work that an executor will run once, unless the work leaves the queue first.
pub(crate) struct QueuedWork {
    stage: Mutex<Stage>,
    /// The deadline for the end of the work; `None` if the work is never too late.
    deadline: Option<Deadline>,
}

/// The time limit of work, in the time of a Tokio runtime.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
    /// The runtime whose clock applies. A test can pause it, and a session's thread has no runtime.
    runtime: Handle,
}

/// The one state that decides between the run and the departure.
enum Stage {
    Queued { work: Work, then: Option<Work> },
    Begun,
    Left(Departure),
}

/// The reason why work left the queue without a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// The work could no longer meet its deadline.
    Late,
    /// No caller waits for the result any more.
    Abandoned,
    /// The executor dropped the work.
    Dropped,
}

/// Work that has won against its departure: it must run now.
#[must_use]
pub(crate) struct BegunWork {
    work: Work,
    then: Option<Work>,
    began: Option<(Deadline, Instant)>,
}

impl Deadline {
    /// The deadline after `limit` from now, in the time of the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// When called outside of a Tokio runtime.
    pub(crate) fn after(limit: Duration) -> Self {
        Self {
            at: Instant::now() + limit,
            limit,
            runtime: Handle::current(),
        }
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    fn now(&self) -> Instant {
        let _runtime = self.runtime.enter();
        Instant::now()
    }

    /// Whether less than `needed` is left at `now`, or nothing at all. More than half of the limit
    /// is always enough.
    // Otherwise, a model whose runs take longer than the limit would never run again.
    fn is_too_near(&self, now: Instant, needed: Duration) -> bool {
        let left = self.at.saturating_duration_since(now);
        left.is_zero() || left < needed.min(self.limit / 2)
    }
}

impl QueuedWork {
    pub(crate) fn new(work: Work, deadline: Option<Deadline>) -> Self {
        Self {
            stage: Mutex::new(Stage::Queued { work, then: None }),
            deadline,
        }
    }

    /// Calls `then` after the run or the departure; at once if the work has left already. Returns
    /// whether the work is still queued.
    pub(crate) fn set_then(&self, then: Work) -> bool {
        let mut stage = self.lock();
        if let Stage::Queued { then: last, .. } = &mut *stage {
            *last = Some(then);
            return true;
        }
        drop(stage);
        then();
        false
    }

    /// Takes the work in order to run it. `None` if it has begun or left. The work leaves as
    /// [`Late`](Departure::Late) if less than the time `needed` is left until its deadline.
    pub(crate) fn begin(&self, needed: Duration) -> Option<BegunWork> {
        let mut stage = self.lock();
        let Stage::Queued { .. } = &*stage else {
            return None;
        };
        let began = self.deadline.as_ref().map(|deadline| {
            let now = deadline.now();
            (deadline.clone(), now)
        });
        if let Some((deadline, now)) = &began
            && deadline.is_too_near(*now, needed)
        {
            drop(stage);
            self.leave(Departure::Late);
            return None;
        }
        match mem::replace(&mut *stage, Stage::Begun) {
            Stage::Queued { work, then } => Some(BegunWork { work, then, began }),
            Stage::Begun | Stage::Left(_) => None,
        }
    }

    /// Leaves the queue: drops the work, then calls the function of [`set_then`](Self::set_then).
    /// Returns false, and does nothing, if the work has begun or left.
    pub(crate) fn leave(&self, departure: Departure) -> bool {
        let mut stage = self.lock();
        let Stage::Queued { .. } = &*stage else {
            return false;
        };
        let left = mem::replace(&mut *stage, Stage::Left(departure));
        // The lock is free again before other code runs.
        drop(stage);
        if let Stage::Queued { work, then } = left {
            drop(work);
            if let Some(then) = then {
                then();
            }
        }
        true
    }

    /// The reason why the work has left; `None` if it is queued or has begun.
    pub(crate) fn departure(&self) -> Option<Departure> {
        match *self.lock() {
            Stage::Left(departure) => Some(departure),
            Stage::Queued { .. } | Stage::Begun => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BegunWork {
    /// Runs the work and the function of [`QueuedWork::set_then`]. Returns the duration of the work
    /// in the time of its deadline; `None` if it has no deadline.
    pub(crate) fn run(self) -> Option<Duration> {
        (self.work)();
        let took = self.began.map(|(deadline, began)| deadline.now() - began);
        if let Some(then) = self.then {
            then();
        }
        took
    }
}

impl fmt::Debug for QueuedWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &*self.lock() {
            Stage::Queued { .. } => "queued".to_owned(),
            Stage::Begun => "begun".to_owned(),
            Stage::Left(departure) => format!("left: {departure:?}"),
        };
        f.debug_struct("QueuedWork")
            .field("stage", &stage)
            .field("deadline", &self.deadline)
            .finish()
    }
}
