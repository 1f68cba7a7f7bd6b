//! The end of a run: writes the reports, removes or keeps the run's directory, and decides the exit
//! code.

use super::TestRun;
use super::fixture::FinishedFixture;
use crate::runner::case_runner::CaseRunner;
use crate::runner::cli::ActiveProfile;
use crate::runner::exit_codes::{HARNESS_FAILED, NOTHING_SELECTED, SIGNALLED, TESTS_FAILED};
use crate::runner::recording::RecordedRun;
use crate::runner::reports;
use crate::runner::standard_streams::print_error;
use clarity_chaos_record::{Record, Results};
use clarity_chaos_report::Summary;
use std::io;
use std::process::ExitCode;
use std::sync::PoisonError;
use std::time::Duration;

impl TestRun {
    /// Writes the reports, removes or keeps the run's directory, and prints the summary with
    /// `print`. Returns the exit code.
    pub(super) fn finish(
        self,
        unmet: &[String],
        sweep: Option<&Results>,
        print: impl FnOnce(&FinishedRun<'_>),
    ) -> io::Result<ExitCode> {
        let printer = self.printer;
        let CaseRunner {
            origin,
            options,
            seed,
            workers,
            fresh,
            failed_writes,
            trace,
            isolation,
            kept_states,
            ..
        } = self.case_runner;
        drop((workers, fresh));
        let fixture = self.fixture.finish(&printer, options.is_json());
        let took = self.began.elapsed();
        let mut records = self
            .records
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut errors = self
            .errors
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        records.sort_by(|a, b| (&a.name, a.root_seed.get()).cmp(&(&b.name, b.root_seed.get())));

        let suite = format!("{}::{}", origin.package, origin.target);
        let mut summary = Summary::new(&suite, seed, &records);
        summary.sweep = sweep;
        summary.unmet = unmet;
        summary.fixtures = &fixture.records;
        summary.took = took;
        let profile = options.active_profile.as_ref();
        summary.profile = profile.map(ActiveProfile::description);
        let is_interrupted = self.interruption.signal().is_some();
        let mut written = reports::write(&summary, &options);
        match trace.finish(&summary, is_interrupted) {
            Ok(path) => written.paths.extend(path),
            Err(error) => errors.push(error),
        }
        if let (Some(path), Some(fingerprint)) = (&options.recordings.recording, &self.fingerprint)
        {
            let run = RecordedRun {
                fingerprint,
                options: &options,
                isolation,
                root_seed: seed,
                kept_states: &kept_states,
                records: &records,
                is_interrupted,
            };
            written.add("recording", path, run.write(path));
        }
        errors.extend(written.errors);
        let (dir, left) = self.dir.end(self.has_kept.into_inner());
        if let Err(error) = left {
            errors.push(format!("failed to clean up {}: {error}", dir.display()));
        }
        if options.libtest.show_output && !options.is_json() {
            if options.is_terse() {
                printer.print("\n");
            }
            for record in records.iter().filter(|r| !r.verdict.is_failure()) {
                if !record.output.text.is_empty() {
                    let Record { name, output, .. } = record;
                    printer.print(&format!("---- {name} printed ----\n{}\n", output.text));
                }
            }
        }
        if let Some(replay) = &self.replay {
            let comparison = replay.compare(&records);
            match options.is_json() {
                true => printer.print_to_stderr(&comparison),
                false => printer.print(&comparison),
            }
        }
        print(&FinishedRun {
            records: &records,
            fixture: &fixture,
            reports: &written.paths,
            took,
        });
        errors.extend(printer.error());
        let failed_writes = failed_writes.into_inner();
        let failed_writes = failed_writes.unwrap_or_else(PoisonError::into_inner);
        for warning in failed_writes.warnings() {
            print_error(format_args!("warning: {warning}"));
        }
        for error in &errors {
            print_error(format_args!("error: {error}"));
        }
        let failed = !unmet.is_empty()
            || !fixture.failures.is_empty()
            || records.iter().any(|record| record.verdict.is_failure());
        Ok(if let Some(signal) = self.interruption.signal() {
            ExitCode::from(SIGNALLED.saturating_add(signal))
        } else if failed {
            ExitCode::from(TESTS_FAILED)
        } else if !errors.is_empty() {
            ExitCode::from(HARNESS_FAILED)
        } else if self.replay.is_some_and(|replay| !replay.is_complete()) {
            ExitCode::from(NOTHING_SELECTED)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// The results that the summary of a run needs.
pub(super) struct FinishedRun<'a> {
    pub(super) records: &'a [Record],
    pub(super) fixture: &'a FinishedFixture,
    pub(super) reports: &'a [String],
    pub(super) took: Duration,
}
