//! A run with many root seeds. Saves failing seeds for later runs.

use super::{TestRun, locked, unmet_oracles};
use crate::os::atomic_file::write_json_atomically;
use crate::registration::origin::Origin;
use crate::runner::console::{self, Printer};
use crate::runner::regressions::Regressions;
use crate::runner::selection::Selection;
use crate::runner::sweep::Sweep;
use crate::runner::sweep_extent::SweepExtent;
use clarity_chaos_record::Results;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

impl TestRun {
    /// Runs every selected test with each seed. Runs only the cases of one shard if `--shard` is
    /// given.
    pub(super) fn sweep(self, selection: &Selection, extent: SweepExtent) -> io::Result<ExitCode> {
        let Origin {
            package, target, ..
        } = self.case_runner.origin;
        let options = &self.case_runner.options;
        let threads = options.threads()?;
        let printer = Arc::clone(&self.printer);
        let is_terse = options.is_terse();
        let sweep = Sweep {
            case_runner: &self.case_runner,
            tests: &selection.selected,
            extent,
            regressions: &self.regressions,
            printer: &printer,
        };
        let suite = format!("{package}::{target}");
        let mut results = match self.fixture.refusal() {
            None => sweep.run(suite, threads, &|record, cleaned| {
                self.add_cleanup(record, cleaned);
            }),
            Some(reason) => {
                let names = selection.selected.iter().map(|test| test.name());
                let seeds = extent.reached(1);
                let mut results = Results::new(suite, seeds, options.shard, names);
                results.stop_reason = Some(reason);
                results
            }
        };
        for record in results.representatives_mut() {
            let mut tests = selection.selected.iter();
            if let Some(test) = tests.find(|test| test.name() == record.name) {
                self.minimize(test, record);
                self.check_repetition(test, record);
            }
        }
        if let Some(path) = &options.results
            && let Err(error) = write_json_atomically(path, &results)
        {
            self.add_error(format!(
                "failed to write the results {}: {error}",
                path.display()
            ));
        }
        results
            .representatives()
            .for_each(|record| self.save_record(record));
        let unmet = unmet_oracles(&results, options);
        save_regressions(&self.regressions, &results, &printer);
        locked(&self.records).extend(results.representatives().cloned());
        let tests = selection.selected.iter();
        let first = extent.reachable().first();
        let not_run = tests.filter_map(|test| self.not_run(test, first));
        locked(&self.records).extend(not_run);
        self.finish(&unmet, Some(&results), |finished| {
            let (reports, took) = (finished.reports, finished.took);
            let failed = &finished.fixture.failures;
            let summary = console::sweep_summary(&results, &unmet, failed, reports, took, is_terse);
            printer.print(&summary);
        })
    }
}

/// Adds failing seeds to the regressions file. A failed write causes only a warning, because the
/// summary prints the seeds too.
pub(crate) fn save_regressions(regressions: &Regressions, results: &Results, printer: &Printer) {
    let path = regressions.path().display();
    match regressions.add(results.regressions()) {
        Ok(0) => {}
        Ok(added) => printer.print(&format!(
            "added {added} failing seeds to {path}: commit the file\n"
        )),
        Err(error) => printer.print_to_stderr(&format!(
            "warning: failed to write the failing seeds to {path}: {error}"
        )),
    }
}
