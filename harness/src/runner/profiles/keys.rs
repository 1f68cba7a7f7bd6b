//! The settings of a profile. Each has the name of an option of the command line.

/// The type of a setting's value in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettingType {
    /// A string with the value of the option.
    Text,
    /// A string with a path, which can have placeholders.
    Path,
    /// An integer that is not below this number.
    Number(u64),
    /// A boolean: whether the flag is set.
    Flag,
}

/// A setting of a profile.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The name of the option, without `--`.
    pub(crate) name: &'static str,
    pub(crate) value_type: SettingType,
    /// Whether an override can set it for some tests of a run.
    pub(crate) is_per_test: bool,
}

const fn key(name: &'static str, value_type: SettingType) -> Key {
    Key {
        name,
        value_type,
        is_per_test: false,
    }
}

const fn per_test(name: &'static str, value_type: SettingType) -> Key {
    Key {
        name,
        value_type,
        is_per_test: true,
    }
}

/// All settings.
pub(crate) const KEYS: [Key; 29] = [
    per_test("timeout", SettingType::Text),
    per_test("grace", SettingType::Text),
    per_test("retries", SettingType::Number(0)),
    per_test("sandbox", SettingType::Text),
    per_test("home", SettingType::Text),
    per_test("keep-dirs", SettingType::Text),
    per_test("log", SettingType::Text),
    key("slow-after", SettingType::Text),
    key("setup-timeout", SettingType::Text),
    key("require-sandbox", SettingType::Flag),
    key("isolation", SettingType::Text),
    key("test-threads", SettingType::Number(1)),
    key("fail-fast", SettingType::Flag),
    key("known-seeds", SettingType::Text),
    key("regressions", SettingType::Path),
    key("check-determinism", SettingType::Flag),
    key("minimize", SettingType::Text),
    key("max-failures", SettingType::Number(1)),
    key("oracles", SettingType::Text),
    key("no-tests", SettingType::Text),
    key("junit", SettingType::Path),
    key("junit-strict", SettingType::Flag),
    key("junit-passed-output", SettingType::Flag),
    key("html", SettingType::Path),
    key("trace", SettingType::Path),
    key("recording", SettingType::Path),
    key("history", SettingType::Path),
    key("verbose", SettingType::Flag),
    key("report-time", SettingType::Flag),
];

/// The options that no profile sets. They choose the tests, the seeds or the work of one run.
// A profile with seeds would change the commands that repeat a failure.
pub(crate) const NOT_IN_PROFILES: [&str; 15] = [
    "config",
    "profile",
    "tag",
    "skip-tag",
    "tag-expr",
    "last-failed",
    "failed-first",
    "seed",
    "seeds",
    "stress",
    "shard",
    "results",
    "merge",
    "records",
    "replay",
];
