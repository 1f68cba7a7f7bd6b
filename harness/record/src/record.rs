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

/// All facts about one run of one test. Every report is made from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The version of the format: [`Record::SCHEMA`].
    pub schema: u32,
    /// The test's name, such as `corruption::one_flipped_bit_is_refused`.
    pub name: String,
    /// The test's module with its crate, such as `chaos::corruption`.
    pub module: String,
    /// The tags in the test's attribute.
    pub tags: Vec<String>,
    /// The doc comment: the failure scenario.
    pub description: String,
    /// The source file of the test, relative to the workspace.
    pub file: String,
    /// The line of the test's attribute, from 1.
    pub line: u32,
    /// The seed of the whole run.
    pub root_seed: Seed,
    /// The seed of this test.
    pub seed: Seed,
    /// How the test ended. In JSON `verdict` is its name, and its fields stand next to it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Earlier runs with the same seed that failed and were repeated (`--retries`). A test that
    /// passes after that is *flaky*.
    #[serde(default)]
    pub failed_attempts: Vec<FailedAttempt>,
    /// The time of the start, as RFC 3339 in UTC.
    pub started_at: String,
    /// From the start of the test's process to the end, in microseconds of real time.
    pub duration_us: u64,
    /// The test's timeout, in milliseconds of real time.
    pub timeout_ms: u64,
    /// The clock that the test ran under.
    pub clock: ClockKind,
    /// The resource limits that the test declared.
    pub limits: Limits,
    /// How the test was isolated from other tests.
    pub isolation: Isolation,
    /// The restrictions of the test, and which of them were enforced.
    pub sandbox: Sandbox,
    /// The fault plan, in the order of injection. Two runs with one seed have the same rows; the
    /// order is that in which the test's threads and tasks injected them.
    pub faults: Vec<PlannedFault>,
    /// The fewest faults that the test fails with, where they were searched for (`--minimize`).
    #[serde(default)]
    pub minimized: Option<Minimized>,
    /// All events, in order.
    pub timeline: Vec<Event>,
    /// The oracles that the test reached, in the order of the first reach.
    pub oracles: Vec<SeenOracle>,
    /// The threads of a test that was made to end: it timed out, or the run was interrupted.
    pub hung_threads: Vec<HungThread>,
    /// The resources that the test left behind.
    pub leaks: Leaks,
    /// The resources that the test used.
    pub resources: Resources,
    /// The captured output.
    pub output: CapturedOutput,
    /// The command that runs the test again with the same seed.
    pub replay_command: String,
    /// The test's directory, where it was kept.
    pub kept_dir: Option<PathBuf>,
}

impl Record {
    /// The version of the format that this release writes and reads.
    pub const SCHEMA: u32 = 2;

    /// The record of a case that has not run: only its name and its seeds are known.
    ///
    /// Its verdict is [`Verdict::Lost`] until another is set, so an unfinished record never passes.
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

    /// Reads a record of the version [`Record::SCHEMA`].
    ///
    /// # Errors
    ///
    /// When the text is not a record, or a record of another version.
    pub fn from_json(text: &[u8]) -> Result<Self, ReadError> {
        read(text, Self::SCHEMA, "a record of a test")
    }

    /// Whether the test failed and then passed, with the same seed.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        !self.failed_attempts.is_empty() && !self.verdict.is_failure()
    }

    /// Whether the test has explored an operation to its end.
    #[must_use]
    pub fn explores(&self) -> bool {
        let mut events = self.timeline.iter();
        events.any(|event| matches!(event.kind, EventKind::Explored { .. }))
    }

    /// Adds the outcomes of faults that the runner undid for a test that was killed.
    ///
    /// Outcomes of faults that are not in effect are ignored, and so are [`UndoOutcome::Failed`]:
    /// these faults stay in effect.
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

    /// The faults that were not undone: the test's process ended before.
    pub fn faults_in_effect(&self) -> impl Iterator<Item = &PlannedFault> {
        let undone = |fault: &PlannedFault| {
            self.timeline.iter().any(|event| {
                matches!(&event.kind, EventKind::FaultUndone { fault_id, .. } if *fault_id == fault.id)
            })
        };
        self.faults.iter().filter(move |fault| !undone(fault))
    }
}

/// A run of a case that failed and was followed by another one with the same seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// How it ended. In JSON `verdict` is its name, and its fields stand next to it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The time of the start, as RFC 3339 in UTC.
    pub started_at: String,
    /// From the start of its process to the end, in microseconds of real time.
    pub duration_us: u64,
    /// The captured output.
    pub output: CapturedOutput,
    /// Its directory, where it was kept.
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

/// The fewest faults that a case was found to fail with, and the simplest of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Minimized {
    /// The finding, in words.
    pub description: String,
    /// The faults of the smallest failing plan.
    pub faults: Vec<PlannedFault>,
    /// The number of faults in the plan of the case.
    pub total_faults: usize,
    /// The number of runs that the search took.
    pub runs: u64,
    /// Whether the search ended before its time was over.
    pub complete: bool,
}

impl Minimized {
    /// The result of a complete search.
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

/// The resources that a test used: counted by the system, or else by the test's own process. Absent
/// where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resources {
    /// CPU time of all its threads, and of the children that it waited for, in microseconds.
    pub cpu_us: Option<u64>,
    /// Peak resident memory, in bytes.
    pub peak_memory_bytes: Option<u64>,
}
