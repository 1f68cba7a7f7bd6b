//! Lowers a resource limit of the process, and restores it.

#[cfg(target_os = "linux")]
use super::UndoOutcome;
use super::{FaultError, Undo};
pub(super) use crate::os::resource_limit::{LimitedResource, with_limits_lifted};
#[cfg(target_os = "linux")]
use crate::os::resource_limit::{LowerError, RestoredLimit};
#[cfg(target_os = "linux")]
use crate::test::process_scope::ProcessScope;

/// Lowers the limit of the resource `limited` to `to`, until the fault is undone.
#[cfg(target_os = "linux")]
pub(super) fn lower(limited: LimitedResource, to: u64) -> Result<Undo, FaultError> {
    if !ProcessScope::is_dedicated() {
        return Err(FaultError::Unavailable(
            "a limit is the whole process's, and the test has no process of its own (--isolation thread)"
                .to_owned(),
        ));
    }
    limited.lower(to).map_err(|error| match error {
        LowerError::AlreadyLower { now } => FaultError::unfit(
            format!("a limit above {to}"),
            format!("one of {now} in force already"),
        ),
        LowerError::Io(error) => error.into(),
    })?;
    Ok(Undo::new(move || match limited.restore(to) {
        Ok(RestoredLimit::Restored) => Ok(UndoOutcome::Restored),
        Ok(RestoredLimit::ChangedTo(other)) => Ok(UndoOutcome::Superseded {
            found: other.map_or("no limit".to_owned(), |other| format!("a limit of {other}")),
        }),
        Err(error) => Err(error.into()),
    }))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn lower(_limited: LimitedResource, _to: u64) -> Result<Undo, FaultError> {
    Err(FaultError::Unavailable(
        "limits of a process are lowered on Linux only".to_owned(),
    ))
}
