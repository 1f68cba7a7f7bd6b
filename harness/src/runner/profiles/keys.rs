//! The settings of a profile. Each has the name of an option of the command line.

/// The type of a setting's value in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
    pub(crate) kind: Kind,
    /// Whether an override can set it for some tests of a run.
    pub(crate) is_per_test: bool,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        is_per_test: false,
    }
}

const fn per_test(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        is_per_test: true,
    }
}

/// All settings.
pub(crate) const KEYS: [Key; 27] = [
    per_test("timeout", Kind::Text),
    per_test("grace", Kind::Text),
    per_test("retries", Kind::Number(0)),
    per_test("sandbox", Kind::Text),
    per_test("home", Kind::Text),
    per_test("keep-dirs", Kind::Text),
    per_test("log", Kind::Text),
    key("slow-after", Kind::Text),
    key("require-sandbox", Kind::Flag),
    key("isolation", Kind::Text),
    key("test-threads", Kind::Number(1)),
    key("fail-fast", Kind::Flag),
    key("known-seeds", Kind::Text),
    key("regressions", Kind::Path),
    key("check-determinism", Kind::Flag),
    key("minimize", Kind::Text),
    key("max-failures", Kind::Number(1)),
    key("oracles", Kind::Text),
    key("no-tests", Kind::Text),
    key("junit", Kind::Path),
    key("junit-strict", Kind::Flag),
    key("junit-passed-output", Kind::Flag),
    key("html", Kind::Path),
    key("trace", Kind::Path),
    key("history", Kind::Path),
    key("verbose", Kind::Flag),
    key("report-time", Kind::Flag),
];

/// The options that no profile sets. They choose the tests, the seeds or the work of one run.
// A profile with seeds would change the commands that repeat a failure.
pub(crate) const NOT_IN_PROFILES: [&str; 14] = [
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
];
