//! A run of many seeds, and what is kept of it for later ones.

use super::{Run, locked, unmet};
use crate::os::atomic_file::write_json_atomically;
use crate::registration::origin::Origin;
use crate::runner::console::{self, Output};
use crate::runner::regressions::Regressions;
use crate::runner::selection::Selection;
use crate::runner::sweep::Sweep;
use clarity_chaos_record::{Results, SeedRange};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

impl Run {
    /// Runs every selected test with each of the seeds.
    pub(super) fn sweep(self, selection: &Selection, seeds: SeedRange) -> io::Result<ExitCode> {
        let Origin {
            package, target, ..
        } = self.attempts.origin;
        let options = &self.attempts.options;
        let threads = options.threads()?;
        let output = Arc::clone(&self.output);
        let is_terse = options.is_terse();
        let sweep = Sweep {
            attempts: &self.attempts,
            tests: &selection.selected,
            seeds,
            regressions: &self.regressions,
            output: &output,
        };
        let mut results = sweep.run(
            format!("{package}::{target}"),
            threads,
            &|record, cleaned| {
                self.note_remains(record, cleaned);
            },
        );
        for record in results.representatives_mut() {
            let mut tests = selection.selected.iter();
            if let Some(test) = tests.find(|test| test.name() == record.name) {
                self.minimize(test, record);
            }
        }
        if let Some(path) = &options.results
            && let Err(error) = write_json_atomically(path, &results)
        {
            self.note_trouble(format!(
                "failed to write the results {}: {error}",
                path.display()
            ));
        }
        results
            .representatives()
            .for_each(|record| self.keep(record));
        let unmet = unmet(&results, options);
        remember(&self.regressions, &results, &output);
        locked(&self.records).extend(results.representatives().cloned());
        self.conclude(&unmet, Some(&results), |ended| {
            let told = console::sweep(&results, &unmet, ended.reports, ended.took, is_terse);
            output.print(&told);
        })
    }
}

/// Keeps the seeds that failed for later runs. Where that cannot be done the run has told them all the same.
pub(crate) fn remember(regressions: &Regressions, results: &Results, output: &Output) {
    let path = regressions.path().display();
    match regressions.add(results.regressions()) {
        Ok(0) => {}
        Ok(added) => output.print(&format!(
            "failing seeds added to {path}, to be committed: {added}\n"
        )),
        Err(error) => output.notice(&format!(
            "warning: failed to write the failing seeds to {path}: {error}"
        )),
    }
}
