//! The profile of a run, as its file and the options choose it.

use super::test_settings::TestOverride;
use crate::registration::TestCase;
use crate::runner::profiles::Setting;
use std::fmt::Write as _;
use std::path::Path;

/// The profile of a run.
#[derive(Clone, Debug)]
pub(crate) struct ActiveProfile {
    /// The name of the profile, the profiles that it inherits, and the file.
    description: String,
    /// The settings for the run. No two of them have the same key.
    pub(super) settings: Vec<Setting>,
    /// The settings for some tests. The first one that matches a test counts.
    pub(super) overrides: Vec<TestOverride>,
}

impl ActiveProfile {
    /// Creates a profile. `names` are the names of the profile and of each that it inherits.
    pub(super) fn new(
        names: &[&str],
        file: &Path,
        settings: Vec<Setting>,
        overrides: Vec<TestOverride>,
    ) -> Self {
        let (name, inherited) = names.split_first().unwrap_or((&"", &[]));
        let inherited = match inherited {
            [] => String::new(),
            inherited => format!(" (inherits {})", inherited.join(", ")),
        };
        Self {
            description: format!("{name}{inherited}, of {}", file.display()),
            settings,
            overrides,
        }
    }

    /// Returns the name of the profile, the profiles that it inherits, and its file.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// Describes the profile, and each override with the number of `tests` that it matches.
    pub(super) fn describe(&self, tests: &[&TestCase]) -> String {
        let overrides = self.overrides.iter().map(|each| {
            let tests = tests.iter().filter(|test| each.matches(test.tags()));
            let count = match tests.count() {
                0 => "no test".to_owned(),
                1 => "1 test".to_owned(),
                count => format!("{count} tests"),
            };
            format!("`{}` for {count}", each.filter_text())
        });
        let overrides: Vec<String> = overrides.collect();
        let mut text = self.description.clone();
        if !overrides.is_empty() {
            let _ = write!(text, "\n    overrides: {}", overrides.join(", "));
        }
        text
    }
}
