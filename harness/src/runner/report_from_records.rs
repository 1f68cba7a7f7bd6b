//! Reports of what ran earlier, or elsewhere: from records, without running anything.

use crate::runner::cli::Options;
use crate::runner::reports;
use clarity_chaos_record::{Record, Seed, Verdict};
use clarity_chaos_report::{Summary, elapsed, render_failure};
use std::io;

/// Tells what came of these tests, and writes the reports that are asked for.
///
/// # Errors
///
/// When a report cannot be written; the text says which.
pub(crate) fn report(suite: &str, records: &[Record], options: &Options) -> io::Result<()> {
    let of = |is: fn(&Verdict) -> bool| records.iter().filter(|record| is(&record.verdict)).count();
    let failed = of(Verdict::is_failure);
    let skipped = of(|verdict| matches!(verdict, Verdict::Skipped { .. }));
    for record in records.iter().filter(|record| record.verdict.is_failure()) {
        println!("---- {} ----\n{}\n", record.name, render_failure(record));
    }
    println!(
        "records: {} tests passed; {failed} failed; {skipped} skipped",
        records.len() - failed - skipped
    );
    let seed = records
        .first()
        .map_or(Seed::new(0), |first| first.root_seed);
    let mut summary = Summary::new(suite, seed, records);
    summary.took = elapsed(records);
    let trouble = reports::write(&summary, options).trouble;
    match trouble.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(trouble.join("; "))),
    }
}
