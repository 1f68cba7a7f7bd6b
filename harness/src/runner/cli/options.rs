//! The options of the command line: each flag with its help, its environment variable and its
//! default.
//!
//! The module `defaults` resolves defaults that depend on other options. The module `parsing`
//! rejects options that conflict.

use super::active_profile::ActiveProfile;
use super::isolation::isolation;
use super::profile_options::ProfileOptions;
use super::recording_options::RecordingOptions;
use super::stress::StressOption;
use super::values::{duration, log_filter, positive_duration};
use super::{HomeChoice, KeepDirs, KnownSeeds, NoTests, OracleMode, SeedChoice};
use crate::runner::cli::nightly_flags::NightlyFlags;
use crate::runner::cli::sandbox_scope::SandboxScope;
use crate::runner::cli::seeds::SeedsChoice;
use crate::runner::tag_expr::TagExpr;
use clap::Parser;
use clarity_chaos_record::{Isolation, Shard};
use libtest_mimic::Arguments;
use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// The default of `--log`.
const DEFAULT_FILTER: &str = "info";

const AFTER_HELP: &str = include_str!("after_help.txt");

/// The parsed command line.
#[derive(Debug, Parser)]
#[command(
    name = "chaos",
    about = "Runs chaos tests, each in a process of its own.",
    override_usage = "[OPTIONS] [FILTER]...",
    help_template = "{about}\n\nUsage: {usage}\n\n{all-args}\n\n{after-help}",
    after_help = AFTER_HELP,
    disable_version_flag = true
)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) libtest: Arguments,

    #[command(flatten)]
    pub(crate) nightly: NightlyFlags,

    #[command(flatten)]
    pub(crate) profiles: ProfileOptions,

    #[command(flatten)]
    pub(crate) recordings: RecordingOptions,

    #[command(flatten)]
    pub(super) stress: StressOption,

    /// The filters after the first filter: libtest-mimic accepts only one, but users expect any
    /// number.
    #[arg(value_name = "FILTER", index = 2, hide = true)]
    pub(crate) more_filters: Vec<String>,

    /// Run only tests with this tag (repeatable: with any of the tags)
    #[arg(
        long = "tag",
        value_name = "TAG",
        env = "CHAOS_TAG",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    pub(crate) tags: Vec<String>,

    /// Exclude tests with this tag (repeatable)
    #[arg(
        long = "skip-tag",
        value_name = "TAG",
        env = "CHAOS_SKIP_TAG",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    pub(crate) skip_tags: Vec<String>,

    /// Run only tests whose tags satisfy the expression: `not slow and (model or breaker)`
    #[arg(
        short = 'm',
        long = "tag-expr",
        value_name = "EXPR",
        env = "CHAOS_TAG_EXPR",
        help_heading = "Selection"
    )]
    pub(crate) tag_expr: Option<TagExpr>,

    /// Run only tests that failed in their last run, first with the failing seeds; if none failed,
    /// run all
    #[arg(
        long = "last-failed",
        visible_alias = "lf",
        env = "CHAOS_LAST_FAILED",
        help_heading = "Selection"
    )]
    pub(crate) last_failed: bool,

    /// Run first the tests that failed in their last run, with the failing seeds
    #[arg(
        long = "failed-first",
        visible_alias = "ff",
        env = "CHAOS_FAILED_FIRST",
        help_heading = "Selection"
    )]
    pub(crate) failed_first: bool,

    /// Result of an empty selection [default: fail with --exact or any option that libtest lacks,
    /// else warn]
    #[arg(
        long = "no-tests",
        value_enum,
        env = "CHAOS_NO_TESTS",
        help_heading = "Selection"
    )]
    pub(crate) no_tests: Option<NoTests>,

    /// Root seed: a number, or `last` for the seed of the last run [default: a fresh one, printed
    /// in the first line]
    #[arg(
        long = "seed",
        value_name = "N|last",
        env = "CHAOS_SEED",
        help_heading = "Running"
    )]
    pub(crate) seed: Option<SeedChoice>,

    /// Repeat a failed test with the same seed up to N times; a test that then passes is reported
    /// as flaky and does not fail the run
    #[arg(
        long = "retries",
        value_name = "N",
        env = "CHAOS_RETRIES",
        default_value_t = 0,
        hide_default_value = true,
        help_heading = "Running"
    )]
    pub(crate) retries: usize,

    /// Search, for about this long, for the fewest and simplest faults that still make a failed
    /// test fail [default: 10s]
    #[arg(long = "minimize", value_name = "DURATION", env = "CHAOS_MINIMIZE", num_args = 0..=1, require_equals = true, default_missing_value = "10s", value_parser = positive_duration, help_heading = "Sweeps")]
    pub(crate) minimize: Option<Duration>,

    /// Run each passed test again, in a new process where every second thread starts late; fail the
    /// test if its events differ
    #[arg(
        long = "check-determinism",
        env = "CHAOS_CHECK_DETERMINISM",
        help_heading = "Running"
    )]
    pub(crate) check_determinism: bool,

    /// Sweep: run every selected test once for each seed. N seeds start at --seed, or else at a
    /// fresh seed; A..B excludes B
    #[arg(
        long = "seeds",
        value_name = "N|A..B",
        env = "CHAOS_SEEDS",
        help_heading = "Sweeps"
    )]
    pub(crate) seeds: Option<SeedsChoice>,

    /// Stop a sweep after N failed cases
    #[arg(
        long = "max-failures",
        value_name = "N",
        env = "CHAOS_MAX_FAILURES",
        help_heading = "Sweeps"
    )]
    pub(crate) max_failures: Option<NonZeroU64>,

    /// Run only shard I of N; I counts from 1. Shards split the cases of a sweep; without a sweep,
    /// they split the tests
    #[arg(
        long = "shard",
        value_name = "I/N",
        env = "CHAOS_SHARD",
        help_heading = "Sweeps"
    )]
    pub(crate) shard: Option<Shard>,

    /// Write the results of a sweep as JSON, for --merge
    #[arg(
        long = "results",
        value_name = "FILE",
        env = "CHAOS_RESULTS",
        help_heading = "Sweeps"
    )]
    pub(crate) results: Option<PathBuf>,

    /// Merge the results of all shards of a sweep and report them as one run, without running tests
    #[arg(
        long = "merge",
        value_name = "FILE",
        num_args = 1..,
        help_heading = "Sweeps"
    )]
    pub(crate) merge: Vec<PathBuf>,

    /// Whether an oracle that was never reached, or a `sometimes!` that never held, fails the run
    /// [default: strict in whole sweeps, else off]
    #[arg(
        long = "oracles",
        value_enum,
        env = "CHAOS_ORACLES",
        help_heading = "Sweeps"
    )]
    pub(crate) oracles: Option<OracleMode>,

    /// File of failing seeds that sweeps found; other runs without --seed try them first [default:
    /// chaos_regressions/TARGET.txt in the package's directory]
    #[arg(
        long = "regressions",
        value_name = "FILE",
        env = "CHAOS_REGRESSIONS",
        help_heading = "Sweeps"
    )]
    pub(crate) regressions: Option<PathBuf>,

    /// Whether to run a test's known failing seeds first [default: first; never with --seed]
    #[arg(
        long = "known-seeds",
        value_enum,
        env = "CHAOS_KNOWN_SEEDS",
        help_heading = "Running"
    )]
    pub(crate) known_seeds: Option<KnownSeeds>,

    /// Time limit, in real time, of tests that declare none
    #[arg(long = "timeout", value_name = "DURATION", env = "CHAOS_TIMEOUT", default_value = "30s", value_parser = positive_duration, help_heading = "Running")]
    pub(crate) timeout: Duration,

    /// Time limit, in real time, of the run's set-up, and of its tear-down
    #[arg(long = "setup-timeout", value_name = "DURATION", env = "CHAOS_SETUP_TIMEOUT", default_value = "60s", value_parser = positive_duration, help_heading = "Running")]
    pub(crate) setup_timeout: Duration,

    /// Isolation of the tests from each other [default: fork on Linux, else exec]
    #[arg(
        long = "isolation",
        value_name = "ISOLATION",
        value_parser = isolation(),
        env = "CHAOS_ISOLATION",
        help_heading = "Running"
    )]
    pub(crate) isolation: Option<Isolation>,

    /// Tests to run in the sandbox: none, those tagged `non_destructive`, or all
    #[arg(
        long = "sandbox",
        value_enum,
        env = "CHAOS_SANDBOX",
        default_value_t = SandboxScope::DEFAULT,
        help_heading = "Running"
    )]
    pub(crate) sandbox: SandboxScope,

    /// Home directory of the tests in the sandbox
    #[arg(
        long = "home",
        value_enum,
        env = "CHAOS_HOME",
        default_value = "own",
        help_heading = "Running"
    )]
    pub(crate) home: HomeChoice,

    /// Fail with exit code 3 if a part of the sandbox cannot be enforced here
    #[arg(
        long = "require-sandbox",
        env = "CHAOS_REQUIRE_SANDBOX",
        help_heading = "Running"
    )]
    pub(crate) require_sandbox: bool,

    /// Extra time for a test to end after its time limit; then the test is killed
    #[arg(long = "grace", value_name = "DURATION", env = "CHAOS_GRACE", default_value = "2s", value_parser = duration, help_heading = "Running")]
    pub(crate) grace: Duration,

    /// Filter of `tracing` events for the timeline: levels by target, such as `info,my_crate=debug`
    #[arg(long = "log", value_name = "FILTER", env = "CHAOS_LOG", default_value = DEFAULT_FILTER, value_parser = log_filter, help_heading = "Running")]
    pub(crate) log: String,

    /// Write a JUnit report to this file
    #[arg(
        long = "junit",
        value_name = "FILE",
        env = "CHAOS_JUNIT",
        help_heading = "Reports"
    )]
    pub(crate) junit: Option<PathBuf>,

    /// Omit the files, lines and times of tests from the JUnit report; the schema of Jenkins' xUnit
    /// plug-in lacks them
    #[arg(
        long = "junit-strict",
        env = "CHAOS_JUNIT_STRICT",
        help_heading = "Reports"
    )]
    pub(crate) junit_strict: bool,

    /// Include the output of passed and skipped tests in the JUnit report
    #[arg(
        long = "junit-passed-output",
        env = "CHAOS_JUNIT_PASSED_OUTPUT",
        help_heading = "Reports"
    )]
    pub(crate) junit_passed_output: bool,

    /// Write a self-contained HTML report, with the timeline of each test, to this file
    #[arg(
        long = "html",
        value_name = "FILE",
        env = "CHAOS_HTML",
        help_heading = "Reports"
    )]
    pub(crate) html: Option<PathBuf>,

    /// Write a trace in Chrome's format (chrome://tracing, ui.perfetto.dev) to this file, while the
    /// tests run
    #[arg(
        long = "trace",
        value_name = "FILE",
        env = "CHAOS_TRACE",
        help_heading = "Reports"
    )]
    pub(crate) trace: Option<PathBuf>,

    /// Regenerate reports from saved records (files or directories), without running tests; the
    /// latest record of each test counts
    #[arg(
        long = "records",
        value_name = "PATH",
        num_args = 1..,
        conflicts_with = "merge",
        help_heading = "Reports"
    )]
    pub(crate) records: Vec<PathBuf>,

    /// Directory for the seed of the last run and for each test's latest record [default:
    /// chaos/PACKAGE/TARGET in Cargo's target directory]
    #[arg(
        long = "history",
        value_name = "DIR",
        env = "CHAOS_HISTORY",
        help_heading = "Reports"
    )]
    pub(crate) history: Option<PathBuf>,

    /// Tests whose directory, output and timeline are kept
    #[arg(
        long = "keep-dirs",
        value_enum,
        env = "CHAOS_KEEP_DIRS",
        default_value = "failed",
        help_heading = "Reports"
    )]
    pub(crate) keep_dirs: KeepDirs,

    /// Print the duration, faults and scenario of each test; --quiet overrides it
    #[arg(
        short = 'v',
        long = "verbose",
        env = "CHAOS_VERBOSE",
        help_heading = "Reports"
    )]
    pub(crate) verbose: bool,

    /// Report a test as slow after this time, and again each time its age has doubled
    #[arg(long = "slow-after", value_name = "DURATION", env = "CHAOS_SLOW_AFTER", default_value = "10s", value_parser = positive_duration, help_heading = "Reports")]
    pub(crate) slow_after: Duration,

    /// Whether the command line has an option that libtest lacks, or an environment variable sets a
    /// tag option.
    #[arg(skip)]
    pub(crate) ours_given: bool,

    /// The names of the options that the command line or the environment sets.
    #[arg(skip)]
    pub(crate) given: BTreeSet<String>,

    /// The profile of the run; `None` without a file of profiles.
    #[arg(skip)]
    pub(crate) active_profile: Option<ActiveProfile>,
}
