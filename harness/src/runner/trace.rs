//! Writes the trace of a run, in the array form of Chrome's Trace Event Format.
//!
//! Each thread of the runner is a slot, in which one test runs after another. A finished run of a
//! test is a complete event (`X`) with nested events for its phases. The run and the tests that run
//! now are begun events (`B`). They stand at the end of the file, and each change replaces them.
//!
//! The file is a complete JSON document after each change. So the trace of a killed run has all
//! finished tests, and names those that ran.

use crate::os::atomic_file::create_atomically;
use crate::registration::TestCase;
use crate::runner::run_overrides::RunOverrides;
use clarity_chaos_record::{Record, Seed};
use clarity_chaos_report::Summary;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Instant, SystemTime};

/// The number of the thread with the event of the whole run. The slots have the numbers after it.
const RUN: u64 = 0;

/// The trace of a run. Does nothing without `--trace`.
#[derive(Debug)]
pub(crate) struct RunTrace {
    began: Instant,
    file: Option<Mutex<TraceFile>>,
}

/// A phase of a test's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The test waits for a worker, and its directories are created.
    Prepare,
    /// The test's process runs.
    Run,
    /// The evidence is collected, faults are undone, and files are kept or removed.
    CleanUp,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Run => "run",
            Self::CleanUp => "clean up",
        }
    }
}

/// The run of a test that has begun.
#[derive(Debug)]
pub(crate) struct CaseSpan<'a> {
    trace: &'a RunTrace,
    slot: u64,
    /// The event of the run, without its end.
    event: Value,
    /// The phases with their beginnings, in order.
    phases: Vec<(Phase, u64)>,
}

impl RunTrace {
    /// Creates the file of the trace. Replaces an older file.
    ///
    /// # Errors
    ///
    /// When the file cannot be created. The error names the file.
    pub(crate) fn new(path: Option<&Path>, suite: &str, seed: Seed) -> io::Result<Self> {
        let began = Instant::now();
        let file = path.map(|path| {
            TraceFile::create(path, suite, seed)
                .map(Mutex::new)
                .map_err(|error| {
                    let text = format!("cannot write the trace {}: {error}", path.display());
                    io::Error::new(error.kind(), text)
                })
        });
        let file = file.transpose()?;
        Ok(Self { began, file })
    }

    /// Begins a run of a test, in the slot of this thread.
    pub(crate) fn begin_case(&self, test: &TestCase, overrides: &RunOverrides) -> CaseSpan<'_> {
        let mut span = CaseSpan {
            trace: self,
            slot: RUN,
            event: Value::Null,
            phases: Vec::new(),
        };
        if let Some(mut file) = self.file() {
            let now = self.now_us();
            span.slot = file.slot();
            span.event = json!({
                "name": test.name(),
                "cat": "test",
                "ph": "B",
                "ts": now,
                "pid": file.pid,
                "tid": span.slot,
                "args": {
                    "seed": overrides.root_seed,
                    "retry": overrides.retry,
                    "purpose": overrides.purpose(),
                },
            });
            span.phases.push((Phase::Prepare, now));
            file.open.insert(span.slot, span.event.clone());
            file.write(&[]);
        }
        span
    }

    /// Ends the trace. Returns the path of its file; `None` without `--trace`.
    ///
    /// # Errors
    ///
    /// When a part of the trace could not be written.
    pub(crate) fn finish(
        &self,
        summary: &Summary<'_>,
        is_interrupted: bool,
    ) -> Result<Option<String>, String> {
        let Some(mut file) = self.file() else {
            return Ok(None);
        };
        let failures = summary.records.iter();
        let failures = failures.filter(|record| record.verdict.is_failure());
        let failures = u64::try_from(failures.count()).unwrap_or(u64::MAX);
        let now = self.now_us();
        file.open.retain(|thread, _| *thread == RUN);
        if let Some(run) = file.open.get_mut(&RUN) {
            complete(run, now);
            run["args"]["failed"] = json!(summary.sweep.map_or(failures, |sweep| sweep.failed()));
            run["args"]["interrupted"] = json!(is_interrupted);
        }
        file.write(&[]);
        file.trim();
        let path = file.path.display().to_string();
        match file.error.take() {
            None => Ok(Some(path)),
            Some(error) => Err(format!("failed to write the trace {path}: {error}")),
        }
    }

    /// Returns the time since the beginning of the run, in whole microseconds.
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn file(&self) -> Option<MutexGuard<'_, TraceFile>> {
        let file = self.file.as_ref()?;
        Some(file.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CaseSpan<'_> {
    /// Begins a phase, which ends the phase before it.
    pub(crate) fn begin(&mut self, phase: Phase) {
        self.phases.push((phase, self.trace.now_us()));
    }

    /// Ends the run of the test.
    pub(crate) fn end(mut self, record: &Record) {
        let Some(mut file) = self.trace.file() else {
            return;
        };
        let now = self.trace.now_us();
        complete(&mut self.event, now);
        self.event["args"]["status"] = json!(record.verdict.kind());
        let ends = self.phases.iter().skip(1).map(|(_, begin)| *begin);
        let phases = self.phases.iter().zip(ends.chain([now]));
        let phases = phases.map(|((phase, begin), end)| {
            json!({
                "name": phase.name(),
                "cat": "phase",
                "ph": "X",
                "ts": begin,
                "dur": end.saturating_sub(*begin),
                "pid": file.pid,
                "tid": self.slot,
            })
        });
        let events: Vec<Value> = [self.event.clone()].into_iter().chain(phases).collect();
        file.open.remove(&self.slot);
        file.write(&events);
    }
}

/// Makes a begun event a complete one.
fn complete(event: &mut Value, now_us: u64) {
    let began = event["ts"].as_u64().unwrap_or(now_us);
    event["ph"] = json!("X");
    event["dur"] = json!(now_us.saturating_sub(began));
}

#[derive(Debug)]
struct TraceFile {
    path: PathBuf,
    file: File,
    pid: u32,
    /// The length of the final events. Each of them ends with a comma.
    finished: u64,
    /// The length of the file.
    length: u64,
    slots: Vec<ThreadId>,
    /// The events at the end of the file, by thread. There is always the event of the run.
    open: BTreeMap<u64, Value>,
    /// The first error. Nothing is written after it.
    error: Option<io::Error>,
}

impl TraceFile {
    fn create(path: &Path, suite: &str, seed: Seed) -> io::Result<Self> {
        let pid = std::process::id();
        let run = json!({
            "name": "run",
            "cat": "run",
            "ph": "B",
            "ts": 0,
            "pid": pid,
            "tid": RUN,
            "args": {
                "seed": seed,
                "started_at": humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
            },
        });
        let mut trace = Self {
            path: path.to_owned(),
            file: create_atomically(path, b"[]\n")?,
            pid,
            finished: 0,
            length: 0,
            slots: Vec::new(),
            open: BTreeMap::from([(RUN, run)]),
            error: None,
        };
        let names = [
            trace.metadata("process_name", RUN, suite),
            trace.metadata("thread_name", RUN, "run"),
        ];
        trace.write(&names);
        trace.error.take().map_or(Ok(trace), Err)
    }

    fn metadata(&self, name: &str, thread: u64, value: &str) -> Value {
        let args = json!({ "name": value });
        json!({ "name": name, "ph": "M", "pid": self.pid, "tid": thread, "args": args })
    }

    /// Returns the slot of the calling thread. A new slot gets a name.
    fn slot(&mut self) -> u64 {
        let thread = thread::current().id();
        let known = self.slots.iter().position(|slot| *slot == thread);
        let index = known.unwrap_or(self.slots.len());
        let slot = u64::try_from(index).unwrap_or(u64::MAX - 1) + 1;
        if known.is_none() {
            self.slots.push(thread);
            let name = self.metadata("thread_name", slot, &format!("slot {slot}"));
            self.write(&[name]);
        }
        slot
    }

    /// Adds final events, and replaces the open events at the end of the file.
    fn write(&mut self, events: &[Value]) {
        if self.error.is_some() {
            return;
        }
        // One write replaces one valid document by another. If the new document is shorter, blanks
        // take the place of the rest.
        let mut text = String::new();
        if self.finished == 0 {
            text.push_str("[\n");
        }
        for event in events {
            text.push_str(&event.to_string());
            text.push_str(",\n");
        }
        let finished = self.finished + length(&text);
        let open: Vec<String> = self.open.values().map(ToString::to_string).collect();
        text.push_str(&open.join(",\n"));
        text.push_str("\n]\n");
        let end = self.finished + length(&text);
        let rest = usize::try_from(self.length.saturating_sub(end)).unwrap_or(0);
        text.push_str(&" ".repeat(rest));
        match self.write_at(self.finished, text.as_bytes()) {
            Ok(()) => {
                self.finished = finished;
                self.length = self.length.max(end);
            }
            Err(error) => {
                self.error = Some(error);
                self.close_after_error();
            }
        }
    }

    /// Ends the document after the last final event, because a write has failed.
    fn close_after_error(&mut self) {
        let Some(end) = self.finished.checked_sub(length(",\n")) else {
            return;
        };
        // An error is ignored: the first one is reported.
        let _ = self.file.set_len(end);
        let _ = self.write_at(end, b"\n]\n");
    }

    /// Cuts off the blanks after the document.
    fn trim(&mut self) {
        let open: u64 = self
            .open
            .values()
            .map(|event| length(&event.to_string()))
            .sum();
        let end = self.finished + open + length("\n]\n");
        if self.error.is_none()
            && let Err(error) = self.file.set_len(end)
        {
            self.error = Some(error);
        }
    }

    fn write_at(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(place))?;
        self.file.write_all(bytes)
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}
