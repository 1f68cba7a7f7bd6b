//! A case as a guest of the runner: on a thread of it, without a supervisor (`--isolation thread`).

use crate::data::case::Case;
use crate::data::ending::{Ending, Exit};
use crate::test::test_process;
use clarity_chaos_record::Isolation;
use std::io;
use std::time::Instant;

/// Runs the case on a thread of this process.
pub(crate) fn run(case: &Case) -> io::Result<Ending> {
    let began = Instant::now();
    let code = test_process::run_as_guest(case)?;
    Ok(Ending::of(
        Exit::Code(code),
        Isolation::Thread,
        began.elapsed(),
    ))
}
