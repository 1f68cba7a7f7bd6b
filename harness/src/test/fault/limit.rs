//! Lowering a limit of the process, and raising it again.

#[cfg(target_os = "linux")]
use super::UndoOutcome;
use super::{FaultError, Undo};
pub(super) use crate::os::lowered_limit::{Limited, lifted};
#[cfg(target_os = "linux")]
use crate::os::lowered_limit::{LowerError, Raised};
#[cfg(target_os = "linux")]
use crate::test::home::Home;

/// Lowers the limit until the fault is undone.
#[cfg(target_os = "linux")]
pub(super) fn lower(limited: Limited, to: u64) -> Result<Undo, FaultError> {
    if !Home::is_own() {
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
    Ok(Undo::new(move || match limited.raise(to) {
        Ok(Raised::Restored) => Ok(UndoOutcome::Restored),
        Ok(Raised::ChangedTo(other)) => Ok(UndoOutcome::Superseded {
            found: other.map_or("no limit".to_owned(), |other| format!("a limit of {other}")),
        }),
        Err(error) => Err(error.into()),
    }))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn lower(_limited: Limited, _to: u64) -> Result<Undo, FaultError> {
    Err(FaultError::Unavailable(
        "limits of a process are lowered on Linux only".to_owned(),
    ))
}
