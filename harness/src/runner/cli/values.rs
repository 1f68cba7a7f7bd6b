//! What options can be set to.

use clap::ValueEnum;
use clarity_chaos_record::Seed;
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::filter::Targets;

/// What to do when nothing is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NoTests {
    /// Nothing: exit 0.
    Pass,
    /// Say so: exit 0.
    Warn,
    /// Say so: exit 4.
    Fail,
}

/// Whether unmet oracles fail a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OracleMode {
    /// Only those of `always!` that are violated, which fail their case.
    Off,
    /// Those of the tests that have run, and if all have, those of the code under test.
    Strict,
}

/// When the seeds that a test is known to fail with are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KnownSeeds {
    /// Before that of the run.
    First,
    /// Not at all.
    Never,
}

/// Whose folders are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepDirs {
    /// Nobody's.
    Never,
    /// Those of tests that failed.
    Failed,
    /// Everybody's.
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
                .map_err(|error| format!("{error}; or write `last`")),
        }
    }
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
