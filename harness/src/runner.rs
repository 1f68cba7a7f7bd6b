//! The runner: read the command line, select, and run or report what is asked for.

mod attempt;
mod cli;
mod console;
mod determinism;
pub(crate) mod entry;
mod evidence;
mod exit;
mod header;
mod history;
mod interruption;
mod judge;
mod list;
mod marker;
mod minimizer;
mod output;
mod pool;
mod provenance;
mod regressions;
mod replay;
mod report_from_records;
mod reports;
mod root_seed;
mod run;
mod selection;
mod slot;
mod surroundings;
mod sweep;
mod workspace;

use crate::os::atomic_file::write_json_atomically;
use crate::registration::origin::Origin;
use crate::registration::{self, TestCase};
use crate::runner::cli::seeds::SeedsChoice;
use crate::runner::cli::{NoTests, Options, SeedChoice};
use crate::runner::console::Output;
use crate::runner::exit::{HARNESS_FAILED, NOTHING_SELECTED, TESTS_FAILED, USAGE};
use crate::runner::history::History;
use crate::runner::regressions::Regressions;
use crate::runner::run::{Run, remember, unmet};
use crate::runner::selection::Selection;
use clarity_chaos_record::{Record, Results, Seed};
use clarity_chaos_report::{Summary, read_records};
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// Runs what the command line asks for.
pub(crate) fn main(origin: &Origin) -> ExitCode {
    let options = Options::parse_or_exit();
    let tests = registration::all();
    let duplicates = registration::duplicates(&tests);
    if !duplicates.is_empty() {
        eprintln!("error: {}", duplicates.join("\nerror: "));
        return ExitCode::from(HARNESS_FAILED);
    }
    if !options.merge.is_empty() {
        return ended(merge(origin, &options));
    }
    if !options.records.is_empty() {
        return ended(retell(origin, &options));
    }
    let mut selection = Selection::new(tests, &options);
    let history = History::of(origin, options.history.as_deref());
    let failed = select_by_history(&mut selection, &history, &options);
    for warning in &selection.warnings {
        eprintln!("warning: {warning}");
    }
    if options.libtest.list {
        let listed = list::list(
            &mut io::stdout().lock(),
            &selection.selected,
            options.is_terse(),
        );
        return ended(listed.map(|()| ExitCode::SUCCESS));
    }
    if let Some(code) = refuse_nothing(&selection, &options) {
        return code;
    }
    if let (Some(shard), None) = (options.shard, options.seeds) {
        selection.leave_out(|test| !shard.holds_test(test.name()));
    }
    let regressions = match Regressions::of(origin, options.regressions.as_deref()) {
        Ok(regressions) => regressions.with_former_names(selection.all()),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(USAGE);
        }
    };
    for test in regressions.tests() {
        let is_known = |known: &TestCase| known.name() == test || known.seed_name() == test;
        if !selection.all().any(is_known) {
            let path = regressions.path().display();
            eprintln!("warning: {path}: no test is called `{test}`");
        }
    }
    let seed = match root_seed(&options, &history) {
        Ok(seed) => seed,
        Err(reason) => {
            eprintln!("error: {reason}");
            return ExitCode::from(USAGE);
        }
    };
    ended(
        Run::new(origin, options, history, regressions, failed, seed)
            .and_then(|run| run.execute(selection)),
    )
}

/// Selects or puts first what failed when it ran last, where that was asked for, and gives the root seeds of that.
fn select_by_history(
    selection: &mut Selection,
    history: &History,
    options: &Options,
) -> BTreeMap<String, Seed> {
    if !options.last_failed && !options.failed_first {
        return BTreeMap::new();
    }
    let failed = history.failures(selection.selected.iter().copied());
    if options.last_failed && failed.is_empty() {
        let warning = "--last-failed: none of these tests failed when it ran last; all of them run";
        selection.warnings.push(warning.to_owned());
    } else if options.last_failed {
        selection.leave_out(|test| !failed.contains_key(test.name()));
    }
    selection
        .selected
        .sort_by_key(|test| !failed.contains_key(test.name()));
    failed
}

/// The seed of the run, or the first one of a sweep.
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

/// Reports what the records that are named tell, as the runs that left them did.
fn retell(origin: &Origin, options: &Options) -> io::Result<ExitCode> {
    let records = match read_records(&options.records) {
        Ok(records) => records,
        Err(error) => {
            eprintln!("error: --records: {error}");
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

/// Puts the results of shards together, and reports and concludes as one run would have.
fn merge(origin: &Origin, options: &Options) -> io::Result<ExitCode> {
    let results = match Results::from_shards(&options.merge) {
        Ok(results) => results,
        Err(error) => {
            eprintln!("error: --merge: {error}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let regressions = Regressions::of(origin, options.regressions.as_deref())
        .map_err(io::Error::other)?
        .with_former_names(registration::all());
    let output = Output::open(options)?;
    remember(&regressions, &results, &output);
    let records: Vec<Record> = results.representatives().cloned().collect();
    let unmet = unmet(&results, options);
    let failed = results.failed() > 0 || !unmet.is_empty();
    let took = Duration::from_micros(records.iter().map(|record| record.duration_us).sum());
    let mut summary = Summary::new(&results.suite, results.seeds.first(), &records);
    summary.sweep = Some(&results);
    summary.unmet = &unmet;
    summary.took = took;
    let written = reports::write(&summary, options);
    let is_terse = options.is_terse();
    output.print(&console::sweep(
        &results,
        &unmet,
        &written.reports,
        took,
        is_terse,
    ));
    if let Some(path) = &options.results {
        write_json_atomically(path, &results)?;
    }
    let mut trouble = written.trouble;
    trouble.extend(output.trouble());
    if !trouble.is_empty() {
        return Err(io::Error::other(trouble.join("; ")));
    }
    Ok(if failed {
        ExitCode::from(TESTS_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn ended(result: io::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(HARNESS_FAILED)
    })
}

/// What to exit with when a name is unknown or nothing is selected; `None` when the run can go on.
fn refuse_nothing(selection: &Selection, options: &Options) -> Option<ExitCode> {
    let asked = options.filters().next().is_some();
    let default = if options.libtest.exact && asked || options.ours_given {
        NoTests::Fail
    } else {
        NoTests::Warn
    };
    let action = options.no_tests.unwrap_or(default);
    let word = if action == NoTests::Fail {
        "error"
    } else {
        "warning"
    };
    let nothing = selection.selected.is_empty();
    if action != NoTests::Pass {
        for missing in &selection.missing {
            eprintln!("{word}: {missing}");
        }
        if nothing {
            match selection.all().count() {
                0 => eprintln!(
                    "{word}: this program contains no chaos tests (add `use LIBRARY as _;` next to `main!()` for tests in a library; \
                     --no-tests=pass|warn|fail decides what follows)"
                ),
                total => eprintln!(
                    "{word}: none of the {total} tests is selected (--list shows them; --no-tests=pass|warn|fail decides what follows)"
                ),
            }
        }
    }
    let failed = action == NoTests::Fail && (nothing || !selection.missing.is_empty());
    failed.then(|| ExitCode::from(NOTHING_SELECTED))
}
