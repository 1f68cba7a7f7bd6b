//! One run of one test: its folder, its supervisor, its record.

use crate::data::case::{Case, CaseSpec, Keeping};
use crate::data::ending::Ending;
use crate::data::restriction::Restriction;
use crate::journal::{self, Recovery};
use crate::registration::origin::Origin;
use crate::registration::{NON_DESTRUCTIVE, TestCase};
use crate::runner::cli::sandbox_scope::SandboxScope;
use crate::runner::cli::{KeepDirs, Options};
use crate::runner::determinism;
use crate::runner::output;
use crate::runner::replay;
use crate::runner::slot::{Held, Slots};
use crate::runner::workspace::Workspace;
use crate::supervisor::guest;
use clarity_chaos_record::{Event, EventKind, Isolation, Record, Sandbox, Seed, Verdict};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// How much longer than a test and its end may take the runner waits for a supervisor before it gives it up.
const SLACK: Duration = Duration::from_secs(30);

/// What all attempts of a run have in common.
#[derive(Debug)]
pub(crate) struct Attempts {
    pub(crate) origin: Origin,
    pub(crate) options: Options,
    pub(crate) seed: Seed,
    pub(crate) isolation: Isolation,
    pub(crate) slots: Arc<Slots>,
    /// Supervisors of newly executed processes, for the second runs of `--check-determinism`, with the folder of the run.
    pub(crate) fresh: Option<(Arc<Slots>, PathBuf)>,
    /// The folder of the cases that run as guests of the runner, one at a time, and have no supervisor.
    pub(crate) guests: Option<Mutex<Workspace>>,
}

/// What one run of a test has of its own.
#[derive(Clone, Debug)]
pub(crate) struct Variation {
    /// The root seed that the test's own is derived from.
    pub(crate) root_seed: Seed,
    pub(crate) keeping: Keeping,
    /// Whether what it prints is not shown while it runs, though that was asked for.
    pub(crate) is_quiet: bool,
    /// How long it may take, if not as long as ever.
    pub(crate) timeout: Option<Duration>,
    /// Whether it runs in a process that is executed for it.
    pub(crate) is_fresh: bool,
    /// Whether some of its threads begin late.
    pub(crate) late_starts: bool,
    /// Which of its faults take effect, if not all.
    pub(crate) restriction: Option<Restriction>,
}

impl Variation {
    /// The test as it runs with this root seed.
    pub(crate) fn of(root_seed: Seed) -> Self {
        Self {
            root_seed,
            keeping: Keeping::AsAsked,
            is_quiet: false,
            timeout: None,
            is_fresh: false,
            late_starts: false,
            restriction: None,
        }
    }
}

impl Attempts {
    /// Whether the test is to run in the sandbox, as far as there is one.
    pub(crate) fn sandboxes(&self, test: &TestCase) -> bool {
        match self.options.sandbox {
            SandboxScope::None => false,
            SandboxScope::Marked => test.has_tag(NON_DESTRUCTIVE),
            SandboxScope::All => true,
        }
    }

    /// What stands around tests, in the sandbox or not: a supervisor is started to find out, and then waits for its first case.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub(crate) fn sandbox(&self, sandboxed: bool) -> io::Result<Sandbox> {
        if self.isolation == Isolation::Thread {
            return Ok(nothing_around());
        }
        let held = self.slots.take(sandboxed)?;
        let sandbox = held.sandbox().clone();
        held.give_back();
        Ok(sandbox)
    }

    /// Runs a test, where that was asked for once more to see whether it goes the same way; gives its record, and what could not be cleaned up after it.
    pub(crate) fn check(
        &self,
        test: &'static TestCase,
        variation: &Variation,
    ) -> (Record, io::Result<()>) {
        let (mut record, cleaned) = self.make(test, variation);
        let Some((_, run)) = &self.fresh else {
            return (record, cleaned);
        };
        if record.verdict != Verdict::Passed || cleaned.is_err() {
            return (record, cleaned);
        }
        let again = Variation {
            keeping: Keeping::Nothing,
            is_quiet: true,
            is_fresh: true,
            // Both are done with calls that are waited for, which a process can have done once.
            late_starts: !record.explores(),
            ..variation.clone()
        };
        let (again, cleaned) = self.make(test, &again);
        if again.verdict == Verdict::Interrupted {
            record.verdict = Verdict::Interrupted;
        } else if let Some(what) = determinism::difference(&record, &again, run) {
            record.verdict = Verdict::Nondeterministic { what };
        }
        (record, cleaned)
    }

    /// Runs a test; gives its record, and what could not be cleaned up after it.
    pub(crate) fn make(
        &self,
        test: &'static TestCase,
        variation: &Variation,
    ) -> (Record, io::Result<()>) {
        let spec = CaseSpec {
            name: test.name().to_owned(),
            path: test.path().to_owned(),
            seed: variation.root_seed.child("test", test.seed_name()),
            timeout: variation
                .timeout
                .or(test.timeout())
                .unwrap_or(self.options.timeout),
            grace: self.options.grace,
            log: self.options.log.clone(),
            restriction: variation.restriction.clone(),
            late_starts: variation.late_starts,
            sandboxed: self.isolation != Isolation::Thread && self.sandboxes(test),
        };
        let mut record = self.blank_record(test, &spec, variation.root_seed);
        let timeout = spec.timeout;
        let begun = self.place(&spec, variation.is_fresh).and_then(|mut place| {
            if let Place::Slot(held) = &place {
                record.sandbox = held.sandbox().clone();
            }
            let case = place.workspace().begin(spec)?;
            Ok((case, place))
        });
        let (case, mut place) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let error = format!("it could not begin: {error}");
                record.verdict = Verdict::Lost { error };
                return (record, Ok(()));
            }
        };
        let ended = match &mut place {
            Place::Slot(held) => self.supervised(held, &case, variation.is_quiet),
            Place::Guest(_) => guest::run(&case),
        };
        let evidence = place.workspace().evidence(&case);
        let touched = !matches!(evidence.left_beside, Ok(None));
        evidence.conclude(&mut record, ended, timeout);
        // A test in the sandbox cannot damage anything elsewhere, and its journals are not trusted.
        let recovery = match case.spec.sandboxed {
            true => Recovery::default(),
            false => journal::recover(&case.undo()),
        };
        record.repair(recovery.outcomes);
        let cleaned = match variation.keeping {
            _ if !recovery.kept.is_empty() => keep_journals(
                &mut record,
                place.workspace(),
                &case,
                touched,
                recovery.kept,
            ),
            Keeping::AsAsked => self.keep_or_remove(&mut record, place.workspace(), &case, touched),
            Keeping::Nothing => removed(place.workspace(), &case, touched),
        };
        // Not before: the next case is appended to the same files. And a slot in which something is kept has no other.
        if let (Place::Slot(held), Ok(()), None) = (place, &cleaned, &record.kept) {
            held.give_back();
        }
        (record, cleaned)
    }

    /// Where a case can run now.
    fn place(&self, spec: &CaseSpec, is_fresh: bool) -> io::Result<Place<'_>> {
        match &self.guests {
            Some(guests) => {
                let workspace = guests.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Place::Guest(workspace))
            }
            None => {
                let slots = match &self.fresh {
                    Some((fresh, _)) if is_fresh => fresh,
                    _ => &self.slots,
                };
                let held = slots.take(spec.sandboxed)?;
                Ok(Place::Slot(Box::new(held)))
            }
        }
    }

    fn supervised(&self, held: &mut Held<'_>, case: &Case, is_quiet: bool) -> io::Result<Ending> {
        let patience = case
            .spec
            .timeout
            .saturating_add(case.spec.grace)
            .saturating_add(SLACK);
        if self.options.libtest.nocapture && !is_quiet {
            let output = held.workspace().open_output()?;
            let run = || held.run(case, patience);
            output::copying(output, self.options.is_json(), run)
        } else {
            held.run(case, patience)
        }
    }

    /// The record as far as it is known before the test has run.
    fn blank_record(&self, test: &TestCase, spec: &CaseSpec, root_seed: Seed) -> Record {
        let (file, line) = test.location();
        let mut record = Record::new(spec.name.clone(), root_seed, spec.seed);
        record.module = test.module().to_owned();
        record.tags = test.tags().iter().map(ToString::to_string).collect();
        record.description = test.description().to_owned();
        record.file = file.to_owned();
        record.line = line;
        record.started_at = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        record.timeout_ms = u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX);
        record.clock = test.clock();
        record.limits = test.limits();
        record.isolation = self.isolation;
        record.sandbox = nothing_around();
        record.replay = replay::one_case(&self.origin, &self.options, &spec.name, root_seed);
        record
    }

    /// Removes the folder of a case that has been concluded, or keeps it where that was asked for.
    fn keep_or_remove(
        &self,
        record: &mut Record,
        workspace: &mut Workspace,
        case: &Case,
        touched: bool,
    ) -> io::Result<()> {
        let keep = match self.options.keep_dirs {
            KeepDirs::Never => false,
            // What was interrupted has not shown anything.
            KeepDirs::Failed => {
                record.verdict.is_failure() && record.verdict != Verdict::Interrupted
            }
            KeepDirs::Always => true,
        };
        if keep {
            record.kept = Some(case.root().to_owned());
            told("keep", case, workspace.keep(case, touched))
        } else {
            removed(workspace, case, touched)
        }
    }
}

/// Keeps the directory of a case whose journals could not run to their end, and names them in the record and in the error.
fn keep_journals(
    record: &mut Record,
    workspace: &mut Workspace,
    case: &Case,
    touched: bool,
    journals: Vec<String>,
) -> io::Result<()> {
    record.kept = Some(case.root().to_owned());
    let at_us = record.timeline.last().map_or(0, |event| event.at_us);
    let error = io::Error::other(journals.join("; "));
    let notes = journals.into_iter().map(|text| EventKind::Note { text });
    let notes = notes.map(|note| Event::new(at_us, "the runner", note));
    record.timeline.extend(notes);
    told("keep", case, workspace.keep(case, touched))?;
    Err(error)
}

fn removed(workspace: &mut Workspace, case: &Case, touched: bool) -> io::Result<()> {
    told("remove", case, workspace.remove(case, touched))
}

/// The result, with what was tried if it failed.
fn told(what: &str, case: &Case, done: io::Result<()>) -> io::Result<()> {
    done.map_err(|error| {
        let root = case.root();
        let told = format!("failed to {what} {}: {error}", root.display());
        io::Error::new(error.kind(), told)
    })
}

/// Where a case runs.
#[derive(Debug)]
enum Place<'a> {
    Slot(Box<Held<'a>>),
    Guest(MutexGuard<'a, Workspace>),
}

impl Place<'_> {
    fn workspace(&mut self) -> &mut Workspace {
        match self {
            Self::Slot(held) => held.workspace(),
            Self::Guest(workspace) => workspace,
        }
    }
}

fn nothing_around() -> Sandbox {
    let reason = "a thread of the runner can do what the runner can";
    Sandbox::without(reason, Err("a thread cannot be ended"))
}
