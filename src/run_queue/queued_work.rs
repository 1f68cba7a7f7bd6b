//! Work that begins or leaves its queue, exactly one of the two.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::panics::catch;
use crate::session::{Session, Work};

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
    Queued {
        work: Work,
        then: Option<Work>,
    },
    Begun {
        /// The thread that runs the work.
        thread: ThreadId,
        /// Whether no caller waits for the result any more.
        is_abandoned: bool,
    },
    Ended,
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

/// Work that has won against its departure: it must run now, on the thread that began it.
#[must_use]
pub(crate) struct BegunWork {
    queued: Arc<QueuedWork>,
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

    /// Takes the work in order to run it on this thread. `None` if it has begun or left. The work
    /// leaves as [`Late`](Departure::Late) if less than the time `needed` is left until its
    /// deadline.
    pub(crate) fn begin(self: &Arc<Self>, needed: Duration) -> Option<BegunWork> {
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
        let begun = Stage::Begun {
            thread: thread::current().id(),
            is_abandoned: false,
        };
        match mem::replace(&mut *stage, begun) {
            Stage::Queued { work, then } => Some(BegunWork {
                queued: Arc::clone(self),
                work,
                then,
                began,
            }),
            Stage::Begun { .. } | Stage::Ended | Stage::Left(_) => None,
        }
    }

    /// Tells `session` that no caller waits any more, if the work has begun and has not ended.
    /// Returns whether the session lets other work run before it.
    // The lock is held, so that the thread does not begin other work meanwhile.
    pub(crate) fn abandon(&self, session: &dyn Session) -> bool {
        let mut stage = self.lock();
        let Stage::Begun {
            thread,
            is_abandoned,
        } = &mut *stage
        else {
            return false;
        };
        *is_abandoned = true;
        catch(|| session.abandon(*thread)).unwrap_or(false)
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
            Stage::Queued { .. } | Stage::Begun { .. } | Stage::Ended => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BegunWork {
    /// Runs the work and the function of [`QueuedWork::set_then`]. Returns the duration of the work
    /// in the time of its deadline; `None` if it has no deadline or was abandoned.
    // An abandoned run can have had a low priority.
    pub(crate) fn run(self) -> Option<Duration> {
        (self.work)();
        let ended = mem::replace(&mut *self.queued.lock(), Stage::Ended);
        let began = self.began.filter(|_| !ended.is_abandoned());
        let took = began.map(|(deadline, began)| deadline.now() - began);
        if let Some(then) = self.then {
            then();
        }
        took
    }
}

impl Stage {
    fn is_abandoned(&self) -> bool {
        matches!(self, Self::Begun { is_abandoned, .. } if *is_abandoned)
    }
}

impl fmt::Debug for QueuedWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &*self.lock() {
            Stage::Queued { .. } => "queued".to_owned(),
            Stage::Begun { .. } => "begun".to_owned(),
            Stage::Ended => "ended".to_owned(),
            Stage::Left(departure) => format!("left: {departure:?}"),
        };
        f.debug_struct("QueuedWork")
            .field("stage", &stage)
            .field("deadline", &self.deadline)
            .finish()
    }
}
