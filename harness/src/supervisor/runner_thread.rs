//! Runs a case on a thread of the runner, without a supervisor: `--isolation thread`.

use crate::data::case::Case;
use crate::data::exit_status::ExitStatus;
use crate::data::process_report::{ProcessReport, StopReason};
use crate::test::test_process;
use clarity_chaos_record::Isolation;
use std::io;
use std::time::Instant;

/// Runs the case on a new thread of this process, and waits until the case has ended. If
/// `is_interrupted` returns true, undoes the faults of the case and waits no longer. The thread
/// then runs until this process ends.
pub(crate) fn run(case: &Case, is_interrupted: &dyn Fn() -> bool) -> io::Result<ProcessReport> {
    let began = Instant::now();
    let code = test_process::run_in_shared_process(case, is_interrupted)?;
    // No exit code: the thread of the case still runs.
    let stop_reason = code.is_none().then_some(StopReason::Interrupted);
    let exit_status = ExitStatus::Code(code.unwrap_or(1));
    Ok(ProcessReport {
        stop_reason,
        ..ProcessReport::new(exit_status, Isolation::Thread, began.elapsed())
    })
}
