//! Parses arguments and environment variables, and rejects options that conflict.

use super::active_profile::ActiveProfile;
use super::command::command;
use super::nightly_flags::NightlyFlags;
use super::options::Options;
use super::profile_loading;
use super::profile_options::ProfileOptions;
use crate::registration::origin::Origin;
use crate::runner::cli::sandbox_scope::SandboxScope;
use crate::runner::cli::seeds::SeedsChoice;
use crate::runner::profiles::KEYS;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _};
use clarity_chaos_record::Isolation;
use libtest_mimic::Arguments;
use std::collections::BTreeSet;
use std::num::NonZeroU64;

/// The IDs of the tag options. Each of them counts as given even if only its environment variable
/// is set. An option's ID is the name of its field in [`Options`].
const SELECTING: [&str; 3] = ["tags", "skip_tags", "tag_expr"];

impl Options {
    /// Parses the process's arguments and environment variables. Ends the process with code 2 after
    /// an error, and with code 0 after `--help`.
    pub(crate) fn parse_or_exit(origin: &Origin) -> Self {
        Self::parse(origin).unwrap_or_else(|error| error.exit())
    }

    /// Parses the command line twice: the first time for the profile, and then with its settings as
    /// defaults.
    fn parse(origin: &Origin) -> Result<Self, clap::Error> {
        let arguments = || std::env::args_os();
        let with_usage = |error: clap::Error| error.format(&mut command());
        let matches = command().try_get_matches_from(arguments())?;
        let profile = ProfileOptions::from_arg_matches(&matches).map_err(with_usage)?;
        // An error in the file has nothing to do with the usage of the command line.
        let profile = profile_loading::load(&profile, origin).map_err(invalid)?;
        let matches = match &profile {
            None => matches,
            Some(profile) => {
                profile_loading::apply(profile, command()).try_get_matches_from(arguments())?
            }
        };
        Self::from_matches(&matches, profile).map_err(with_usage)
    }

    /// Parses `arguments`, without the name of the program.
    #[cfg(test)]
    pub(crate) fn parse_for_tests(arguments: &[&str]) -> Self {
        let matches = command().try_get_matches_from(["chaos"].iter().chain(arguments));
        Self::from_matches(&matches.expect("the arguments are valid"), None).expect("no conflict")
    }

    fn from_matches(
        matches: &ArgMatches,
        profile: Option<ActiveProfile>,
    ) -> Result<Self, clap::Error> {
        let mut options = Self::from_arg_matches(matches)?;
        options.active_profile = profile;
        options.given = given(matches);
        options.resolve_stress().map_err(invalid)?;
        options.resolve_profile();
        options.ours_given = own_options().any(|id| match matches.value_source(&id) {
            Some(ValueSource::CommandLine) => true,
            Some(ValueSource::EnvVariable) => SELECTING.contains(&id.as_str()),
            _ => false,
        });
        let threads = matches.value_source("test_threads");
        if options.isolation == Some(Isolation::Thread) && threads == Some(ValueSource::EnvVariable)
        {
            options.libtest.test_threads = None;
        }
        if options.nightly.fail_fast && options.seeds.is_some() {
            options.max_failures.get_or_insert(NonZeroU64::MIN);
        }
        let conflict = options.conflict().map(|conflict| {
            let conflict = match conflict.strip_prefix("--seeds: ") {
                Some(rest) if options.given.contains("stress") => format!("--stress: {rest}"),
                _ => conflict.to_owned(),
            };
            match &options.active_profile {
                None => conflict,
                Some(profile) => format!("{conflict} (with the profile {})", profile.description()),
            }
        });
        match conflict.or_else(|| options.nightly.time_limits().err()) {
            Some(conflict) => Err(invalid(conflict)),
            None => Ok(options),
        }
    }

    /// Makes `--stress` the seeds of the sweep.
    fn resolve_stress(&mut self) -> Result<(), String> {
        let Some(stress) = self.stress.stress else {
            return Ok(());
        };
        if self.seeds.is_some() {
            return Err("--stress: expected no --seeds, since both set the seeds".to_owned());
        }
        if matches!(stress, SeedsChoice::Within(_)) && self.shard.is_some() {
            return Err(
                "--stress DURATION: expected no --shard, since all shards must sweep the same seeds"
                    .to_owned(),
            );
        }
        self.seeds = Some(stress);
        Ok(())
    }

    /// Drops the overrides that given options replace. Drops settings of the profile that have no
    /// meaning together with given options.
    fn resolve_profile(&mut self) {
        let Some(profile) = &mut self.active_profile else {
            return;
        };
        let given = |option: &str| self.given.contains(&option.replace('-', "_"));
        for key in KEYS.iter().filter(|key| given(key.name)) {
            for each in &mut profile.overrides {
                each.drop_setting(key.name);
            }
        }
        let in_threads = self.isolation == Some(Isolation::Thread);
        if self.seeds.is_some() && !given("retries") {
            self.retries = 0;
        }
        if self.seeds.is_none() && !given("max-failures") {
            self.max_failures = None;
        }
        // A given seed must be the first one, as without a profile.
        if self.seed.is_some() && !given("known-seeds") {
            self.known_seeds = None;
        }
        if in_threads && !given("test-threads") {
            self.libtest.test_threads = None;
        }
        if in_threads && !given("check-determinism") {
            self.check_determinism = false;
        }
        let runs_tests = self.merge.is_empty() && self.records.is_empty();
        if !runs_tests && !given("trace") {
            self.trace = None;
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
                self.recordings.recording.is_some() && std::env::var_os("NEXTEST_RUN_ID").is_some(),
                "--recording: expected a run without nextest, which starts a process for each test: each would replace the file",
            ),
            (
                self.max_failures.is_some() && !sweeps,
                "--max-failures: expected --seeds as well",
            ),
            (
                self.trace.is_some() && !(self.merge.is_empty() && self.records.is_empty()),
                "--trace: expected no --merge and no --records, since they run no tests",
            ),
        ];
        conflicts
            .into_iter()
            .find_map(|(conflicts, message)| conflicts.then_some(message))
    }
}

fn invalid(text: String) -> clap::Error {
    let kind = clap::error::ErrorKind::ValueValidation;
    clap::Error::raw(kind, format!("{text}\n"))
}

/// Returns the IDs of the options that the command line or the environment sets.
fn given(matches: &ArgMatches) -> BTreeSet<String> {
    let ids = matches.ids().map(clap::Id::as_str);
    ids.filter(|id| {
        matches!(
            matches
                .try_get_raw(id)
                .ok()
                .and_then(|_| matches.value_source(id)),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    })
    .map(ToOwned::to_owned)
    .collect()
}

/// Lists the IDs of the options that libtest lacks.
pub(super) fn own_options() -> impl Iterator<Item = String> {
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
            .and_then(|matches| Options::from_matches(&matches, None))
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
