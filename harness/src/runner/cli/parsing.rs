//! From arguments and variables to options, and which of them do not go together.

use super::Options;
use super::definition::definition;
use crate::runner::cli::sandbox_scope::SandboxScope;
use crate::runner::cli::seeds::SeedsChoice;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches as _};
use clarity_chaos_record::Isolation;

/// Those of [`OURS`] that select tests.
const SELECTING: [&str; 3] = ["tags", "skip_tags", "markers"];

/// Our options, by their names in [`Options`].
const OURS: [&str; 32] = [
    "tags",
    "skip_tags",
    "markers",
    "last_failed",
    "failed_first",
    "no_tests",
    "seed",
    "retries",
    "minimize",
    "check_determinism",
    "seeds",
    "max_failures",
    "shard",
    "results",
    "merge",
    "regressions",
    "oracles",
    "timeout",
    "grace",
    "isolation",
    "sandbox",
    "require_sandbox",
    "log",
    "junit",
    "junit_strict",
    "html",
    "records",
    "history",
    "keep_dirs",
    "verbose",
    "slow_after",
    "known_seeds",
];

impl Options {
    /// Parses the process's arguments and environment; ends the process with code 2, or 0 after `--help`, where that is due.
    pub(crate) fn parse_or_exit() -> Self {
        let mut command = definition();
        let parsed = command
            .try_get_matches_from_mut(std::env::args_os())
            .and_then(|matches| Self::from_matches(&matches));
        match parsed {
            Ok(options) => options,
            Err(error) => error.format(&mut command).exit(),
        }
    }

    fn from_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self::from_arg_matches(matches)?;
        options.ours_given = OURS.iter().any(|id| {
            matches.try_contains_id(id).is_ok()
                && match matches.value_source(id) {
                    Some(ValueSource::CommandLine) => true,
                    Some(ValueSource::EnvVariable) => SELECTING.contains(id),
                    _ => false,
                }
        });
        match options.clash() {
            Some(clash) => {
                let kind = clap::error::ErrorKind::ValueValidation;
                Err(clap::Error::raw(kind, format!("{clash}\n")))
            }
            None => Ok(options),
        }
    }

    /// The first thing that does not go together, with what was expected.
    fn clash(&self) -> Option<&'static str> {
        let libtest = &self.libtest;
        let in_threads = self.isolation == Some(Isolation::Thread);
        let sweeps = self.seeds.is_some();
        let is_range = matches!(self.seeds, Some(SeedsChoice::Range(_)));
        let clashes = [
            (
                libtest.test_threads == Some(0),
                "--test-threads: expected at least 1, found 0",
            ),
            (
                libtest.bench,
                "--bench: there are no benchmarks here, only tests",
            ),
            (
                in_threads && libtest.test_threads > Some(1),
                "--isolation thread: runs one test at a time; leave --test-threads out",
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
                "--seeds A..B: names the seeds already; leave --seed out",
            ),
            (
                sweeps && !is_range && self.shard.is_some() && self.seed.is_none(),
                "--shard: expected --seeds A..B or --seed N beside it, since all shards must sweep the same seeds",
            ),
            (
                self.results.is_some() && !sweeps && self.merge.is_empty(),
                "--results: expected --seeds beside it",
            ),
            (
                sweeps && self.retries > 0,
                "--retries: a sweep looks for what fails once; leave one of the two out",
            ),
            (
                self.max_failures.is_some() && !sweeps,
                "--max-failures: expected --seeds beside it",
            ),
        ];
        clashes
            .into_iter()
            .find_map(|(is_so, words)| is_so.then_some(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        let arguments = ["chaos"].iter().chain(arguments);
        definition()
            .try_get_matches_from(arguments)
            .and_then(|matches| Options::from_matches(&matches))
    }

    #[test]
    fn the_definition_is_sound_and_knows_all_our_options() {
        let command = definition();
        command.clone().debug_assert();
        let selection_and_more = command
            .get_arguments()
            .filter(|argument| argument.get_env().is_some())
            .map(|argument| argument.get_id().as_str().to_owned());
        for id in selection_and_more {
            assert!(OURS.contains(&id.as_str()), "{id} is missing in OURS");
        }
    }

    #[test]
    fn any_number_of_filters_stands_beside_flags() {
        let options = parse(&["a", "--skip-tag", "slow", "b", "c"]).unwrap();
        assert_eq!(options.filters().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(options.ours_given);
        assert!(!parse(&["a", "--exact"]).unwrap().ours_given);
    }

    #[test]
    fn values_out_of_bounds_are_usage_errors() {
        for wrong in [
            &["--seed", "x"][..],
            &["--timeout", "0s"],
            &["--timeout", "fast"],
            &["--test-threads", "0"],
            &["-m", "not"],
            &["--log", "clarity=loud"],
            &["--keep-dirs", "some"],
            &["--bench"],
            &["--seeds", "0"],
            &["--seeds", "1..2", "--seed", "1"],
            &["--seeds", "9", "--shard", "1/2"],
            &["--seeds", "9", "--format", "json"],
            &["--seeds", "9", "--max-failures", "0"],
            &["--results", "file"],
            &["--max-failures", "1"],
            &["--shard", "3/2"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
