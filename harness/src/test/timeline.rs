//! The timeline of a test: the test's events in order, with one line of JSON for each event.
//!
//! The test's process appends each event to the file at once, so a killed process loses no event.
//! If the disk is full, the event is appended together with the next one, and the file is marked
//! until then. The runner reads the file. See [`Event`] for the format.

use crate::data::closed_timeline::NOTICE;
use crate::data::duration::microseconds;
use crate::os::open_file_id::OpenFileId;
use crate::os::write_failure;
use crate::test::test_time::TestTime;
use clarity_chaos_record::{Event, EventKind};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Writes a timeline to its file. Clones write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    inner: Arc<TimelineInner>,
}

#[derive(Debug)]
struct TimelineInner {
    began: Instant,
    time: TestTime,
    log: Mutex<TimelineLog>,
}

#[derive(Debug)]
struct TimelineLog {
    file: File,
    /// The process that records the events. Its forks have copies of this log.
    owner: u32,
    /// The identity of `file`; `None` if the test has closed its descriptor.
    identity: Option<OpenFileId>,
    /// The length of the file, in bytes.
    length: u64,
    /// The lines that the next write appends: lines of earlier events that could not be written,
    /// and the line of a new event.
    unwritten: Vec<u8>,
    events: Vec<Event>,
    /// The number of events beyond [`MAX_EVENTS`] that were not recorded.
    omitted: usize,
}

/// The number of events after which a timeline no longer records notes, measurements, marks and
/// logs. From then on, it only counts these events. This limit bounds the timeline's memory.
const MAX_EVENTS: usize = 100_000;

impl Timeline {
    /// Opens the file of a timeline for appending. Creates the file if it does not exist.
    pub(crate) fn open(path: &Path) -> io::Result<File> {
        File::options().append(true).create(true).open(path)
    }

    /// Begins a timeline at the end of `file`. The times of the events are measured from this call.
    pub(crate) fn new(file: File, time: TestTime) -> Self {
        Self {
            inner: Arc::new(TimelineInner {
                began: Instant::now(),
                time,
                log: Mutex::new(TimelineLog {
                    length: file.metadata().map_or(0, |metadata| metadata.len()),
                    owner: std::process::id(),
                    identity: OpenFileId::of(&file).ok(),
                    file,
                    unwritten: Vec::new(),
                    events: Vec::new(),
                    omitted: 0,
                }),
            }),
        }
    }

    /// Records an event with the present time and this thread's name.
    pub(crate) fn record(&self, kind: EventKind) {
        self.append(kind, self.inner.time.virtual_now());
    }

    /// Records a panic, with the virtual time of the last query. A new query of the virtual time
    /// could deadlock: the panicking thread can hold the lock of Tokio's clock.
    pub(crate) fn record_panic(&self, kind: EventKind) {
        self.append(kind, self.inner.time.latest_virtual());
    }

    fn append(&self, kind: EventKind, virtual_time: Option<Duration>) {
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
        let kind = match (log.events.len(), kind) {
            (
                MAX_EVENTS..,
                EventKind::Note { .. }
                | EventKind::Measured { .. }
                | EventKind::Mark { .. }
                | EventKind::Log { .. },
            ) => {
                log.omitted += 1;
                return;
            }
            (_, EventKind::Finished { end, cpu_us, .. }) => EventKind::Finished {
                end,
                cpu_us,
                omitted_events: log.omitted,
            },
            (_, kind) => kind,
        };
        // The time is read under the lock, because the times in the file must ascend.
        let at_us = microseconds(self.inner.began.elapsed());
        let mut event = Event::new(at_us, thread, kind);
        event.virtual_us = virtual_us;
        log.write(&event);
        log.events.push(event);
    }

    /// Whether the test has closed the descriptor of the timeline. The events since then are in
    /// memory only.
    pub(crate) fn is_closed(&self) -> bool {
        let log = self.inner.log.lock();
        log.unwrap_or_else(PoisonError::into_inner)
            .identity
            .is_none()
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

impl TimelineLog {
    /// Appends an event to the file, after the events that could not be written before. Does
    /// nothing if the test has closed the descriptor.
    fn write(&mut self, event: &Event) {
        let Some(identity) = self.identity else {
            return;
        };
        // The number of a closed descriptor can belong to a file of the test by now. An event must
        // not get into that file.
        if OpenFileId::of(&self.file).ok() != Some(identity) {
            self.identity = None;
            // A fork of the test's process may close what it has inherited.
            if std::process::id() == self.owner {
                let _ = writeln!(io::stderr(), "\n{NOTICE}");
            }
            return;
        }
        serde_json::to_writer(&mut self.unwritten, event)
            .expect("an event has string keys and no failing types");
        self.unwritten.push(b'\n');
        match self.file.write_all(&self.unwritten) {
            Ok(()) => {
                self.length += self.unwritten.len() as u64;
                self.unwritten.clear();
            }
            // The test goes on: it may fill the disk on purpose. The runner finds the mark if no
            // later event is written.
            Err(error) => {
                // A partly written line would damage the next line.
                let _ = self.file.set_len(self.length);
                write_failure::mark(&self.file, &error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clarity_chaos_record::{BodyEnd, ClockKind, read_timeline as read};

    fn note(text: &str) -> EventKind {
        EventKind::Note {
            text: text.to_owned(),
        }
    }

    #[test]
    fn read_timeline_ignores_an_incomplete_last_line() {
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
            "a damaged line in the middle must be an error"
        );
    }

    #[test]
    fn record_beyond_the_limit_counts_notes_and_keeps_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("timeline.jsonl");
        let timeline = Timeline::new(
            Timeline::open(&path).unwrap(),
            TestTime::new(ClockKind::Real),
        );
        for _ in 0..MAX_EVENTS + 7 {
            timeline.record(note("again"));
        }
        timeline.record(EventKind::Finished {
            end: BodyEnd::Returned,
            cpu_us: None,
            omitted_events: 0,
        });
        let events = read(File::open(&path).unwrap()).unwrap();
        assert_eq!(events.len(), MAX_EVENTS + 1);
        assert!(matches!(
            events[MAX_EVENTS].kind,
            EventKind::Finished {
                omitted_events: 7,
                ..
            }
        ));
    }

    #[test]
    fn record_never_writes_into_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = Timeline::open(&dir.path().join("timeline.jsonl")).unwrap();
        let timeline = Timeline::new(file, TestTime::new(ClockKind::Real));
        timeline.record(note("one"));
        assert!(!timeline.is_closed());
        // The number of a closed descriptor leads to the file that was opened next.
        let other = dir.path().join("other");
        timeline.inner.log.lock().unwrap().file = File::create_new(&other).unwrap();
        timeline.record(note("two"));
        assert!(timeline.is_closed());
        assert_eq!(std::fs::read(other).unwrap(), b"");
        assert_eq!(timeline.events().len(), 2);
    }

    #[test]
    fn record_from_many_threads_keeps_times_ascending() {
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
