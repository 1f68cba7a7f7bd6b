//! Makes reports from saved records, without running tests.

use crate::runner::cli::Options;
use crate::runner::reports;
use crate::runner::standard_streams::print;
use clarity_chaos_record::{Record, Seed, Verdict};
use clarity_chaos_report::{Summary, elapsed, render_failure};
use std::io;

/// Prints the failures and totals, and writes the requested reports.
///
/// # Errors
///
/// When at least one report cannot be written. The error names every report that
/// could not be written.
pub(crate) fn report(suite: &str, records: &[Record], options: &Options) -> io::Result<()> {
    let of = |is: fn(&Verdict) -> bool| records.iter().filter(|record| is(&record.verdict)).count();
    let failed = of(Verdict::is_failure);
    let skipped = of(|verdict| matches!(verdict, Verdict::Skipped { .. }));
    for record in records.iter().filter(|record| record.verdict.is_failure()) {
        print(format_args!(
            "---- {} ----\n{}\n",
            record.name,
            render_failure(record)
        ));
    }
    print(format_args!(
        "records: {} tests passed; {failed} failed; {skipped} skipped",
        records.len() - failed - skipped
    ));
    let seed = records
        .first()
        .map_or(Seed::new(0), |first| first.root_seed);
    let mut summary = Summary::new(suite, seed, records);
    summary.took = elapsed(records);
    let errors = reports::write(&summary, options).errors;
    match errors.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(errors.join("; "))),
    }
}
