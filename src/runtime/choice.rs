//! The choice of the runtime that serves a version.

use super::{Runtime, RuntimeError, RuntimeRefusal, load};
use crate::{RuntimeId, Session, VerifiedVersion};

/// A loaded version, and the runtime that loaded it.
pub(super) struct Choice<'a> {
    pub(super) session: Box<dyn Session>,
    pub(super) runtime: RuntimeId,
    /// The runtimes that were asked before, and refused the version.
    pub(super) passed_over: Vec<RuntimeRefusal>,
    /// The next runtime, which was not asked, and the version's bytes for it. `None` if the chosen
    /// runtime was the last one.
    pub(super) next: Option<(&'a dyn Runtime, VerifiedVersion)>,
}

/// Loads a version with the first of the runtime's candidates that does not refuse it. The runtime
/// without candidates is its own candidate.
///
/// With several candidates, all but the last one load a copy of the version.
///
/// # Errors
///
/// [`RuntimeError::NoRuntime`] if each of several candidates refuses the version. The error of a
/// runtime without candidates is its own.
pub(super) fn choose(
    runtime: &dyn Runtime,
    version: VerifiedVersion,
) -> Result<Choice<'_>, RuntimeError> {
    let mut candidates = runtime.candidates().iter().map(|candidate| &**candidate);
    let Some(mut candidate) = candidates.next() else {
        return Ok(Choice {
            session: load(runtime, version)?,
            runtime: runtime.id(),
            passed_over: Vec::new(),
            next: None,
        });
    };
    let mut passed_over = Vec::new();
    let mut rest = version;
    loop {
        let next = candidates.next();
        let (given, kept) = match next {
            Some(next) => (rest.clone(), Some((next, rest))),
            None => (rest, None),
        };
        let refused = match load(candidate, given) {
            Ok(session) => {
                return Ok(Choice {
                    session,
                    runtime: candidate.id(),
                    passed_over,
                    next: kept,
                });
            }
            Err(error) => RuntimeRefusal::new(candidate.id(), &error.without_remedy()),
        };
        passed_over.push(refused);
        match kept {
            Some(kept) => (candidate, rest) = kept,
            None => return Err(RuntimeError::NoRuntime(passed_over)),
        }
    }
}

/// Loads a version with the candidate `wanted`. The runtime without candidates is its own
/// candidate, regardless of its name.
///
/// # Errors
///
/// [`RuntimeError::OtherRuntime`] if no candidate has this name and version.
pub(super) fn load_with<'a>(
    runtime: &'a dyn Runtime,
    wanted: &RuntimeId,
    version: VerifiedVersion,
) -> Result<Choice<'a>, RuntimeError> {
    let candidates = runtime.candidates();
    let runtime = match candidates {
        [] => runtime,
        _ => {
            let found = candidates
                .iter()
                .find(|candidate| candidate.id() == *wanted);
            &**found.ok_or_else(|| RuntimeError::OtherRuntime(wanted.clone()))?
        }
    };
    Ok(Choice {
        session: load(runtime, version)?,
        runtime: runtime.id(),
        passed_over: Vec::new(),
        next: None,
    })
}
