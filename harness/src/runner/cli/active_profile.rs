//! The profile of a run, as its file and the options choose it.

use super::test_settings::TestOverride;
use crate::runner::profiles::Setting;
use std::path::PathBuf;

/// The profile of a run.
#[derive(Clone, Debug)]
pub(crate) struct ActiveProfile {
    /// The name of the profile, and of each profile that it inherits.
    pub(super) names: Vec<String>,
    pub(super) file: PathBuf,
    /// The settings for the run. No two of them have the same key.
    pub(super) settings: Vec<Setting>,
    /// The settings for some tests. The first one that matches a test counts.
    pub(super) overrides: Vec<TestOverride>,
}

impl ActiveProfile {
    /// Describes the profile: its name, the profiles that it inherits, and its file.
    pub(crate) fn describe(&self) -> String {
        let [name, inherited @ ..] = self.names.as_slice() else {
            return String::new();
        };
        let inherited = match inherited {
            [] => String::new(),
            inherited => format!(" (inherits {})", inherited.join(", ")),
        };
        format!("{name}{inherited}, of {}", self.file.display())
    }

    /// Describes the overrides, each with the number of tests that it matches. `tests` are the tags
    /// of the selected tests. Returns `None` if there are no overrides.
    pub(crate) fn describe_overrides(&self, tests: &[&[&str]]) -> Option<String> {
        let overrides = self.overrides.iter().map(|each| {
            let count = tests.iter().filter(|tags| each.matches(tags)).count();
            let count = match count {
                0 => "no test".to_owned(),
                1 => "1 test".to_owned(),
                count => format!("{count} tests"),
            };
            format!("`{}` for {count}", each.filter_text())
        });
        let overrides: Vec<String> = overrides.collect();
        (!overrides.is_empty()).then(|| overrides.join(", "))
    }
}
