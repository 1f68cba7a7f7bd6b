//! What stands around the tests of a run, as the header tells it before the first of them.

use crate::registration::TestCase;
use crate::runner::attempt::Attempts;
use clarity_chaos_record::Sandbox;
use std::io;

/// How many of the selected tests run in the sandbox, how many do not, and what is enforced for either.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) sandboxed: Option<Group>,
    pub(crate) open: Option<Group>,
}

/// Tests with the same walls.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) tests: usize,
    pub(crate) sandbox: Sandbox,
}

impl Surroundings {
    /// Finds out, by starting a supervisor of each kind that will be needed.
    ///
    /// # Errors
    ///
    /// When one cannot be started.
    pub(crate) fn of(attempts: &Attempts, selected: &[&TestCase]) -> io::Result<Self> {
        let sandboxed = selected
            .iter()
            .filter(|test| attempts.sandboxes(test))
            .count();
        let group = |tests: usize, sandboxed| {
            (tests > 0)
                .then(|| {
                    let sandbox = attempts.sandbox(sandboxed)?;
                    Ok::<_, io::Error>(Group { tests, sandbox })
                })
                .transpose()
        };
        Ok(Self {
            sandboxed: group(sandboxed, true)?,
            open: group(selected.len() - sandboxed, false)?,
        })
    }

    /// Tells what is missing around tests that should be in the sandbox, and whether anything is.
    pub(crate) fn refuse_gaps(&self) -> bool {
        let missing = self
            .sandboxed
            .iter()
            .flat_map(|group| group.sandbox.missing());
        let mut any = false;
        for (part, reason) in missing {
            any = true;
            eprintln!("error: --require-sandbox: {part} not enforced: {reason}");
        }
        any
    }
}
