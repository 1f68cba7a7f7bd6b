//! Runs a case on a thread of the runner, without a supervisor: `--isolation thread`.

use crate::data::case::Case;
use crate::data::exit_status::ExitStatus;
use crate::data::process_report::ProcessReport;
use crate::test::test_process;
use clarity_chaos_record::Isolation;
use std::io;
use std::time::Instant;

/// Runs the case on a new thread of this process, and waits until the case has ended.
pub(crate) fn run(case: &Case) -> io::Result<ProcessReport> {
    let began = Instant::now();
    let code = test_process::run_in_shared_process(case)?;
    Ok(ProcessReport::new(
        ExitStatus::Code(code),
        Isolation::Thread,
        began.elapsed(),
    ))
}
