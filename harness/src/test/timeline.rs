//! Everything that happens in a test, in order: one JSON line per event, written as it happens.
//!
//! The file is opened by the test's process and appended to event by event, so that what a killed process did until
//! its end is known. The runner reads it back; see [`Event`] for the format.

use crate::data::duration::microseconds;
use crate::test::test_time::TestTime;
use clarity_chaos_record::{Event, EventKind};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    pub(crate) fn record(&self, what: EventKind) {
        self.append(what, self.inner.time.virtual_now());
    }

    /// The same for a panic, which may happen while Tokio's clock is locked: asking for the time would wait for ever.
    pub(crate) fn record_panic(&self, what: EventKind) {
        self.append(what, self.inner.time.virtual_then());
    }

    fn append(&self, what: EventKind, virtual_time: Option<Duration>) {
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
            (_, what) => what,
        };
        // Read under the lock: the order in the file is the order of the times.
        let at_us = microseconds(self.inner.began.elapsed());
        let mut event = Event::new(at_us, thread, what);
        event.virtual_us = virtual_us;
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
        timeline.record(EventKind::Finished {
            end: BodyEnd::Returned,
            cpu_us: None,
            omitted_events: 0,
        });
        let events = read(File::open(&path).unwrap()).unwrap();
        assert_eq!(events.len(), MANY + 1);
        assert!(matches!(
            events[MANY].kind,
            EventKind::Finished {
                omitted_events: 7,
                ..
            }
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
