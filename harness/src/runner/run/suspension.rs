//! Stops and continues the tests of a run with the run.

use crate::runner::console::Printer;
use crate::runner::suspensions::Suspensions;
use crate::runner::worker_pool::WorkerPool;
use clarity_chaos_report::format_seconds;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Stops the tests when Ctrl-Z stops the run, and continues them with the run.
pub(super) fn listen_for_suspensions(
    suspensions: &Suspensions,
    pools: &[Option<&Arc<WorkerPool>>],
    printer: &Arc<Printer>,
) -> io::Result<()> {
    let pools: Vec<Weak<WorkerPool>> = pools
        .iter()
        .flatten()
        .map(|pool| Arc::downgrade(pool))
        .collect();
    let (pools_to_resume, printer) = (pools.clone(), Arc::clone(printer));
    let suspend = move || {
        pools
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|pool| pool.suspend())
    };
    let resume = move |took: Duration| {
        let pools = pools_to_resume.iter().filter_map(Weak::upgrade);
        pools.for_each(|pool| pool.resume());
        printer.print_to_stderr(&format!(
            "\ncontinued after {}: the time limits stood still; real deadlines inside of the tests went on",
            format_seconds(took)
        ));
    };
    suspensions.listen(suspend, resume)
}
