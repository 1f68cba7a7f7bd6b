//! Parses arguments and environment variables, and rejects options that conflict.

use super::command::command;
use super::nightly_flags::NightlyFlags;
use super::options::Options;
use crate::runner::cli::sandbox_scope::SandboxScope;
use crate::runner::cli::seeds::SeedsChoice;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _};
use clarity_chaos_record::Isolation;
use libtest_mimic::Arguments;
use std::num::NonZeroU64;

/// The IDs of the tag options. Each of them counts as given even if only its environment variable
/// is set. An option's ID is the name of its field in [`Options`].
const SELECTING: [&str; 3] = ["tags", "skip_tags", "tag_expr"];

impl Options {
    /// Parses the process's arguments and environment variables. Ends the process with code 2 after
    /// an error, and with code 0 after `--help`.
    pub(crate) fn parse_or_exit() -> Self {
        let mut command = command();
        let parsed = command
            .try_get_matches_from_mut(std::env::args_os())
            .and_then(|matches| Self::from_matches(&matches));
        match parsed {
            Ok(options) => options,
            Err(error) => error.format(&mut command).exit(),
        }
    }

    /// Parses `arguments`, without the name of the program.
    #[cfg(test)]
    pub(crate) fn parse_for_tests(arguments: &[&str]) -> Self {
        let matches = command().try_get_matches_from(["chaos"].iter().chain(arguments));
        Self::from_matches(&matches.expect("the arguments are valid")).expect("no conflict")
    }

    fn from_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self::from_arg_matches(matches)?;
        options.ours_given = own_options().any(|id| match matches.value_source(&id) {
            Some(ValueSource::CommandLine) => true,
            Some(ValueSource::EnvVariable) => SELECTING.contains(&id.as_str()),
            _ => false,
        });
        options.given = own_options()
            .filter(|id| {
                let source = matches.value_source(id);
                source.is_some_and(|source| source != ValueSource::DefaultValue)
            })
            .collect();
        let threads = matches.value_source("test_threads");
        if options.isolation == Some(Isolation::Thread) && threads == Some(ValueSource::EnvVariable)
        {
            options.libtest.test_threads = None;
        }
        if options.nightly.fail_fast && options.seeds.is_some() {
            options.max_failures.get_or_insert(NonZeroU64::MIN);
        }
        let conflict = options.conflict().map(ToOwned::to_owned);
        match conflict.or_else(|| options.nightly.time_limits().err()) {
            Some(conflict) => {
                let kind = clap::error::ErrorKind::ValueValidation;
                Err(clap::Error::raw(kind, format!("{conflict}\n")))
            }
            None => Ok(options),
        }
    }

    /// Returns a message about the first invalid option or combination of options; `None` if there
    /// is none.
    fn conflict(&self) -> Option<&'static str> {
        let libtest = &self.libtest;
        let in_threads = self.isolation == Some(Isolation::Thread);
        let sweeps = self.seeds.is_some();
        let is_range = matches!(self.seeds, Some(SeedsChoice::Range(_)));
        let conflicts = [
            (
                libtest.test_threads == Some(0),
                "--test-threads: expected at least 1, found 0",
            ),
            (
                libtest.ignored && libtest.include_ignored,
                "--ignored: expected no --include-ignored",
            ),
            (
                self.runs_benchmarks() && sweeps,
                "--bench: expected no --seeds, since there are no benchmarks",
            ),
            (
                in_threads && libtest.test_threads > Some(1),
                "--isolation thread: expected no --test-threads, since it runs one test at a time",
            ),
            (
                self.require_sandbox && self.sandbox == SandboxScope::None,
                "--require-sandbox: expected a --sandbox that is not none",
            ),
            (
                self.isolation == Some(Isolation::Fork) && !cfg!(target_os = "linux"),
                "--isolation fork: expected exec, since this system is not Linux",
            ),
            (
                sweeps && self.is_json(),
                "--seeds: expected no --format json; --results FILE writes JSON",
            ),
            (
                sweeps && in_threads,
                "--seeds: expected an --isolation that is not thread",
            ),
            (
                self.check_determinism && in_threads,
                "--check-determinism: expected an --isolation that is not thread",
            ),
            (
                is_range && self.seed.is_some(),
                "--seeds A..B: expected no --seed, since the range sets the seeds",
            ),
            (
                sweeps && !is_range && self.shard.is_some() && self.seed.is_none(),
                "--shard: expected --seeds A..B or --seed N as well, since all shards must sweep the same seeds",
            ),
            (
                self.results.is_some() && !sweeps && self.merge.is_empty(),
                "--results: expected --seeds as well",
            ),
            (
                sweeps && self.retries > 0,
                "--retries: expected no --seeds, since a sweep does not repeat failures",
            ),
            (
                self.recording.is_some() && std::env::var_os("NEXTEST_RUN_ID").is_some(),
                "--recording: expected a run without nextest, which starts a process for each test: each would replace the file",
            ),
            (
                self.max_failures.is_some() && !sweeps,
                "--max-failures: expected --seeds as well",
            ),
        ];
        conflicts
            .into_iter()
            .find_map(|(conflicts, message)| conflicts.then_some(message))
    }
}

/// Lists the IDs of the options that libtest lacks.
fn own_options() -> impl Iterator<Item = String> {
    let of_libtest = NightlyFlags::augment_args(Arguments::command());
    let is_known = move |id: &str| of_libtest.get_arguments().any(|known| known.get_id() == id);
    command()
        .get_arguments()
        .filter(|option| !option.is_positional())
        .map(|option| option.get_id().to_string())
        .filter(|id| !is_known(id))
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        let arguments = ["chaos"].iter().chain(arguments);
        command()
            .try_get_matches_from(arguments)
            .and_then(|matches| Options::from_matches(&matches))
    }

    #[test]
    fn command_is_valid_and_each_selecting_option_is_own() {
        command().debug_assert();
        let own: Vec<String> = own_options().collect();
        for id in SELECTING {
            assert!(own.iter().any(|own| own == id), "{id} is not in {own:?}");
        }
        for id in ["skip", "exact", "format", "filter", "more_filters"] {
            assert!(own.iter().all(|own| own != id), "{id} is in {own:?}");
        }
    }

    #[test]
    fn parse_accepts_several_filters_among_flags() {
        let options = parse(&["a", "--skip-tag", "slow", "b", "c"]).unwrap();
        assert_eq!(options.filters().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(options.ours_given);
        assert!(!parse(&["a", "b", "--exact"]).unwrap().ours_given);
        for ours in ["--seed=1", "--slow-after=1s", "--last-failed", "--verbose"] {
            assert!(parse(&[ours]).unwrap().ours_given, "{ours}");
        }
    }

    #[test]
    fn parse_accepts_the_flags_of_libtest() {
        for unstable in [&[][..], &["-Z", "unstable-options"]] {
            for flags in [
                &["--test", "--bench"][..],
                &["--no-capture", "--nocapture"],
                &["--quiet", "--format", "pretty"],
                &["--list", "--format", "json"],
                &["--report-time", "--ensure-time"],
                &["--shuffle", "--shuffle-seed", "3"],
                &["--exclude-should-panic", "--force-run-in-process"],
                &["--fail-fast", "-Zunstable-options"],
            ] {
                let options = parse(&[unstable, flags].concat());
                let options = options.unwrap_or_else(|error| panic!("{flags:?}: {error}"));
                assert!(!options.ours_given, "{flags:?}");
            }
        }
        assert!(parse(&["--no-capture"]).unwrap().libtest.nocapture);
        let plain = parse(&[]).unwrap();
        assert!(!plain.libtest.nocapture && !plain.nightly.shuffles());
        assert!(parse(&["--quiet"]).unwrap().is_terse());
        assert!(!parse(&["-q", "--format", "pretty"]).unwrap().is_terse());
        assert!(parse(&["--shuffle-seed", "3"]).unwrap().nightly.shuffles());
        assert!(!parse(&["--bench", "--test"]).unwrap().runs_benchmarks());
    }

    #[test]
    fn parse_rejects_values_out_of_bounds() {
        for wrong in [
            &["--seed", "x"][..],
            &["--timeout", "0s"],
            &["--timeout", "fast"],
            &["--test-threads", "0"],
            &["-m", "not"],
            &["--log", "clarity=loud"],
            &["--keep-dirs", "some"],
            &["--ignored", "--include-ignored"],
            &["--bench", "--seeds", "9"],
            &["--shuffle-seed", "x"],
            &["-Z", "other"],
            &["--seeds", "0"],
            &["--seeds", "1..2", "--seed", "1"],
            &["--seeds", "9", "--shard", "1/2"],
            &["--seeds", "9", "--format", "json"],
            &["--seeds", "9", "--max-failures", "0"],
            &["--results", "file"],
            &["--max-failures", "1"],
            &["--replay", "file", "--seed", "1"],
            &["--replay", "file", "--seeds", "2"],
            &["--replay", "file", "--last-failed"],
            &["--shard", "3/2"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
