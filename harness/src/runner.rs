//! A whole run: read the command line, select, run each case, report, conclude.

use crate::case::{self, CaseDir, CaseSpec};
use crate::cli::{DEFAULT_TIMEOUT, KeepDirs, NoTests, Options, SeedChoice};
use crate::evidence;
use crate::history::History;
use crate::isolation::Isolation;
use crate::origin::Origin;
use crate::output;
use crate::record::{Leaks, Output, Record, Resources};
use crate::registration::{self, TestCase};
use crate::report;
use crate::run_dir;
use crate::sandbox::Sandbox;
use crate::seed::Seed;
use crate::selection::Selection;
use crate::slot::Slots;
use crate::verdict::Verdict;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::fs;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// The harness itself failed.
const HARNESS_FAILED: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;
/// Nothing was selected.
const NOTHING_SELECTED: u8 = 4;
/// At least one test failed; libtest's code.
const TESTS_FAILED: u8 = 101;

/// How much longer than a test and its end may take the runner waits for a supervisor before it gives it up.
const SLACK: Duration = Duration::from_secs(30);

/// Runs what the command line asks for.
pub(crate) fn main(origin: &Origin) -> ExitCode {
    let options = Options::parse_or_exit();
    let tests = registration::all();
    let duplicates = registration::duplicates(&tests);
    if !duplicates.is_empty() {
        eprintln!("error: {}", duplicates.join("\nerror: "));
        return ExitCode::from(HARNESS_FAILED);
    }
    let selection = Selection::new(tests, &options);
    for warning in &selection.warnings {
        eprintln!("warning: {warning}");
    }
    if options.libtest.list {
        let listed = report::list(
            &mut io::stdout().lock(),
            &selection.selected,
            options.is_terse(),
        );
        return ended(listed.map(|()| ExitCode::SUCCESS));
    }
    if let Some(code) = refuse_nothing(&selection, &options) {
        return code;
    }
    let history = History::of(origin, options.history.as_deref());
    let seed = match options.seed {
        None => match std::env::var("NEXTEST_RUN_ID") {
            Ok(id) => Seed::of_nextest_run(&id),
            Err(_) => Seed::fresh(),
        },
        Some(SeedChoice::Given(seed)) => seed,
        Some(SeedChoice::Last) => match history.last_seed() {
            Ok(seed) => seed,
            Err(reason) => {
                eprintln!("error: {reason}");
                return ExitCode::from(USAGE);
            }
        },
    };
    ended(Run::new(origin, options, history, seed).and_then(|run| run.execute(selection)))
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
            let total = selection.deselected.len();
            eprintln!(
                "{word}: none of the {total} tests is selected (--list shows them; --no-tests=pass|warn|fail says what to make of this)"
            );
        }
    }
    let failed = action == NoTests::Fail && (nothing || !selection.missing.is_empty());
    failed.then(|| ExitCode::from(NOTHING_SELECTED))
}

/// A run in progress.
struct Run {
    origin: Origin,
    options: Options,
    history: History,
    seed: Seed,
    isolation: Isolation,
    slots: Slots,
    began: Instant,
    /// The folders of the cases.
    dir: TempDir,
    records: Mutex<Vec<Record>>,
    /// What the harness itself could not do; each fails the run.
    trouble: Mutex<Vec<String>>,
}

impl Run {
    fn new(origin: &Origin, options: Options, history: History, seed: Seed) -> io::Result<Self> {
        if let Err(error) = history.set_last_seed(seed) {
            let told = format!("failed to write down the seed of this run: {error}");
            if options.history.is_some() {
                return Err(io::Error::new(error.kind(), told));
            }
            eprintln!("warning: {told}; --seed last will not know it");
        }
        if let Some(file) = &options.libtest.logfile {
            let created = fs::File::create(file);
            created.map_err(|error| {
                io::Error::new(error.kind(), format!("--logfile {file}: {error}"))
            })?;
        }
        let dir = run_dir::create()?;
        let isolation = options.isolation.unwrap_or(Isolation::DEFAULT);
        Ok(Self {
            origin: *origin,
            options,
            isolation,
            slots: Slots::new(isolation, dir.path().to_owned()),
            history,
            seed,
            began: Instant::now(),
            dir,
            records: Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    fn execute(self, selection: Selection) -> io::Result<ExitCode> {
        let total = selection.selected.len() + selection.deselected.len();
        let header = report::header(
            selection.selected.len(),
            total,
            self.seed,
            self.isolation.name(),
            &Sandbox::of(self.isolation),
        );
        // Nobody may be listening; the tests run all the same.
        if self.options.is_json() {
            let _ = writeln!(io::stderr(), "{header}");
        } else {
            let _ = writeln!(io::stdout(), "{header}");
        }

        // libtest-mimic counts what it filters out itself, so it is told which tests are not wanted, each by its exact name.
        let arguments = Arguments {
            filter: None,
            exact: true,
            ignored: false,
            skip: selection
                .deselected
                .iter()
                .map(|test| test.name().to_owned())
                .collect(),
            ..self.options.libtest.clone()
        };
        let run = Arc::new(self);
        let trials = selection
            .selected
            .iter()
            .chain(&selection.deselected)
            .map(|test| {
                let (run, test) = (Arc::clone(&run), *test);
                Trial::ignorable_test(test.name(), move || run.trial(test))
            })
            .collect();
        // It panics when its output is closed; what has run by then is reported all the same.
        let conclusion = catch_unwind(AssertUnwindSafe(|| libtest_mimic::run(&arguments, trials)));
        let run = Arc::into_inner(run).expect("every trial has run or was dropped");
        match conclusion {
            Ok(conclusion) => run.conclude(conclusion.has_failed()),
            Err(_told_already) => {
                run.note_trouble("the run was not completed".to_owned());
                run.conclude(false)
            }
        }
    }

    /// Runs one test, and puts its record where reports will look for it.
    fn trial(&self, test: &'static TestCase) -> Result<Completion, Failed> {
        let record = self.case(test);
        if let Err(error) = self.history.keep(&record) {
            self.note_trouble(format!(
                "failed to write the record of {}: {error}",
                record.name
            ));
        }
        let result = match &record.verdict {
            Verdict::Passed => Ok(Completion::Completed),
            Verdict::Skipped { reason } => Ok(Completion::ignored_with(reason)),
            _ => Err(report::failure(&record).into()),
        };
        locked(&self.records).push(record);
        result
    }

    fn case(&self, test: &'static TestCase) -> Record {
        let spec = CaseSpec {
            name: test.name().to_owned(),
            path: test.path().to_owned(),
            seed: self.seed.child("test", test.name()),
            timeout: test.timeout().unwrap_or(self.options.timeout),
            grace: self.options.grace,
            log: self.options.log.clone(),
        };
        let started_at = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        let mut record = self.blank_record(test, &spec, started_at);
        let case = match CaseDir::create(self.dir.path(), &spec) {
            Ok(case) => case,
            Err(error) => {
                let error = format!("failed to make its folder: {error}");
                record.verdict = Verdict::Lost { error };
                return record;
            }
        };
        let patience = spec
            .timeout
            .saturating_add(spec.grace)
            .saturating_add(SLACK);
        let run = || self.slots.run(&case, patience);
        let ended = if self.options.libtest.nocapture {
            output::copying(&case.output(), self.options.is_json(), run)
        } else {
            run()
        };
        evidence::conclude(&mut record, &case, ended, spec.timeout);
        self.keep_or_remove(&mut record, &case);
        record
    }

    /// The record as far as it is known before the test has run.
    fn blank_record(&self, test: &TestCase, spec: &CaseSpec, started_at: String) -> Record {
        let (file, line) = test.location();
        Record {
            schema: Record::SCHEMA,
            name: spec.name.clone(),
            module: test.module().to_owned(),
            tags: test.tags().iter().map(ToString::to_string).collect(),
            description: test.description().to_owned(),
            file: file.to_owned(),
            line,
            root_seed: self.seed,
            seed: spec.seed,
            // Nothing passes that was not concluded.
            verdict: Verdict::Lost {
                error: "it has not run".to_owned(),
            },
            started_at,
            duration_us: 0,
            timeout_ms: u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX),
            clock: test.clock(),
            isolation: self.isolation,
            sandbox: Sandbox::of(self.isolation),
            faults: Vec::new(),
            timeline: Vec::new(),
            oracles: Vec::new(),
            leaks: Leaks::default(),
            resources: Resources::default(),
            output: Output::default(),
            replay: self.replay(&spec.name),
            kept: None,
        }
    }

    /// The command that runs a test again as it ran now.
    fn replay(&self, test: &str) -> String {
        let start = self.origin.command();
        let mut command = format!("{start} --exact {test} --seed {}", self.seed);
        if let Some(isolation) = self.options.isolation {
            command.push_str(&format!(" --isolation {isolation}"));
        }
        if self.options.timeout != DEFAULT_TIMEOUT {
            let timeout = humantime::format_duration(self.options.timeout);
            command.push_str(&format!(" --timeout '{timeout}'"));
        }
        command
    }

    /// Removes the folder of a case that has been concluded, or keeps it where that was asked for.
    fn keep_or_remove(&self, record: &mut Record, case: &CaseDir) {
        let keep = match self.options.keep_dirs {
            KeepDirs::Never => false,
            KeepDirs::Failed => record.verdict.is_failure(),
            KeepDirs::Always => true,
        };
        if keep {
            record.kept = Some(case.root().to_owned());
        } else if let Err(error) = case::remove(case.root()) {
            self.note_trouble(format!(
                "failed to remove {}: {error}",
                case.root().display()
            ));
        }
    }

    fn note_trouble(&self, what: String) {
        locked(&self.trouble).push(what);
    }

    /// Writes the reports, says where things are, and gives the exit code.
    fn conclude(self, failed: bool) -> io::Result<ExitCode> {
        let took = self.began.elapsed();
        drop(self.slots);
        let mut records = self
            .records
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut trouble = self
            .trouble
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        records.sort_by(|a, b| a.name.cmp(&b.name));

        if let Some(path) = &self.options.junit {
            let suite = format!("{}::{}", self.origin.package, self.origin.target);
            if let Err(error) = report::junit(path, &suite, self.seed, &records, took) {
                trouble.push(format!(
                    "failed to write the JUnit report {}: {error}",
                    path.display()
                ));
            }
        }
        let dir: PathBuf = self.dir.keep();
        let kept = records.iter().any(|record| record.kept.is_some());
        let left = if kept {
            run_dir::keep(&dir)
        } else {
            case::remove(&dir)
        };
        if let Err(error) = left {
            trouble.push(format!("failed to clean up {}: {error}", dir.display()));
        }
        if self.options.libtest.show_output && !self.options.is_json() {
            for record in records.iter().filter(|r| !r.verdict.is_failure()) {
                if !record.output.text.is_empty() {
                    println!("---- {} printed ----\n{}", record.name, record.output.text);
                }
            }
        }
        if failed && !self.options.is_json() {
            println!("run the failed tests again:");
            for record in records.iter().filter(|record| record.verdict.is_failure()) {
                println!("    {}", record.replay);
            }
            println!();
        }
        for what in &trouble {
            eprintln!("error: {what}");
        }
        Ok(if failed {
            ExitCode::from(TESTS_FAILED)
        } else if !trouble.is_empty() {
            ExitCode::from(HARNESS_FAILED)
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
