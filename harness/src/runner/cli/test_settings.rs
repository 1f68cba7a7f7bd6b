//! The settings of a single test: those of the run, or those of the profile's overrides.

use super::sandbox_scope::SandboxScope;
use super::{HomeChoice, KeepDirs};
use crate::registration::{NON_DESTRUCTIVE, TestCase};
use crate::runner::tag_expr::TagExpr;
use clarity_chaos_record::{Record, Verdict};
use std::collections::BTreeSet;
use std::time::Duration;

/// The settings of a test.
#[derive(Clone, Debug)]
pub(crate) struct TestSettings {
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) retries: usize,
    pub(crate) log: String,
    pub(super) sandbox: SandboxScope,
    pub(super) home: HomeChoice,
    pub(super) keep_dirs: KeepDirs,
}

impl TestSettings {
    /// Whether a test with these settings must be in the sandbox.
    pub(crate) fn sandboxes(&self, test: &TestCase) -> bool {
        match self.sandbox {
            SandboxScope::None => false,
            SandboxScope::Marked => test.has_tag(NON_DESTRUCTIVE),
            SandboxScope::All => true,
        }
    }

    /// Whether a test in the sandbox has a home directory of its own.
    pub(crate) fn has_own_home(&self) -> bool {
        self.home == HomeChoice::Own
    }

    /// Whether the directory of a case with this record is kept.
    pub(crate) fn keeps_directory(&self, record: &Record) -> bool {
        match self.keep_dirs {
            KeepDirs::Never => false,
            // An interrupted case says nothing about the code under test, so its directory is not
            // kept.
            KeepDirs::Failed => {
                record.verdict.is_failure() && record.verdict != Verdict::Interrupted
            }
            KeepDirs::Always => true,
        }
    }
}

/// The settings that an override of a profile has for the tests that its filter matches.
#[derive(Clone, Debug)]
pub(crate) struct TestOverride {
    filter: TagExpr,
    filter_text: String,
    /// The names of the settings that the override has.
    keys: BTreeSet<&'static str>,
    /// The values of these settings. The other values mean nothing.
    values: TestSettings,
}

impl TestOverride {
    /// Creates an override with the settings whose names are `keys`.
    pub(super) fn new(
        filter: TagExpr,
        filter_text: String,
        keys: BTreeSet<&'static str>,
        values: TestSettings,
    ) -> Self {
        Self {
            filter,
            filter_text,
            keys,
            values,
        }
    }

    /// Replaces the settings of a test by those of the override.
    pub(super) fn apply(&self, settings: &mut TestSettings) {
        let values = &self.values;
        for key in &self.keys {
            match *key {
                "timeout" => settings.timeout = values.timeout,
                "grace" => settings.grace = values.grace,
                "retries" => settings.retries = values.retries,
                "log" => settings.log.clone_from(&values.log),
                "sandbox" => settings.sandbox = values.sandbox,
                "home" => settings.home = values.home,
                "keep-dirs" => settings.keep_dirs = values.keep_dirs,
                other => unreachable!("no override has the setting {other}"),
            }
        }
    }

    /// Drops the setting with the name `key`, if there is one.
    pub(super) fn drop_setting(&mut self, key: &str) {
        self.keys.remove(key);
    }

    pub(super) fn matches(&self, tags: &[&str]) -> bool {
        self.filter.matches(tags)
    }

    /// Returns the filter as in the file.
    pub(super) fn filter_text(&self) -> &str {
        &self.filter_text
    }
}
