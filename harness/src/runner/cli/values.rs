//! The types and parsers of option values.

use clap::ValueEnum;
use clarity_chaos_record::Seed;
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::filter::Targets;

/// The value of `--no-tests`: the result of an empty selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NoTests {
    /// Exit 0 without a message.
    Pass,
    /// Print a warning, exit 0.
    Warn,
    /// Print an error, exit 4.
    Fail,
}

/// The value of `--oracles`: whether unmet oracles fail a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OracleMode {
    /// No. A violated `always!` still fails its case.
    Off,
    /// Yes, for oracles in the tests that have run. If all tests have run, also for oracles in the
    /// code under test.
    Strict,
}

/// The value of `--known-seeds`: when to run a test's known failing seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KnownSeeds {
    /// Before the seed of the run.
    First,
    /// Not at all.
    Never,
}

/// The value of `--home`: the home directory of sandboxed tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HomeChoice {
    /// An empty directory for each test.
    Own,
    /// The runner's home directory, which tests can read in part and cannot change.
    Runner,
}

/// The value of `--keep-dirs`: the tests whose directories the runner keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepDirs {
    /// No test.
    Never,
    /// Failed tests.
    Failed,
    /// All tests.
    Always,
}

/// The value of `--seed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeedChoice {
    Given(Seed),
    Last,
}

impl FromStr for SeedChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "last" => Ok(Self::Last),
            number => number
                .parse()
                .map(Self::Given)
                .map_err(|error| format!("{error}, or `last`")),
        }
    }
}

/// Parses a variable of libtest's flags: each value but `0` sets the flag.
#[expect(clippy::unnecessary_wraps, reason = "clap expects a result")]
pub(super) fn is_not_zero(text: &str) -> Result<bool, String> {
    Ok(text != "0")
}

pub(super) fn shuffle_seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a number from 0 to 18446744073709551615".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("expected a duration such as 500ms, 30s or 2m ({error})"))
}

pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("expected a duration above zero".to_owned()),
        duration => Ok(duration),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    text.parse::<Targets>()
        .map(|_| text.to_owned())
        .map_err(|error| {
            format!("expected levels by target, such as info,my_crate=debug ({error})")
        })
}
