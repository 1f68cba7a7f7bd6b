//! Limits of this process that were lowered for a while, and lifting them for what must not fail because of them.

#[cfg(target_os = "linux")]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a limit could not be lowered.
#[cfg(target_os = "linux")]
#[derive(Debug, thiserror::Error)]
pub(crate) enum LowerError {
    /// The limit in force is not above the new one.
    #[error("a limit of {now} is in force already")]
    AlreadyLower {
        /// The limit in force.
        now: u64,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How raising a limit went.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raised {
    /// The limit is as it was before.
    Restored,
    /// Something else had changed it, to this value; it was left alone.
    ChangedTo(Option<u64>),
}

/// What a process can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    Descriptors,
    Memory,
}

/// A limit that a fault has lowered.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
struct Lowered {
    limited: Limited,
    before: Option<u64>,
    to: u64,
}

#[cfg(target_os = "linux")]
#[derive(Debug)]
struct State {
    /// In the order in which that was done.
    lowered: Vec<Lowered>,
    /// How many want none of it to be in force now.
    lifted: usize,
}

/// Never locked while anything is done that is handed to the attendant of calls: that locks it, too.
#[cfg(target_os = "linux")]
static STATE: Mutex<State> = Mutex::new(State {
    lowered: Vec::new(),
    lifted: 0,
});

#[cfg(target_os = "linux")]
impl Limited {
    fn resource(self) -> Resource {
        match self {
            Self::Descriptors => Resource::Nofile,
            Self::Memory => Resource::Data,
        }
    }

    /// The limit in force; none if there is none.
    pub(crate) fn now(self) -> Option<u64> {
        getrlimit(self.resource()).current
    }

    fn set(self, to: Option<u64>) -> io::Result<()> {
        let Rlimit { maximum, .. } = getrlimit(self.resource());
        let wanted = Rlimit {
            current: to,
            maximum,
        };
        Ok(setrlimit(self.resource(), wanted)?)
    }

    /// Lowers the limit.
    ///
    /// # Errors
    ///
    /// [`LowerError::AlreadyLower`] when the limit in force is not above `to`.
    pub(crate) fn lower(self, to: u64) -> Result<(), LowerError> {
        let mut state = state();
        let before = match state.lowered_last(self) {
            Some(place) if state.lifted > 0 => Some(state.lowered[place].to),
            _ => self.now(),
        };
        if let Some(now) = before.filter(|before| *before <= to) {
            return Err(LowerError::AlreadyLower { now });
        }
        if state.lifted == 0 {
            self.set(Some(to))?;
        }
        state.lowered.push(Lowered {
            limited: self,
            before,
            to,
        });
        Ok(())
    }

    /// Undoes the latest [`lower`](Self::lower) to this value.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub(crate) fn raise(self, to: u64) -> io::Result<Raised> {
        let mut state = state();
        let place = state.lowered_last(self);
        let Some(Lowered { before, .. }) = place.map(|place| state.lowered.remove(place)) else {
            return Ok(Raised::Restored);
        };
        match self.now() {
            // The end of the lifting finds it raised.
            _ if state.lifted > 0 => Ok(Raised::Restored),
            Some(now) if now == to => {
                self.set(before)?;
                Ok(Raised::Restored)
            }
            other => Ok(Raised::ChangedTo(other)),
        }
    }
}

#[cfg(target_os = "linux")]
impl State {
    /// The place of the latest one of this kind.
    fn lowered_last(&self, limited: Limited) -> Option<usize> {
        self.lowered.iter().rposition(|one| one.limited == limited)
    }

    /// Lets go of all limits that are as they were lowered; the latest first, so that what the first one found stands at last.
    fn lift(&mut self) {
        for one in self.lowered.iter().rev() {
            if one.limited.now() == Some(one.to) {
                // Up to where it was is always allowed.
                let _ = one.limited.set(one.before);
            }
        }
    }

    fn let_down(&mut self) {
        for one in &self.lowered {
            // As long as nobody else has changed it. Down is always allowed, too.
            if one.limited.now() == one.before {
                let _ = one.limited.set(Some(one.to));
            }
        }
    }
}

/// Does something for which the process is to lack nothing: what one fault has to do must not fail because of another one.
#[cfg(target_os = "linux")]
pub(crate) fn lifted<T>(action: impl FnOnce() -> T) -> T {
    struct LetDown;

    impl Drop for LetDown {
        fn drop(&mut self) {
            let mut state = state();
            state.lifted -= 1;
            if state.lifted == 0 {
                state.let_down();
            }
        }
    }

    let mut state = state();
    if state.lifted == 0 {
        state.lift();
    }
    state.lifted += 1;
    drop(state);
    let _let_down = LetDown;
    action()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn lifted<T>(action: impl FnOnce() -> T) -> T {
    action()
}

#[cfg(target_os = "linux")]
fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
