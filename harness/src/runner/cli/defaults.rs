//! Resolves options whose defaults depend on other options.

use super::OracleMode;
use super::options::Options;
use super::test_settings::TestSettings;
use crate::registration::TestCase;
use crate::runner::cli::KnownSeeds;
use crate::runner::cli::seeds::SeedsChoice;
use clarity_chaos_record::Isolation;
use libtest_mimic::FormatSetting;
use std::io;

impl Options {
    /// Whether unmet oracles fail the run. By default, they fail the run only with `--seeds`,
    /// `--stress N` or `--merge`.
    pub(crate) fn enforces_oracles(&self) -> bool {
        // With a duration, the speed of the machine decides the number of seeds. It must not decide
        // whether the run fails.
        let is_sweep = matches!(
            self.seeds,
            Some(SeedsChoice::Count(_) | SeedsChoice::Range(_))
        );
        let default = if is_sweep || !self.merge.is_empty() {
            OracleMode::Strict
        } else {
            OracleMode::Off
        };
        self.oracles.unwrap_or(default) == OracleMode::Strict
    }

    /// Whether a test's known failing seeds run before the seed of the run. By default, they run
    /// first unless `--seed` is given.
    pub(crate) fn tries_known_seeds(&self) -> bool {
        match self.known_seeds {
            Some(choice) => choice == KnownSeeds::First,
            None => self.seed.is_none(),
        }
    }

    /// The number of tests that run at the same time.
    ///
    /// # Errors
    ///
    /// When no option sets the number, and the number of processors is unknown.
    pub(crate) fn threads(&self) -> io::Result<usize> {
        match (
            self.isolation.unwrap_or(Isolation::DEFAULT),
            self.libtest.test_threads,
        ) {
            // In the runner's process, tests run one at a time.
            (Isolation::Thread, _) => Ok(1),
            (_, Some(threads)) => Ok(threads),
            (_, None) => Ok(std::thread::available_parallelism()?.get()),
        }
    }

    /// Returns the settings of a test without an override and without an attribute.
    pub(super) fn settings(&self) -> TestSettings {
        TestSettings {
            timeout: self.timeout,
            grace: self.grace,
            retries: self.retries,
            log: self.log.clone(),
            sandbox: self.sandbox,
            home: self.home,
            keep_dirs: self.keep_dirs,
        }
    }

    /// Returns the settings of a test. An override of the profile comes before the test's
    /// attribute, and the attribute before the option.
    pub(crate) fn settings_of(&self, test: &TestCase) -> TestSettings {
        let mut settings = self.settings();
        settings.timeout = test.timeout().unwrap_or(settings.timeout);
        let overrides = self.active_profile.iter();
        let overrides = overrides.flat_map(|profile| &profile.overrides);
        let matching: Vec<_> = overrides.filter(|each| each.matches(test.tags())).collect();
        // The first override that matches counts, so it is applied last.
        for each in matching.into_iter().rev() {
            each.apply(&mut settings);
        }
        settings
    }

    /// Describes the profile, and each override with the number of `tests` that it matches. Returns
    /// `None` without a file of profiles.
    pub(crate) fn describe_profile(&self, tests: &[&TestCase]) -> Option<String> {
        let profile = self.active_profile.as_ref()?;
        Some(profile.describe(tests))
    }

    /// Returns all filters. A test is selected if it matches at least one filter, or if there are
    /// no filters.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &str> {
        let first = self.libtest.filter.iter();
        first.chain(&self.more_filters).map(String::as_str)
    }

    /// Whether the output has libtest's terse format, which tools parse.
    pub(crate) fn is_terse(&self) -> bool {
        match self.libtest.format {
            Some(format) => format == FormatSetting::Terse,
            None => self.libtest.quiet,
        }
    }

    /// Whether standard output contains only JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.libtest.format == Some(FormatSetting::Json)
    }

    /// Whether only benchmarks run. There are none, so no test runs.
    pub(crate) fn runs_benchmarks(&self) -> bool {
        self.libtest.bench && !self.libtest.test
    }
}
