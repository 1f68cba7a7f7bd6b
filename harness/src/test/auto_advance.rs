//! Watches a paused clock: looks for unread bytes when the clock advances by itself.
//!
//! Tokio advances a paused clock when no task can run. A task that waits for a peer outside of the
//! runtime then sees its timeout elapse at once. Before each advance, Tokio polls its sockets
//! without waiting, and does not advance if a task wakes. Bytes that are unread after the advance
//! came too late, or no task was waiting for them.

use crate::data::duration::microseconds;
use crate::os::epoll::{self, EpollSocket, EpollSockets};
use crate::test::timeline::Timeline;
use clarity_chaos_record::EventKind;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::Instant;

/// Watches the paused clock of one test. Clones share one state.
#[derive(Clone)]
pub(crate) struct AutoAdvanceMonitor {
    timeline: Timeline,
    state: Arc<Mutex<MonitorState>>,
}

#[derive(Default)]
struct MonitorState {
    /// The sockets that the test has registered in its runtime. `None` if they are unknown.
    sockets: Option<EpollSockets>,
    /// The virtual time at which the runtime's thread began to wait.
    parked_at: Option<Instant>,
    /// Whether the test allows unread bytes.
    allows_unread: bool,
    /// The sockets when the runtime's thread began to wait. Empty unless the test allows unread
    /// bytes.
    before: Vec<EpollSocket>,
    has_recorded: bool,
    failure: Option<String>,
}

impl AutoAdvanceMonitor {
    pub(crate) fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            state: Arc::default(),
        }
    }

    /// Starts a runtime whose clock this monitor watches. `start` must pass the runtime's builder
    /// to the given function. On systems other than Linux, and without `/proc`, the monitor sees no
    /// sockets.
    ///
    /// # Errors
    ///
    /// When `start` returns an error.
    pub(crate) fn watch<R>(
        &self,
        start: impl FnOnce(&dyn Fn(&mut Builder)) -> io::Result<R>,
    ) -> io::Result<R> {
        let earlier = epoll::instances();
        let runtime = start(&|builder| {
            let (parking, unparked) = (self.clone(), self.clone());
            builder
                .on_thread_park(move || parking.begin_wait())
                .on_thread_unpark(move || unparked.end_wait());
        })?;
        self.lock().sockets = earlier.ok().and_then(|earlier| {
            let mut instances = epoll::instances().ok()?.into_iter();
            let epoll = instances.find(|instance| !earlier.contains(instance))?;
            EpollSockets::of(epoll).ok()
        });
        Ok(runtime)
    }

    /// Allows the bytes that are unread before the clock advances. Bytes that come during an
    /// advance still fail the test.
    pub(crate) fn allow_unread(&self) {
        self.lock().allows_unread = true;
    }

    /// Describes the first advance that fails the test.
    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Runs before the runtime's thread waits: no task can run.
    fn begin_wait(&self) {
        let mut state = self.lock();
        state.parked_at = Some(Instant::now());
        if state.allows_unread {
            let sockets = state.sockets.as_mut();
            state.before = sockets
                .and_then(|sockets| sockets.list().ok())
                .unwrap_or_default();
        }
    }

    /// Runs after the runtime's thread has waited, before any task runs.
    fn end_wait(&self) {
        let mut state = self.lock();
        let Some(began) = state.parked_at.take() else {
            return;
        };
        let by = Instant::now().saturating_duration_since(began);
        if by.is_zero() || state.failure.is_some() {
            return;
        }
        // After the test has closed the descriptors of the runtime, its sockets are unknown.
        let Some(Ok(sockets)) = state.sockets.as_mut().map(EpollSockets::list) else {
            return;
        };
        let event = state.judge(by, &sockets);
        drop(state);
        if let Some(event) = event {
            self.timeline.record(event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, MonitorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MonitorState {
    /// Judges an advance by the `sockets` after it. Returns an event for the first advance with
    /// sockets, and for the first one that fails the test.
    fn judge(&mut self, by: Duration, sockets: &[EpollSocket]) -> Option<EventKind> {
        let unread = sockets
            .iter()
            .filter(|socket| {
                let mut before = self.before.iter();
                let before = before.find(|before| before.is_same_socket(socket));
                socket.unread_bytes > before.map_or(0, |before| before.unread_bytes)
            })
            .max_by_key(|socket| socket.unread_bytes);
        let is_first = !self.has_recorded && !sockets.is_empty();
        if (unread.is_none() && !is_first) || !is_paused() {
            return None;
        }
        self.has_recorded = true;
        let socket = unread.map(EpollSocket::describe);
        let unread_bytes = unread.map_or(0, |socket| socket.unread_bytes);
        self.failure = socket.as_ref().map(|socket| {
            format!(
                "the paused clock advanced by itself while {socket} had {unread_bytes} unread {}: \
                 a timeout can elapse although the answer is there. Use `clock = \"manual\"` or `clock = \"real\"`. \
                 If the bytes are left unread on purpose, call `cx.clock().allow_unread_bytes()`",
                if unread_bytes == 1 { "byte" } else { "bytes" },
            )
        });
        Some(EventKind::AutoAdvanced {
            by_us: microseconds(by),
            sockets: sockets.len(),
            socket,
            unread_bytes,
        })
    }
}

impl fmt::Debug for AutoAdvanceMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutoAdvanceMonitor").finish_non_exhaustive()
    }
}

/// Whether the clock of this thread's runtime stands still. A test can resume real time with
/// `tokio::time::resume`.
fn is_paused() -> bool {
    const LONG_ENOUGH: Duration = Duration::from_micros(1);
    let (at, began) = (Instant::now(), std::time::Instant::now());
    while began.elapsed() < LONG_ENOUGH {
        std::hint::spin_loop();
    }
    Instant::now() == at
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::test::test_time::TestTime;
    use clarity_chaos_record::ClockKind;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream as Peer;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;
    use tokio::time::advance;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Runs `body` in a runtime that a new monitor watches. Gives the events of the monitor.
    fn run(body: impl AsyncFnOnce(&AutoAdvanceMonitor, UnixStream, Peer)) -> Vec<EventKind> {
        let dir = tempfile::tempdir().unwrap();
        let time = TestTime::new(ClockKind::Paused);
        let file = Timeline::open(&dir.path().join("timeline.jsonl")).unwrap();
        let timeline = Timeline::new(file, time.clone());
        let monitor = AutoAdvanceMonitor::new(timeline.clone());
        let runtime = monitor
            .watch(|configure| time.runtime_with(configure))
            .unwrap();
        runtime.block_on(async {
            let (here, there) = Peer::pair().unwrap();
            here.set_nonblocking(true).unwrap();
            body(&monitor, UnixStream::from_std(here).unwrap(), there).await;
        });
        runtime.shut_down();
        timeline
            .events()
            .into_iter()
            .map(|event| event.kind)
            .collect()
    }

    /// The unread bytes of each event.
    fn unread(events: &[EventKind]) -> Vec<u64> {
        let unread = events.iter().map(|event| match event {
            EventKind::AutoAdvanced { unread_bytes, .. } => *unread_bytes,
            other => panic!("{other:?}"),
        });
        unread.collect()
    }

    #[test]
    fn advance_with_unread_bytes_fails_once() {
        let events = run(async |monitor, _socket, mut peer| {
            tokio::time::sleep(HOUR).await;
            assert_eq!(monitor.failure(), None);
            peer.write_all(b"bytes").unwrap();
            tokio::time::sleep(HOUR).await;
            tokio::time::sleep(HOUR).await;
            let failure = monitor.failure().unwrap();
            assert!(failure.contains("had 5 unread bytes"), "{failure}");
        });
        assert_eq!(unread(&events), [0, 5]);
    }

    #[test]
    fn wait_without_an_advance_never_fails() {
        let events = run(async |monitor, mut socket, mut peer| {
            peer.write_all(b"bytes").unwrap();
            monitor.begin_wait();
            monitor.end_wait();
            assert_eq!(monitor.failure(), None);
            let mut bytes = [0; 5];
            let read = tokio::time::timeout(HOUR, socket.read_exact(&mut bytes));
            read.await.unwrap().unwrap();
            monitor.begin_wait();
            advance(HOUR).await;
            monitor.end_wait();
            assert_eq!(monitor.failure(), None);
        });
        assert_eq!(unread(&events), [0]);
    }

    #[test]
    fn allowed_bytes_pass_and_bytes_that_come_meanwhile_fail() {
        run(async |monitor, _socket, mut peer| {
            monitor.allow_unread();
            peer.write_all(b"bytes").unwrap();
            tokio::time::sleep(HOUR).await;
            assert_eq!(monitor.failure(), None);

            monitor.begin_wait();
            peer.write_all(b"more").unwrap();
            advance(HOUR).await;
            monitor.end_wait();
            let failure = monitor.failure().unwrap();
            assert!(failure.contains("had 9 unread bytes"), "{failure}");
        });
    }

    #[test]
    fn runtime_without_sockets_records_nothing() {
        let events = run(async |monitor, socket, peer| {
            drop((socket, peer));
            tokio::time::sleep(HOUR).await;
            assert_eq!(monitor.failure(), None);
        });
        assert_eq!(events, []);
    }
}
