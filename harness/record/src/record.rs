//! The record of a case.

use crate::captured_output::CapturedOutput;
use crate::clock_kind::ClockKind;
use crate::event::{Event, EventKind};
use crate::fault_plan::{PlannedFault, UndoOutcome};
use crate::hung_thread::HungThread;
use crate::isolation::Isolation;
use crate::leaks::Leaks;
use crate::limits::Limits;
use crate::read_error::{ReadError, read};
use crate::sandbox::Sandbox;
use crate::seed::Seed;
use crate::seen_oracle::SeenOracle;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All facts about one run of one test. Every report is made from records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The version of the format: [`Record::SCHEMA`].
    pub schema: u32,
    /// The test's name, such as `corruption::one_flipped_bit_is_refused`.
    pub name: String,
    /// The path of the test's module, with the crate's name: `chaos::corruption`.
    pub module: String,
    /// The tags from the test's attribute.
    pub tags: Vec<String>,
    /// The test's doc comment, which describes the failure scenario.
    pub description: String,
    /// The test's source file, relative to the workspace.
    pub file: String,
    /// The line of the test's attribute, from 1.
    pub line: u32,
    /// The root seed of the whole run.
    pub root_seed: Seed,
    /// The seed of this test.
    pub seed: Seed,
    /// The result of the test. In JSON, the field `verdict` contains the variant's name. The
    /// variant's own fields stand next to the field `verdict`.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Earlier failed runs of this case, which `--retries` repeated with the same seed. A test that
    /// passes after a failed attempt is *flaky*.
    #[serde(default)]
    pub failed_attempts: Vec<FailedAttempt>,
    /// The time when this case started, in UTC, in the format of RFC 3339.
    pub started_at: String,
    /// The real time from the start to the end of the test's process, in microseconds.
    pub duration_us: u64,
    /// The test's timeout, in milliseconds of real time.
    pub timeout_ms: u64,
    /// The kind of clock that the test ran under.
    pub clock: ClockKind,
    /// The resource limits that the test declared.
    pub limits: Limits,
    /// The way in which the test was isolated from other tests.
    pub isolation: Isolation,
    /// The restrictions on the test, each with its enforcement.
    pub sandbox: Sandbox,
    /// The fault plan, in the order in which the test's threads and tasks injected the faults. Two
    /// runs with the same seed have the same rows, possibly in another order.
    pub faults: Vec<PlannedFault>,
    /// The smallest failing fault plan that `--minimize` found. Absent if no search was made.
    #[serde(default)]
    pub minimized: Option<Minimized>,
    /// The result of a second run with the same seed that did not fail in the same way, with likely
    /// reasons. Absent if the failure repeated, or no second run was made.
    #[serde(default)]
    pub unrepeated: Option<String>,
    /// The events of the test, in order.
    pub timeline: Vec<Event>,
    /// The oracles that the test reached, in the order in which they were first reached.
    pub oracles: Vec<SeenOracle>,
    /// The threads of a test that timed out or was interrupted. Empty for other tests.
    pub hung_threads: Vec<HungThread>,
    /// The resources that the test left behind.
    pub leaks: Leaks,
    /// The resources that the test used.
    pub resources: Resources,
    /// The captured output of the test.
    pub output: CapturedOutput,
    /// The command that runs the test again with the same seed.
    pub replay_command: String,
    /// The path of the test's directory. Absent if the directory was removed.
    pub kept_dir: Option<PathBuf>,
}

impl Record {
    /// The version of the format that this release writes and reads.
    pub const SCHEMA: u32 = 2;

    /// Creates the record of a case that has not run. Only the name and the seeds are known.
    ///
    /// The verdict is [`Verdict::Lost`] until another verdict is set, so an unfinished record never
    /// passes.
    #[must_use]
    pub fn new(name: impl Into<String>, root_seed: Seed, seed: Seed) -> Self {
        Self {
            schema: Self::SCHEMA,
            name: name.into(),
            module: String::new(),
            tags: Vec::new(),
            description: String::new(),
            file: String::new(),
            line: 0,
            root_seed,
            seed,
            verdict: Verdict::Lost {
                error: "it has not run".to_owned(),
            },
            failed_attempts: Vec::new(),
            started_at: String::new(),
            duration_us: 0,
            timeout_ms: 0,
            clock: ClockKind::Real,
            limits: Limits::default(),
            isolation: Isolation::Exec,
            sandbox: Sandbox::without("the case has not run", Err("the case has not run")),
            faults: Vec::new(),
            minimized: None,
            unrepeated: None,
            timeline: Vec::new(),
            oracles: Vec::new(),
            hung_threads: Vec::new(),
            leaks: Leaks::default(),
            resources: Resources::default(),
            output: CapturedOutput::default(),
            replay_command: String::new(),
            kept_dir: None,
        }
    }

    /// Reads a record from JSON. The record's version must be [`Record::SCHEMA`].
    ///
    /// # Errors
    ///
    /// When `text` is not a record, or is a record of another version.
    pub fn from_json(text: &[u8]) -> Result<Self, ReadError> {
        read(text, Self::SCHEMA, "a record of a test")
    }

    /// Whether the test failed at first, and then passed or was skipped with the same seed.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        !self.failed_attempts.is_empty() && !self.verdict.is_failure()
    }

    /// Whether the timeline contains `EventKind::Explored`: the test finished an exploration.
    #[must_use]
    pub fn explores(&self) -> bool {
        let mut events = self.timeline.iter();
        events.any(|event| matches!(event.kind, EventKind::Explored { .. }))
    }

    /// Returns how far the exploration was that the end of the test's process has interrupted.
    #[must_use]
    pub fn exploring(&self) -> Option<&str> {
        self.timeline.iter().find_map(|event| match &event.kind {
            EventKind::Exploring { progress } => Some(progress.as_str()),
            _ => None,
        })
    }

    /// Adds the outcomes of undone faults to the timeline. The runner undid these faults after the
    /// test was killed.
    ///
    /// An outcome is ignored if its fault is not in effect. [`UndoOutcome::Failed`] is ignored,
    /// too: the fault of that outcome stays in effect.
    pub fn add_undone(&mut self, undone: Vec<(usize, UndoOutcome)>) {
        let last = self
            .timeline
            .last()
            .map_or((0, None), |event| (event.at_us, event.virtual_us));
        let open: Vec<usize> = self.faults_in_effect().map(|fault| fault.id).collect();
        let is_undone = |(id, outcome): &(usize, UndoOutcome)| {
            open.contains(id) && !matches!(outcome, UndoOutcome::Failed { .. })
        };
        let undone = undone.into_iter().filter(is_undone);
        self.timeline
            .extend(undone.map(|(fault_id, outcome)| Event {
                at_us: last.0,
                virtual_us: last.1,
                thread: "the runner".to_owned(),
                kind: EventKind::FaultUndone { fault_id, outcome },
            }));
    }

    /// Returns the faults that have no undo event on the timeline. The test's process ended before
    /// it undid these faults.
    pub fn faults_in_effect(&self) -> impl Iterator<Item = &PlannedFault> {
        let undone = |fault: &PlannedFault| {
            self.timeline.iter().any(|event| {
                matches!(&event.kind, EventKind::FaultUndone { fault_id, .. } if *fault_id == fault.id)
            })
        };
        self.faults.iter().filter(move |fault| !undone(fault))
    }
}

/// A failed run of a case. The case was then run again with the same seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The result of the attempt. In JSON, the field `verdict` contains the variant's name. The
    /// variant's own fields stand next to the field `verdict`.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The time of the attempt's start, in UTC, in the format of RFC 3339.
    pub started_at: String,
    /// The real time from the start to the end of the attempt's process, in microseconds.
    pub duration_us: u64,
    /// The captured output of the attempt.
    pub output: CapturedOutput,
    /// The path of the attempt's directory. Absent if the directory was removed.
    pub kept_dir: Option<PathBuf>,
}

impl From<Record> for FailedAttempt {
    fn from(record: Record) -> Self {
        Self {
            verdict: record.verdict,
            started_at: record.started_at,
            duration_us: record.duration_us,
            output: record.output,
            kept_dir: record.kept_dir,
        }
    }
}

/// The result of `--minimize`: the smallest fault plan with which a run of the case failed.
///
/// The plan has the fewest faults, and the simplest values for each fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Minimized {
    /// The result of the search, in words.
    pub description: String,
    /// The faults of the smallest failing plan.
    pub faults: Vec<PlannedFault>,
    /// The number of faults in the original plan of the case.
    pub total_faults: usize,
    /// The number of runs during the search.
    pub runs: u64,
    /// Whether the search finished before its time limit.
    pub complete: bool,
}

impl Minimized {
    /// Creates the result of a complete search.
    #[must_use]
    pub fn new(
        description: impl Into<String>,
        faults: Vec<PlannedFault>,
        total_faults: usize,
        runs: u64,
    ) -> Self {
        Self {
            description: description.into(),
            faults,
            total_faults,
            runs,
            complete: true,
        }
    }
}

/// The resources that a test used, as the system or the test's own process counted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resources {
    /// The CPU time of the test's process and of the children that it waited for, in microseconds.
    /// Absent if unknown.
    pub cpu_us: Option<u64>,
    /// The peak resident memory, in bytes. Absent if unknown.
    pub peak_memory_bytes: Option<u64>,
}
