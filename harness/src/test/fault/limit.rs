//! The one way in which resource faults lower a limit of the process, and raise it again.

#[cfg(target_os = "linux")]
use super::Undone;
use super::{FaultError, Undo};
#[cfg(target_os = "linux")]
use crate::test::home::Home;
#[cfg(target_os = "linux")]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
#[cfg(target_os = "linux")]
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a process can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limited {
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
    pub(super) fn now(self) -> Option<u64> {
        getrlimit(self.resource()).current
    }

    fn set(self, to: Option<u64>) -> Result<(), FaultError> {
        let Rlimit { maximum, .. } = getrlimit(self.resource());
        let wanted = Rlimit {
            current: to,
            maximum,
        };
        setrlimit(self.resource(), wanted).map_err(|error| FaultError::Other(Box::new(error)))
    }

    /// Lowers the limit.
    pub(super) fn lower(self, to: u64) -> Result<Undo, FaultError> {
        if !Home::is_own() {
            return Err(FaultError::Unavailable(
                "a limit is the whole process's, and the test has none of its own (--isolation thread)".to_owned(),
            ));
        }
        let mut state = state();
        let before = match state.lowered_last(self) {
            Some(place) if state.lifted > 0 => Some(state.lowered[place].to),
            _ => self.now(),
        };
        if before.is_some_and(|before| before <= to) {
            return Err(FaultError::unfit(
                format!("a limit above {to}"),
                format!("one of {} in force already", before.unwrap_or_default()),
            ));
        }
        if state.lifted == 0 {
            self.set(Some(to))?;
        }
        state.lowered.push(Lowered {
            limited: self,
            before,
            to,
        });
        Ok(Undo::new(move || self.raise(to)))
    }

    /// Takes back that the limit was lowered to this, last of all.
    fn raise(self, to: u64) -> Result<Undone, FaultError> {
        let mut state = state();
        let place = state.lowered_last(self);
        let Some(Lowered { before, .. }) = place.map(|place| state.lowered.remove(place)) else {
            return Ok(Undone::Restored);
        };
        match self.now() {
            // Whoever has lifted it will find it raised.
            _ if state.lifted > 0 => Ok(Undone::Restored),
            Some(now) if now == to => {
                self.set(before)?;
                Ok(Undone::Restored)
            }
            other => Ok(Undone::Superseded {
                found: other.map_or("no limit".to_owned(), |other| format!("a limit of {other}")),
            }),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Limited {
    pub(super) fn lower(self, _to: u64) -> Result<Undo, FaultError> {
        Err(FaultError::Unavailable(
            "limits of a process are lowered on Linux only".to_owned(),
        ))
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
