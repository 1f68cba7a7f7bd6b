//! The command line of a chaos-test binary: libtest's flags, and ours beside them.

mod definition;
mod isolation;
mod parsing;
pub(crate) mod sandbox_scope;
pub(crate) mod seeds;
mod values;

pub(crate) use self::definition::variables;
use self::isolation::isolation;
pub(crate) use self::values::{KeepDirs, KnownSeeds, NoTests, OracleMode, SeedChoice};
use self::values::{duration, log_filter, positive_duration};

use crate::runner::cli::sandbox_scope::SandboxScope;
use crate::runner::cli::seeds::SeedsChoice;
use crate::runner::marker::Marker;
use clap::Parser;
use clarity_chaos_record::{Isolation, Shard};
use libtest_mimic::{Arguments, FormatSetting};
use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// What is put on the timeline unless `--log` says otherwise.
const DEFAULT_FILTER: &str = "info";

const AFTER_HELP: &str = include_str!("cli/after_help.txt");

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

    /// All filters but the first: libtest-mimic takes one, and users expect any number.
    #[arg(value_name = "FILTER", index = 2, hide = true)]
    pub(crate) more_filters: Vec<String>,

    /// Run only tests with this tag; given several times, with any of them
    #[arg(
        long = "tag",
        value_name = "TAG",
        env = "CHAOS_TAG",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    pub(crate) tags: Vec<String>,

    /// Leave out tests with this tag (repeatable)
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
        long = "markers",
        value_name = "EXPR",
        env = "CHAOS_MARKERS",
        help_heading = "Selection"
    )]
    pub(crate) markers: Option<Marker>,

    /// Run only tests that failed when they ran last, and with the seeds that they failed with before that of this run; all, if none did
    #[arg(
        long = "last-failed",
        visible_alias = "lf",
        env = "CHAOS_LAST_FAILED",
        help_heading = "Selection"
    )]
    pub(crate) last_failed: bool,

    /// Begin with tests that failed when they ran last, and with the seeds that they failed with
    #[arg(
        long = "failed-first",
        visible_alias = "ff",
        env = "CHAOS_FAILED_FIRST",
        help_heading = "Selection"
    )]
    pub(crate) failed_first: bool,

    /// What to do when nothing is selected [default: fail with --exact or any option that libtest does not have, else warn]
    #[arg(
        long = "no-tests",
        value_enum,
        env = "CHAOS_NO_TESTS",
        help_heading = "Selection"
    )]
    pub(crate) no_tests: Option<NoTests>,

    /// The root seed: a number, or `last` for that of the last run [default: a fresh one, printed first]
    #[arg(
        long = "seed",
        value_name = "N|last",
        env = "CHAOS_SEED",
        help_heading = "Running"
    )]
    pub(crate) seed: Option<SeedChoice>,

    /// Run a test that fails again, with the same seed, up to so many times; one that passes then is told as flaky, and does not fail the run
    #[arg(
        long = "retries",
        value_name = "N",
        env = "CHAOS_RETRIES",
        default_value_t = 0,
        hide_default_value = true,
        help_heading = "Running"
    )]
    pub(crate) retries: usize,

    /// Search, for about this long [default: 10s], for the fewest faults that a failed test still fails with, and the simplest of each
    #[arg(long = "minimize", value_name = "DURATION", env = "CHAOS_MINIMIZE", num_args = 0..=1, require_equals = true, default_missing_value = "10s", value_parser = positive_duration, help_heading = "Sweeps")]
    pub(crate) minimize: Option<Duration>,

    /// Run each test that passes a second time, in a newly executed process where every other thread begins late, and fail it when its events are not the same
    #[arg(
        long = "check-determinism",
        env = "CHAOS_CHECK_DETERMINISM",
        help_heading = "Running"
    )]
    pub(crate) check_determinism: bool,

    /// Sweep: run every selected test once for each of N seeds, from --seed or a fresh one on, or of the seeds A to B, without B
    #[arg(
        long = "seeds",
        value_name = "N|A..B",
        env = "CHAOS_SEEDS",
        help_heading = "Sweeps"
    )]
    pub(crate) seeds: Option<SeedsChoice>,

    /// End a sweep early, once so many cases have failed
    #[arg(
        long = "max-failures",
        value_name = "N",
        env = "CHAOS_MAX_FAILURES",
        help_heading = "Sweeps"
    )]
    pub(crate) max_failures: Option<NonZeroU64>,

    /// Run only this share of the cases of a sweep, or of the tests: number I, from 1, of N
    #[arg(
        long = "shard",
        value_name = "I/N",
        env = "CHAOS_SHARD",
        help_heading = "Sweeps"
    )]
    pub(crate) shard: Option<Shard>,

    /// Write what a sweep came to, as JSON, for --merge
    #[arg(
        long = "results",
        value_name = "FILE",
        env = "CHAOS_RESULTS",
        help_heading = "Sweeps"
    )]
    pub(crate) results: Option<PathBuf>,

    /// Run nothing; put the results of all shards of a sweep together, and report and fail as one run would have
    #[arg(
        long = "merge",
        value_name = "FILE",
        num_args = 1..,
        help_heading = "Sweeps"
    )]
    pub(crate) merge: Vec<PathBuf>,

    /// Whether an oracle that was never reached, or of `sometimes!` never held, fails the run [default: strict in whole sweeps, else off]
    #[arg(
        long = "oracles",
        value_enum,
        env = "CHAOS_ORACLES",
        help_heading = "Sweeps"
    )]
    pub(crate) oracles: Option<OracleMode>,

    /// The file of seeds that sweeps found to fail; other runs without --seed try them first [default: chaos_regressions/TARGET.txt in the package's folder]
    #[arg(
        long = "regressions",
        value_name = "FILE",
        env = "CHAOS_REGRESSIONS",
        help_heading = "Sweeps"
    )]
    pub(crate) regressions: Option<PathBuf>,

    /// Whether seeds that a test is known to fail with are tried first [default: first, but never with --seed]
    #[arg(
        long = "known-seeds",
        value_enum,
        env = "CHAOS_KNOWN_SEEDS",
        help_heading = "Running"
    )]
    pub(crate) known_seeds: Option<KnownSeeds>,

    /// The limit of real time for tests that declare none
    #[arg(long = "timeout", value_name = "DURATION", env = "CHAOS_TIMEOUT", default_value = "30s", value_parser = positive_duration, help_heading = "Running")]
    pub(crate) timeout: Duration,

    /// How tests are kept apart [default: fork on Linux, else exec]
    #[arg(
        long = "isolation",
        value_name = "ISOLATION",
        value_parser = isolation(),
        env = "CHAOS_ISOLATION",
        help_heading = "Running"
    )]
    pub(crate) isolation: Option<Isolation>,

    /// Which tests run in the sandbox: none, those tagged `non_destructive`, or all
    #[arg(
        long = "sandbox",
        value_enum,
        env = "CHAOS_SANDBOX",
        default_value_t = SandboxScope::DEFAULT,
        help_heading = "Running"
    )]
    pub(crate) sandbox: SandboxScope,

    /// Fail, with exit code 3, when part of the sandbox cannot be enforced here
    #[arg(
        long = "require-sandbox",
        env = "CHAOS_REQUIRE_SANDBOX",
        help_heading = "Running"
    )]
    pub(crate) require_sandbox: bool,

    /// How long a test may take to end after its limit, before it is killed
    #[arg(long = "grace", value_name = "DURATION", env = "CHAOS_GRACE", default_value = "2s", value_parser = duration, help_heading = "Running")]
    pub(crate) grace: Duration,

    /// Which `tracing` events go on the timeline: levels by target, such as `info,my_crate=debug`
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

    /// Leave out of the JUnit report what the schema of Jenkins' xUnit plug-in does not name: files, lines and times of tests
    #[arg(
        long = "junit-strict",
        env = "CHAOS_JUNIT_STRICT",
        help_heading = "Reports"
    )]
    pub(crate) junit_strict: bool,

    /// Write a report to look at, with the timeline of each test, to this file, which needs nothing else
    #[arg(
        long = "html",
        value_name = "FILE",
        env = "CHAOS_HTML",
        help_heading = "Reports"
    )]
    pub(crate) html: Option<PathBuf>,

    /// Run nothing; make the reports, and fail, as the runs did that left these records: files, or folders of them; of several for a test the latest counts
    #[arg(
        long = "records",
        value_name = "PATH",
        num_args = 1..,
        conflicts_with = "merge",
        help_heading = "Reports"
    )]
    pub(crate) records: Vec<PathBuf>,

    /// Where the last seed and the latest record of each test are left [default: chaos/PACKAGE/TARGET in Cargo's target folder]
    #[arg(
        long = "history",
        value_name = "DIR",
        env = "CHAOS_HISTORY",
        help_heading = "Reports"
    )]
    pub(crate) history: Option<PathBuf>,

    /// Whose folders are kept: the test's directory, what it printed, its timeline
    #[arg(
        long = "keep-dirs",
        value_enum,
        env = "CHAOS_KEEP_DIRS",
        default_value = "failed",
        help_heading = "Reports"
    )]
    pub(crate) keep_dirs: KeepDirs,

    /// Tell of each test how long it took, what it met and what it is about; --quiet outweighs it
    #[arg(
        short = 'v',
        long = "verbose",
        env = "CHAOS_VERBOSE",
        help_heading = "Reports"
    )]
    pub(crate) verbose: bool,

    /// Name tests that have been running for so long, and again each time that their age has doubled
    #[arg(long = "slow-after", value_name = "DURATION", env = "CHAOS_SLOW_AFTER", default_value = "10s", value_parser = positive_duration, help_heading = "Reports")]
    pub(crate) slow_after: Duration,

    /// Whether an option of ours stood on the command line, or one that selects in the environment.
    #[arg(skip)]
    pub(crate) ours_given: bool,
}

/// The limit of tests that declare none, where the command line gives none either.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

impl Options {
    /// Whether unmet oracles fail the run.
    pub(crate) fn enforces_oracles(&self) -> bool {
        let default = if self.seeds.is_some() || !self.merge.is_empty() {
            OracleMode::Strict
        } else {
            OracleMode::Off
        };
        self.oracles.unwrap_or(default) == OracleMode::Strict
    }

    /// Whether the seeds that a test is known to fail with come before that of the run.
    pub(crate) fn tries_known_seeds(&self) -> bool {
        match self.known_seeds {
            Some(choice) => choice == KnownSeeds::First,
            None => self.seed.is_none(),
        }
    }

    /// How many tests run at the same time.
    ///
    /// # Errors
    ///
    /// When nobody says, and the system does not know how many processors there are.
    pub(crate) fn threads(&self) -> io::Result<usize> {
        match (
            self.isolation.unwrap_or(Isolation::DEFAULT),
            self.libtest.test_threads,
        ) {
            // One runner's thread can be a test at a time.
            (Isolation::Thread, _) => Ok(1),
            (_, Some(threads)) => Ok(threads),
            (_, None) => Ok(std::thread::available_parallelism()?.get()),
        }
    }

    /// All filters: a test is wanted when it matches any; with none, all are.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &str> {
        let first = self.libtest.filter.iter();
        first.chain(&self.more_filters).map(String::as_str)
    }

    /// Whether the output is libtest's terse form, which other tools parse.
    pub(crate) fn is_terse(&self) -> bool {
        self.libtest.quiet || self.libtest.format == Some(FormatSetting::Terse)
    }

    /// Whether standard output carries JSON and nothing else.
    pub(crate) fn is_json(&self) -> bool {
        self.libtest.format == Some(FormatSetting::Json)
    }
}
