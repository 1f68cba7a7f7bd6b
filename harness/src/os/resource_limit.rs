//! Lowers resource limits of this process for faults, and lifts them for the harness's own work.

#[cfg(target_os = "linux")]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The reason why a limit could not be lowered.
#[cfg(target_os = "linux")]
#[derive(Debug, thiserror::Error)]
pub(crate) enum LowerError {
    /// The limit in force is not above the new limit.
    #[error("a limit of {now} is in force already")]
    AlreadyLower {
        /// The limit in force.
        now: u64,
    },
    /// The system refused the new limit.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The outcome of restoring a limit.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestoredLimit {
    /// The limit again has its value from before the fault.
    Restored,
    /// Other code had changed the limit to this value, so `restore` left the limit alone.
    ChangedTo(Option<u64>),
}

/// A resource with a limit for each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitedResource {
    Descriptors,
    Memory,
}

/// A limit that a fault has lowered.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
struct LoweredLimit {
    resource: LimitedResource,
    before: Option<u64>,
    to: u64,
}

#[cfg(target_os = "linux")]
#[derive(Debug)]
struct LoweredLimits {
    /// The lowered limits, in the order in which they were lowered.
    limits: Vec<LoweredLimit>,
    /// The number of running actions that need all limits lifted.
    lifts: usize,
}

/// The limits that are lowered now. Never hold this lock during an intercepted system call: the
/// interceptor also takes this lock.
#[cfg(target_os = "linux")]
static LOWERED: Mutex<LoweredLimits> = Mutex::new(LoweredLimits {
    limits: Vec::new(),
    lifts: 0,
});

#[cfg(target_os = "linux")]
impl LimitedResource {
    fn resource(self) -> Resource {
        match self {
            Self::Descriptors => Resource::Nofile,
            Self::Memory => Resource::Data,
        }
    }

    /// Returns the limit in force; `None` if the resource is unlimited.
    pub(crate) fn limit(self) -> Option<u64> {
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

    /// Lowers the limit of this resource to `to`.
    ///
    /// # Errors
    ///
    /// [`LowerError::AlreadyLower`] when the limit in force is not above `to`.
    pub(crate) fn lower(self, to: u64) -> Result<(), LowerError> {
        let mut lowered = lowered();
        let before = match lowered.latest(self) {
            Some(index) if lowered.lifts > 0 => Some(lowered.limits[index].to),
            _ => self.limit(),
        };
        if let Some(now) = before.filter(|before| *before <= to) {
            return Err(LowerError::AlreadyLower { now });
        }
        if lowered.lifts == 0 {
            self.set(Some(to))?;
        }
        lowered.limits.push(LoweredLimit {
            resource: self,
            before,
            to,
        });
        Ok(())
    }

    /// Undoes the latest [`lower`](Self::lower) of this resource, which lowered the limit to `to`.
    ///
    /// # Errors
    ///
    /// When the system refuses the earlier limit.
    pub(crate) fn restore(self, to: u64) -> io::Result<RestoredLimit> {
        let mut lowered = lowered();
        let index = lowered.latest(self);
        let Some(LoweredLimit { before, .. }) = index.map(|index| lowered.limits.remove(index))
        else {
            return Ok(RestoredLimit::Restored);
        };
        match self.limit() {
            // The limit is lifted now. Its entry was removed from the list above, so the end of the
            // lift does not lower the limit again.
            _ if lowered.lifts > 0 => Ok(RestoredLimit::Restored),
            Some(now) if now == to => {
                self.set(before)?;
                Ok(RestoredLimit::Restored)
            }
            other => Ok(RestoredLimit::ChangedTo(other)),
        }
    }
}

#[cfg(target_os = "linux")]
impl LoweredLimits {
    /// Gives the index of the latest lowered limit of this resource.
    fn latest(&self, resource: LimitedResource) -> Option<usize> {
        self.limits
            .iter()
            .rposition(|limit| limit.resource == resource)
    }

    /// Lifts all lowered limits that are still in force.
    fn lift(&mut self) {
        // Starts with the limit that was lowered last. So each resource ends with its limit from
        // before the first lowering.
        for limit in self.limits.iter().rev() {
            if limit.resource.limit() == Some(limit.to) {
                // Raising a limit to its previous value is always allowed.
                let _ = limit.resource.set(limit.before);
            }
        }
    }

    /// Lowers all lifted limits again. Leaves out limits that other code has changed since the
    /// lift.
    fn lower_again(&mut self) {
        for limit in &self.limits {
            if limit.resource.limit() == limit.before {
                // Lowering a limit is always allowed.
                let _ = limit.resource.set(Some(limit.to));
            }
        }
    }
}

/// Runs an action with all lowered limits lifted.
// If limits stayed lowered, one fault could make another fault fail.
#[cfg(target_os = "linux")]
pub(crate) fn with_limits_lifted<T>(action: impl FnOnce() -> T) -> T {
    struct LowerAgain;

    impl Drop for LowerAgain {
        fn drop(&mut self) {
            let mut lowered = lowered();
            lowered.lifts -= 1;
            if lowered.lifts == 0 {
                lowered.lower_again();
            }
        }
    }

    let mut lowered = lowered();
    if lowered.lifts == 0 {
        lowered.lift();
    }
    lowered.lifts += 1;
    drop(lowered);
    let _lower_again = LowerAgain;
    action()
}

/// Runs an action. On systems other than Linux, no fault lowers limits.
#[cfg(not(target_os = "linux"))]
pub(crate) fn with_limits_lifted<T>(action: impl FnOnce() -> T) -> T {
    action()
}

#[cfg(target_os = "linux")]
fn lowered() -> MutexGuard<'static, LoweredLimits> {
    LOWERED.lock().unwrap_or_else(PoisonError::into_inner)
}
