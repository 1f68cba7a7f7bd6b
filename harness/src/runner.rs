//! The runner: reads the command line, selects tests, runs them, and reports the results.

mod blank_record;
mod captured_output;
mod case_runner;
mod cli;
mod console;
mod coverage_profile;
mod determinism;
pub(crate) mod entry;
mod evidence;
mod exit_codes;
mod exploration_progress;
mod fixture;
mod header;
mod history;
mod in_process;
mod interruption;
mod kept_states;
mod list;
mod log_file;
mod minimizer;
mod output_bound;
mod profiles;
mod provenance;
mod recording;
mod regressions;
mod repetition;
mod replay;
mod report_from_records;
mod reports;
mod root_seed;
mod run;
mod run_overrides;
mod sandbox_probe;
mod selection;
mod standard_streams;
mod suggestion;
mod suspensions;
mod sweep;
mod sweep_extent;
mod tag_expr;
mod target_directory;
mod threads;
mod trace;
mod verdict;
mod worker;
mod worker_pool;
mod workspace;

use crate::os::atomic_file::write_json_atomically;
use crate::registration::origin::Origin;
use crate::registration::{self, TestCase};
use crate::runner::cli::seeds::SeedsChoice;
use crate::runner::cli::{NoTests, Options, SeedChoice};
use crate::runner::console::Printer;
use crate::runner::exit_codes::{HARNESS_FAILED, NOTHING_SELECTED, TESTS_FAILED, USAGE};
use crate::runner::history::{Failures, History};
use crate::runner::recording::Replay;
use crate::runner::regressions::Regressions;
use crate::runner::run::{TestRun, save_regressions, unmet_oracles};
use crate::runner::selection::Selection;
use crate::runner::standard_streams::print_error;
use clarity_chaos_record::{Record, Results, Seed};
use clarity_chaos_report::{Summary, read_records};
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// Runs tests, lists tests or makes reports, as the arguments of the process require. Returns the
/// exit code.
pub(crate) fn main(origin: &Origin) -> ExitCode {
    let mut options = Options::parse_or_exit(origin);
    let tests = registration::all();
    let duplicates = registration::duplicates(&tests);
    if !duplicates.is_empty() {
        print_error(format_args!("error: {}", duplicates.join("\nerror: ")));
        return ExitCode::from(HARNESS_FAILED);
    }
    if !options.merge.is_empty() {
        return exit_code(merge(origin, &options));
    }
    if !options.records.is_empty() {
        return exit_code(report_from_records(origin, &options));
    }
    let mut replay = match options.recordings.replay.clone() {
        None => None,
        Some(path) => match Replay::read(&path, &mut options) {
            Ok(replay) => Some(replay),
            Err(error) => {
                print_error(format_args!("error: {error}"));
                return ExitCode::from(USAGE);
            }
        },
    };
    let mut selection = Selection::new(tests, &options);
    if let Some(replay) = &mut replay {
        replay.select(&mut selection, &options);
    }
    let history = History::new(origin, options.history.as_deref());
    let failed = select_by_history(&mut selection, &history, &options);
    for warning in &selection.warnings {
        print_error(format_args!("warning: {warning}"));
    }
    if options.libtest.list {
        let listed = list::list(&mut io::stdout().lock(), &selection.selected, &options);
        return exit_code(listed.map(|()| ExitCode::SUCCESS));
    }
    if let Some(replay) = &mut replay {
        replay.announce(origin, &history.recordings(), options.is_json());
    }
    if let Some(code) = refuse_empty_selection(&selection, &options) {
        return code;
    }
    if let (Some(shard), None) = (options.shard, options.seeds) {
        selection.deselect(|test| !shard.holds_test(test.name()));
    }
    let shuffle_seed = options.nightly.shuffles().then(|| {
        let given = options.nightly.shuffle_seed;
        let seed = given.unwrap_or_else(|| root_seed::fresh().get());
        selection.shuffle(seed);
        selection.put_first(&failed);
        seed
    });
    let regressions = match Regressions::load(origin, options.regressions.as_deref()) {
        Ok(regressions) => regressions.with_former_names(selection.all()),
        Err(error) => {
            print_error(format_args!("error: {error}"));
            return ExitCode::from(USAGE);
        }
    };
    for test in regressions.tests() {
        let is_known = |known: &TestCase| known.name() == test || known.seed_name() == test;
        if !selection.all().any(is_known) {
            let path = regressions.path().display();
            print_error(format_args!("warning: {path}: no test is called `{test}`"));
        }
    }
    let replayed = replay.as_ref().map(Replay::root_seed);
    let seed = match replayed.map_or_else(|| root_seed(&options, &history), Ok) {
        Ok(seed) => seed,
        Err(reason) => {
            print_error(format_args!("error: {reason}"));
            return ExitCode::from(USAGE);
        }
    };
    exit_code(
        TestRun::new(origin, options, history, regressions, failed, seed)
            .and_then(|run| run.with_replay(replay).execute(selection, shuffle_seed)),
    )
}

/// Applies `--last-failed` and `--failed-first`. Returns the failed tests, each with the root seed
/// of its last run. The seed is `None` if the record of that run is unreadable. Returns an empty
/// map if neither option is given.
fn select_by_history(
    selection: &mut Selection,
    history: &History,
    options: &Options,
) -> BTreeMap<String, Option<Seed>> {
    if !options.last_failed && !options.failed_first {
        return BTreeMap::new();
    }
    let Failures {
        seeds: failed,
        warnings,
    } = history.failures(selection.selected.iter().copied());
    selection.warnings.extend(warnings);
    if options.last_failed && failed.is_empty() {
        let warning = "--last-failed: no selected test failed in its last run; all of them run";
        selection.warnings.push(warning.to_owned());
    } else if options.last_failed {
        selection.deselect(|test| !failed.contains_key(test.name()));
    }
    selection.put_first(&failed);
    failed
}

/// Returns the seed of the run, or the first seed of a sweep.
fn root_seed(options: &Options, history: &History) -> Result<Seed, String> {
    match (options.seed, options.seeds) {
        (Some(SeedChoice::Given(seed)), _) => Ok(seed),
        (Some(SeedChoice::Last), _) => history.last_seed(),
        (None, Some(SeedsChoice::Range(range))) => Ok(range.first()),
        (None, choice) => Ok(match std::env::var("NEXTEST_RUN_ID") {
            Ok(id) => root_seed::of_nextest_run(&id),
            Err(_) if choice.is_some() => root_seed::fresh_for_a_sweep(),
            Err(_) => root_seed::fresh(),
        }),
    }
}

/// Implements `--records`: makes the reports from saved records.
fn report_from_records(origin: &Origin, options: &Options) -> io::Result<ExitCode> {
    let records = match read_records(&options.records) {
        Ok(records) => records,
        Err(error) => {
            print_error(format_args!("error: --records: {error}"));
            return Ok(ExitCode::from(USAGE));
        }
    };
    let suite = format!("{}::{}", origin.package, origin.target);
    report_from_records::report(&suite, &records, options)?;
    let failed = records.iter().any(|record| record.verdict.is_failure());
    Ok(if failed {
        ExitCode::from(TESTS_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Implements `--merge`: merges the results of all shards. Makes the same reports, and returns the
/// same exit code, as one run of the whole sweep.
fn merge(origin: &Origin, options: &Options) -> io::Result<ExitCode> {
    let results = match Results::from_shards(&options.merge) {
        Ok(results) => results,
        Err(error) => {
            print_error(format_args!("error: --merge: {error}"));
            return Ok(ExitCode::from(USAGE));
        }
    };
    let regressions = Regressions::load(origin, options.regressions.as_deref())
        .map_err(io::Error::other)?
        .with_former_names(registration::all());
    let printer = Printer::open(options)?;
    save_regressions(&regressions, &results, &printer);
    let records: Vec<Record> = results.representatives().cloned().collect();
    let unmet = unmet_oracles(&results, options);
    let failed = results.failed() > 0 || !unmet.is_empty();
    let took = Duration::from_micros(records.iter().map(|record| record.duration_us).sum());
    let mut summary = Summary::new(&results.suite, results.seeds.first(), &records);
    summary.sweep = Some(&results);
    summary.unmet = &unmet;
    summary.took = took;
    let written = reports::write(&summary, options);
    let is_terse = options.is_terse();
    printer.print(&console::sweep_summary(
        &results,
        &unmet,
        &[],
        &written.paths,
        took,
        is_terse,
    ));
    if let Some(path) = &options.results {
        write_json_atomically(path, &results)?;
    }
    let mut errors = written.errors;
    errors.extend(printer.error());
    if !errors.is_empty() {
        return Err(io::Error::other(errors.join("; ")));
    }
    Ok(if failed {
        ExitCode::from(TESTS_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn exit_code(result: io::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        print_error(format_args!("error: {error}"));
        ExitCode::from(HARNESS_FAILED)
    })
}

/// Prints the messages in [`Selection::missing`], and a message about an empty selection, as
/// `--no-tests` requires. Returns the exit code if the process must end, or else `None`.
fn refuse_empty_selection(selection: &Selection, options: &Options) -> Option<ExitCode> {
    let has_filters = options.filters().next().is_some();
    let default = if options.libtest.exact && has_filters || options.ours_given {
        NoTests::Fail
    } else {
        NoTests::Warn
    };
    let action = options.no_tests.unwrap_or(default);
    let level = if action == NoTests::Fail {
        "error"
    } else {
        "warning"
    };
    let is_empty = selection.selected.is_empty();
    if action != NoTests::Pass {
        for missing in &selection.missing {
            print_error(format_args!("{level}: {missing}"));
        }
        if is_empty {
            match selection.all().count() {
                0 => print_error(format_args!(
                    "{level}: this program contains no chaos tests (for tests in a library, add `use LIBRARY as _;` \
                     next to `main!()`; --no-tests=pass|warn|fail sets the result)"
                )),
                total => print_error(format_args!(
                    "{level}: none of the {total} tests is selected (--list shows them; --no-tests=pass|warn|fail sets \
                     the result)"
                )),
            }
        }
    }
    let failed = action == NoTests::Fail && (is_empty || !selection.missing.is_empty());
    failed.then(|| ExitCode::from(NOTHING_SELECTED))
}
