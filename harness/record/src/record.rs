//! The record of a case: one JSON document from which every report is made.
//!
//! The format has a version, [`Record::SCHEMA`]. Fields are only ever added within a version; readers ignore those they do not know.

use crate::clock_kind::ClockKind;
use crate::event::{Event, EventKind};
use crate::fault_plan::{PlannedFault, UndoOutcome};
use crate::hung_thread::HungThread;
use crate::isolation::Isolation;
use crate::limits::Limits;
use crate::oracle::SeenOracle;
use crate::sandbox::Sandbox;
use crate::seed::Seed;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything known about one run of one test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The version of this format: [`Record::SCHEMA`].
    pub schema: u32,
    /// The test's name, such as `corruption::one_flipped_bit_is_refused`.
    pub name: String,
    /// The test's module with its crate, such as `chaos::corruption`.
    pub module: String,
    /// The test's tags, as they stand at the function.
    pub tags: Vec<String>,
    /// The doc comment: the failure scenario.
    pub description: String,
    /// The source file of the test, relative to the workspace.
    pub file: String,
    /// The line of its attribute, from 1.
    pub line: u32,
    /// The seed of the whole run.
    pub root_seed: Seed,
    /// The seed of this test.
    pub seed: Seed,
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// EventKind came of it before, with the same seed, where a failure was tried again (`--retries`). If it passed after that, it is *flaky*.
    #[serde(default)]
    pub failed_before: Vec<FailedAttempt>,
    /// When it began, as RFC 3339 in UTC.
    pub started_at: String,
    /// From the start of its process to the end, in microseconds of real time.
    pub duration_us: u64,
    /// The limit that it had, in milliseconds of real time.
    pub timeout_ms: u64,
    /// The clock that it ran under.
    pub clock: ClockKind,
    /// EventKind it was allowed to use.
    pub limits: Limits,
    /// How it was kept apart from other tests.
    pub isolation: Isolation,
    /// EventKind was enforced while it ran.
    pub sandbox: Sandbox,
    /// The plan of faults, in the order of injection. Of two runs with the same seed the rows are the same; their order is that in which the
    /// test's own threads and tasks injected them.
    pub faults: Vec<PlannedFault>,
    /// EventKind its failure takes, where that was searched for (`--minimize`).
    #[serde(default)]
    pub minimized: Option<Minimized>,
    /// All that happened, in order.
    pub timeline: Vec<Event>,
    /// The oracles that it reached, in that order, and whether they held.
    pub oracles: Vec<SeenOracle>,
    /// EventKind its threads were at when it was made to end, because its time was up or the run was interrupted.
    pub hung: Vec<HungThread>,
    /// EventKind it left behind.
    pub leaks: Leaks,
    /// EventKind it used.
    pub resources: Resources,
    /// EventKind it printed.
    pub output: Output,
    /// The command that runs it again with the same seed.
    pub replay: String,
    /// Its folder, where that was kept.
    pub kept: Option<PathBuf>,
}

impl Record {
    /// The version of the format that this release writes.
    pub const SCHEMA: u32 = 1;

    /// The record of a case that has not run: nothing is known of it but its name and its seeds.
    ///
    /// Its verdict is [`Verdict::Lost`] until another is set: nothing passes that was not concluded.
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
            failed_before: Vec::new(),
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
            hung: Vec::new(),
            leaks: Leaks::default(),
            resources: Resources::default(),
            output: Output::default(),
            replay: String::new(),
            kept: None,
        }
    }

    /// Whether it has failed and then passed, with the same seed.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        !self.failed_before.is_empty() && !self.verdict.is_failure()
    }

    /// Whether the test has explored an operation to its end.
    pub fn explores(&self) -> bool {
        let mut events = self.timeline.iter();
        events.any(|event| matches!(event.kind, EventKind::Explored { .. }))
    }

    /// Tells that these faults were undone by the runner, since the test's process could not.
    pub fn repair(&mut self, undone: Vec<(usize, UndoOutcome)>) {
        let last = self
            .timeline
            .last()
            .map_or((0, None), |event| (event.at_us, event.virtual_us));
        let open: Vec<usize> = self.faults_in_effect().map(|fault| fault.id).collect();
        // One that could not be undone is in effect as it was.
        let is_undone = |(id, result): &(usize, UndoOutcome)| {
            open.contains(id) && !matches!(result, UndoOutcome::Failed { .. })
        };
        let undone = undone.into_iter().filter(is_undone);
        self.timeline.extend(undone.map(|(id, result)| Event {
            at_us: last.0,
            virtual_us: last.1,
            thread: "the runner".to_owned(),
            kind: EventKind::FaultUndone { id, result },
        }));
    }

    /// The faults that nobody undid: the test's process was ended before it could.
    pub fn faults_in_effect(&self) -> impl Iterator<Item = &PlannedFault> {
        let undone = |fault: &PlannedFault| {
            self.timeline.iter().any(
                |event| matches!(&event.kind, EventKind::FaultUndone { id, .. } if *id == fault.id),
            )
        };
        self.faults.iter().filter(move |fault| !undone(fault))
    }
}

/// A run of a case that failed and was followed by another one with the same seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// When it began, as RFC 3339 in UTC.
    pub started_at: String,
    /// From the start of its process to the end, in microseconds of real time.
    pub duration_us: u64,
    /// EventKind it printed.
    pub output: Output,
    /// Its folder, where that was kept.
    pub kept: Option<PathBuf>,
}

impl From<Record> for FailedAttempt {
    fn from(record: Record) -> Self {
        Self {
            verdict: record.verdict,
            started_at: record.started_at,
            duration_us: record.duration_us,
            output: record.output,
            kept: record.kept,
        }
    }
}

/// The fewest faults, and the simplest of each, that a case was found to fail with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Minimized {
    /// EventKind was found, in words.
    pub sentence: String,
    /// These faults.
    pub faults: Vec<PlannedFault>,
    /// How many faults the case had.
    pub of: usize,
    /// How often the case was run for it.
    pub runs: u64,
    /// Whether the search came to its end before its time was over.
    pub is_complete: bool,
}

impl Minimized {
    /// EventKind was found in `runs` runs of a case with `of` faults, when the search came to its end.
    #[must_use]
    pub fn new(sentence: String, faults: Vec<PlannedFault>, of: usize, runs: u64) -> Self {
        Self {
            sentence,
            faults,
            of,
            runs,
            is_complete: true,
        }
    }
}

/// EventKind a test left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leaks {
    /// The command lines of processes that were alive after it; they were ended.
    pub processes: Vec<String>,
    /// The names of threads that were running after its body had ended; the system keeps 15 bytes of each.
    pub threads: Vec<String>,
    /// Descriptors that were open after its body had ended, with what they were open on.
    pub descriptors: Vec<String>,
    /// Files in the folder for temporary files and among shared memory; they were removed, or kept with the case.
    pub files: Vec<String>,
    /// EventKind the test had declared with `Context::allow_leak`, and pools of threads that are known
    /// to live as long as their process.
    pub excused: Vec<String>,
}

impl Leaks {
    /// Each in a line of its own that says what it is; what is excused is not among them.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let kinds = [
            ("process", &self.processes),
            ("thread", &self.threads),
            ("descriptor", &self.descriptors),
            ("file", &self.files),
        ];
        kinds
            .into_iter()
            .flat_map(|(kind, found)| found.iter().map(move |what| format!("{kind} `{what}`")))
    }

    /// Sets aside what `is_excused` says of its line.
    pub fn excuse(&mut self, is_excused: impl Fn(&str) -> bool) {
        let kinds = [
            ("process", &mut self.processes),
            ("thread", &mut self.threads),
            ("descriptor", &mut self.descriptors),
            ("file", &mut self.files),
        ];
        for (kind, found) in kinds {
            found.retain(|what| {
                let line = format!("{kind} `{what}`");
                let excused = is_excused(&line);
                if excused {
                    self.excused.push(line);
                }
                !excused
            });
        }
    }
}

/// EventKind a test used, counted by the system; of a process that could not be asked, what it told itself. Absent where nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resources {
    /// CPU time of all its threads, and of the children that it waited for, in microseconds.
    pub cpu_us: Option<u64>,
    /// Peak resident memory, in bytes.
    pub peak_memory_bytes: Option<u64>,
}

/// EventKind a test printed, standard output and standard error in order. Bytes that are not UTF-8 are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Output {
    /// The text; of a long one the beginning and the end.
    pub text: String,
    /// How many bytes were printed in all.
    pub total_bytes: u64,
    /// How many of them, from the middle, are not in the text.
    pub omitted_bytes: u64,
}

impl Output {
    /// The end of the text: whole lines, of at most `limit` bytes together; a longer last line is cut.
    #[must_use]
    pub fn tail(&self, limit: usize) -> &str {
        end_of(&self.text, limit)
    }
}

/// The end of a text: whole lines, of at most `limit` bytes together (a longer last line is cut).
fn end_of(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let mut from = text.len() - limit;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    match text[from..].split_once('\n') {
        Some((_cut, whole)) if !whole.is_empty() => whole,
        _ => &text[from..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_whole_lines_and_never_splits_a_character() {
        assert_eq!(end_of("one\ntwo\nthree\n", 9), "three\n");
        assert_eq!(end_of("short", 9), "short");
        assert_eq!(end_of("ääääää", 5), "ää");
    }
}
