//! Creates the records of cases that have not run.

use crate::data::case::CaseSpec;
use crate::registration::TestCase;
use crate::runner::case_runner::{CaseRunner, no_sandbox};
use crate::runner::replay;
use clarity_chaos_record::{Record, Seed, Verdict};
use std::time::SystemTime;

impl CaseRunner {
    /// Creates a record with the fields that are known before the test runs.
    pub(crate) fn blank_record(&self, test: &TestCase, spec: &CaseSpec, root_seed: Seed) -> Record {
        let mut record = self.described(test, root_seed);
        record.timeout_ms = u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX);
        record.sandbox = no_sandbox();
        record
    }

    /// Creates the record of a test that does not run.
    pub(crate) fn skipped(&self, test: &TestCase, root_seed: Seed, reason: String) -> Record {
        let mut record = self.described(test, root_seed);
        record.verdict = Verdict::Skipped { reason };
        record
    }

    /// Creates a record with the fields that depend only on the test and on the options.
    fn described(&self, test: &TestCase, root_seed: Seed) -> Record {
        let (file, line, _column) = test.location();
        let seed = test.seed(root_seed);
        let mut record = Record::new(test.name(), root_seed, seed);
        record.module = test.module().to_owned();
        record.tags = test.tags().iter().map(ToString::to_string).collect();
        record.description = test.description().to_owned();
        record.file = file.to_owned();
        record.line = line;
        record.started_at = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        record.clock = test.clock();
        record.limits = test.limits();
        record.isolation = self.isolation;
        record.replay_command =
            replay::case_command(&self.origin, &self.options, test.name(), root_seed);
        record
    }
}
