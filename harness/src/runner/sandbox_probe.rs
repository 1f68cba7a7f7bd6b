//! Probes the sandbox before the first test of a run, for the header and `--require-sandbox`.

use crate::registration::TestCase;
use crate::runner::case_runner::CaseRunner;
use crate::runner::standard_streams::print_error;
use clarity_chaos_record::Sandbox;
use std::io;

/// The protections that are enforced around the selected tests. Tests in the sandbox and other
/// tests are listed separately.
#[derive(Debug)]
pub(crate) struct SandboxProbe {
    pub(crate) sandboxed: Option<ProbedTests>,
    pub(crate) open: Option<ProbedTests>,
}

/// Tests with the same protections.
#[derive(Debug)]
pub(crate) struct ProbedTests {
    pub(crate) count: usize,
    pub(crate) sandbox: Sandbox,
}

impl SandboxProbe {
    /// Probes a sandboxed supervisor if a selected test needs one. Does the same for an unsandboxed
    /// supervisor.
    ///
    /// # Errors
    ///
    /// When a supervisor cannot be started.
    pub(crate) fn new(case_runner: &CaseRunner, selected: &[&TestCase]) -> io::Result<Self> {
        let sandboxed = selected
            .iter()
            .filter(|test| case_runner.sandboxes(test))
            .count();
        let probe = |count: usize, is_sandboxed| {
            (count > 0)
                .then(|| {
                    let sandbox = case_runner.probe_sandbox(is_sandboxed)?;
                    Ok::<_, io::Error>(ProbedTests { count, sandbox })
                })
                .transpose()
        };
        Ok(Self {
            sandboxed: probe(sandboxed, true)?,
            open: probe(selected.len() - sandboxed, false)?,
        })
    }

    /// Prints an error for each part of the sandbox that is missing around sandboxed tests. Returns
    /// whether any part is missing.
    pub(crate) fn report_missing_parts(&self) -> bool {
        let missing = self
            .sandboxed
            .iter()
            .flat_map(|tests| tests.sandbox.missing());
        let mut any = false;
        for (part, reason) in missing {
            any = true;
            print_error(format_args!(
                "error: --require-sandbox: {part} not enforced: {reason}"
            ));
        }
        any
    }
}
