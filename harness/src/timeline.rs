//! Everything that happens in a test, in order: one JSON line per event, written as it happens.
//!
//! The file is opened by the test's process and appended to event by event, so that what a killed process did until
//! its end is known. The runner reads it back; see [`Event`] for the format.

use crate::duration::microseconds;
use crate::fault::{PlannedFault, Undone};
use crate::oracle_id::OracleId;
use crate::test_time::TestTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One event of a test's timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Real time since the test's process began, in microseconds.
    pub at_us: u64,
    /// Virtual time since the test began, in microseconds; absent under a real clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_us: Option<u64>,
    /// The name of the thread that it happened on.
    pub thread: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What an [`Event`] tells. In JSON the variant's name stands in `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// The test's body is about to run.
    Started,
    /// The test said something: [`Context::note`](crate::Context::note).
    Note {
        /// Its words.
        text: String,
    },
    /// The test said what may differ from run to run: [`Context::measured`](crate::Context::measured).
    Measured {
        /// Its words.
        text: String,
    },
    /// Something to be drawn beside others of its kind: [`Context::mark`](crate::Context::mark).
    Mark {
        /// What kind of thing it is.
        lane: String,
        /// What it was.
        label: String,
    },
    /// A `tracing` event of the code under test.
    Log {
        /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
        level: String,
        /// The module that it came from, unless the event names another target.
        target: String,
        /// The text of the event.
        message: String,
        /// All its other fields, as text.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
    },
    /// A fault took effect.
    FaultInjected {
        /// The row of the plan.
        fault: PlannedFault,
    },
    /// A fault was drawn, and left out: the minimiser tries whether the case fails without it.
    FaultLeftOut {
        /// The row that the plan would have had.
        fault: PlannedFault,
    },
    /// A fault was undone.
    FaultUndone {
        /// The number of its row in the plan.
        id: usize,
        /// How that went.
        result: Undone,
    },
    /// An oracle was reached for the first time, or for the first time with this result.
    OracleReached {
        /// Which.
        #[serde(flatten)]
        oracle: OracleId,
        /// Whether what it demands was so.
        holds: bool,
    },
    /// An exploration came to its end: it was at every point, or at one the invariant broke.
    Explored {
        /// How many calls of the operation concern its directory.
        calls: usize,
        /// How many points of it were tried.
        points: usize,
        /// How many states after a loss of power were tried.
        states: usize,
        /// These calls, in order: no more than the first 2,000.
        #[serde(default)]
        each: Vec<ExploredCall>,
    },
    /// A virtual clock was moved by the test.
    ClockAdvanced {
        /// By how much, in microseconds.
        by_us: u64,
    },
    /// The body of an async test under a virtual clock kept the only thread of its runtime waiting for something other than a task: a sleep, a socket or a lock of
    /// the standard library. Noted from a tenth of a second on.
    Blocked {
        /// How long, in microseconds of real time.
        for_us: u64,
    },
    /// Some thread panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line:column`, where known.
        location: Option<String>,
        /// Whether the test had declared it with `expect_panic` or `allow_panic`.
        expected: bool,
    },
    /// The test asked to be skipped.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The test said that it may leave something behind: [`Context::allow_leak`](crate::Context::allow_leak).
    LeakAllowed {
        /// Part of how that is told.
        what: String,
    },
    /// The process was asked to end: the test's time was up, or the run was interrupted. Faults are undone next.
    AskedToEnd,
    /// The body ended, and these of the test's own process were still there.
    LeftBehind {
        /// The names of threads.
        threads: Vec<String>,
        /// The numbers of descriptors, each with what it is open on.
        descriptors: Vec<String>,
    },
    /// The body ended, and everything the harness holds for it was released. A process that ends without this event did not pass.
    Finished {
        /// How it ended.
        end: BodyEnd,
        /// CPU time of the whole process, in microseconds, where the system tells.
        cpu_us: Option<u64>,
        /// How many notes, marks and logs are not on the timeline, since there were more than 100,000.
        #[serde(default)]
        omitted: usize,
    },
    /// An event that this version does not know: the record is of a later one.
    #[serde(other)]
    Unknown,
}

/// A call of an explored operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExploredCall {
    /// What it does: `write of draft`.
    pub call: String,
    /// How often the operation was cut off here, or this call failed.
    pub points: usize,
    /// Whether it is no point: to die here leaves what dying before leaves, or the call cannot give the errors that were asked for. Without that and without points
    /// the exploration ended before it.
    pub is_spared: bool,
    /// Whether the invariant broke here: when the process died in the place of the call, when it failed, or when the power did and this was not on the disk.
    pub broke: bool,
}

/// How the body of a test ended, as its own process saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BodyEnd {
    /// It returned, and nothing was amiss.
    Returned,
    /// It returned an error, or something that it declared did not hold.
    Failed {
        /// The error with its sources.
        message: String,
    },
    /// It panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line:column`, where known.
        location: Option<String>,
    },
    /// It returned, but there were panics that it had not declared, on other threads or caught on its own.
    PanickedElsewhere {
        /// One line for each.
        panics: Vec<String>,
    },
    /// It asked to be skipped.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// The writing end of a timeline. Clones write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    began: Instant,
    time: TestTime,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    file: File,
    /// How long the file is, in bytes.
    length: u64,
    events: Vec<Event>,
    omitted: usize,
}

/// From so many events on, notes, marks and logs are counted only: a test that tells without end must not fill the memory.
const MANY: usize = 100_000;

impl Timeline {
    /// Opens the file that a timeline is to be appended to.
    pub(crate) fn open(path: &Path) -> io::Result<File> {
        File::options().append(true).create(true).open(path)
    }

    /// A new timeline at the end of this file, beginning now.
    pub(crate) fn new(file: File, time: TestTime) -> Self {
        Self {
            inner: Arc::new(Inner {
                began: Instant::now(),
                time,
                log: Mutex::new(Log {
                    length: file.metadata().map_or(0, |found| found.len()),
                    file,
                    events: Vec::new(),
                    omitted: 0,
                }),
            }),
        }
    }

    /// Appends an event that happens now, on this thread.
    pub(crate) fn record(&self, what: What) {
        self.append(what, self.inner.time.virtual_now());
    }

    /// The same for a panic, which may happen while Tokio's clock is locked: asking for the time would wait for ever.
    pub(crate) fn record_panic(&self, what: What) {
        self.append(what, self.inner.time.virtual_then());
    }

    fn append(&self, what: What, virtual_time: Option<Duration>) {
        let virtual_us = virtual_time.map(microseconds);
        let thread = std::thread::current()
            .name()
            .unwrap_or("unnamed")
            .to_owned();
        let mut log = self
            .inner
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let what = match (log.events.len(), what) {
            (
                MANY..,
                What::Note { .. } | What::Measured { .. } | What::Mark { .. } | What::Log { .. },
            ) => {
                log.omitted += 1;
                return;
            }
            (_, What::Finished { end, cpu_us, .. }) => What::Finished {
                end,
                cpu_us,
                omitted: log.omitted,
            },
            (_, what) => what,
        };
        let event = Event {
            // Read under the lock: the order in the file is the order of the times.
            at_us: microseconds(self.inner.began.elapsed()),
            virtual_us,
            thread,
            what,
        };
        let mut line =
            serde_json::to_vec(&event).expect("an event has string keys and no failing types");
        line.push(b'\n');
        // A full disk must not take the test down with it: the runner sees the missing end and says so. But half a line would spoil what comes after.
        match log.file.write_all(&line) {
            Ok(()) => log.length += line.len() as u64,
            Err(_) => {
                let _ = log.file.set_len(log.length);
            }
        }
        log.events.push(event);
    }

    /// A copy of all events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.inner
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .events
            .clone()
    }
}

/// Reads a timeline back. A last line that a dying process left unfinished is dropped; one that died before it had a timeline has an empty one.
///
/// # Errors
///
/// When the file cannot be read, or a line other than the last is not an event.
pub(crate) fn read(mut file: impl io::Read) -> io::Result<Vec<Event>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let mut events = Vec::new();
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            Err(_) if lines.peek().is_none() => break,
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_time::ClockKind;

    fn note(text: &str) -> What {
        What::Note {
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_read_back_even_when_the_writer_died_mid_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("timeline.jsonl");
        let timeline = Timeline::new(
            Timeline::open(&path).unwrap(),
            TestTime::new(ClockKind::Real),
        );
        timeline.record(note("one"));
        timeline.record(note("two"));
        assert_eq!(read(File::open(&path).unwrap()).unwrap(), timeline.events());

        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"at_us\":12,\"thr");
        assert_eq!(read(text.as_slice()).unwrap().len(), 2);

        text.extend_from_slice(b"\n{\"at_us\":1,\"thread\":\"t\",\"event\":\"started\"}\n");
        assert!(
            read(text.as_slice()).is_err(),
            "damage in the middle must be told"
        );
    }

    #[test]
    fn notes_without_end_are_counted_and_what_matters_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("timeline.jsonl");
        let timeline = Timeline::new(
            Timeline::open(&path).unwrap(),
            TestTime::new(ClockKind::Real),
        );
        for _ in 0..MANY + 7 {
            timeline.record(note("again"));
        }
        timeline.record(What::Finished {
            end: BodyEnd::Returned,
            cpu_us: None,
            omitted: 0,
        });
        let events = read(File::open(&path).unwrap()).unwrap();
        assert_eq!(events.len(), MANY + 1);
        assert!(matches!(
            events[MANY].what,
            What::Finished { omitted: 7, .. }
        ));
    }

    #[test]
    fn times_never_run_backwards() {
        let dir = tempfile::tempdir().unwrap();
        let timeline = Timeline::new(
            Timeline::open(&dir.path().join("t")).unwrap(),
            TestTime::new(ClockKind::Real),
        );
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|i| timeline.record(note(&i.to_string()))));
            }
        });
        let events = timeline.events();
        assert_eq!(events.len(), 400);
        assert!(events.is_sorted_by_key(|event| event.at_us));
    }
}
