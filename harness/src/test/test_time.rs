//! What a test's time is measured by, and the Tokio runtime that goes with it.

use crate::data::duration::microseconds;
use clarity_chaos_record::ClockKind;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

/// The time of one test.
#[derive(Clone)]
pub(crate) struct TestTime {
    kind: ClockKind,
    /// Where virtual time began, while the runtime runs: a handle keeps its descriptors open.
    origin: Arc<Mutex<Option<(Handle, Instant)>>>,
    /// The virtual time, in microseconds, when it was last asked for; [`NEVER`] until there is one.
    latest_us: Arc<AtomicU64>,
}

impl TestTime {
    pub(crate) fn new(kind: ClockKind) -> Self {
        Self {
            kind,
            origin: Arc::default(),
            latest_us: Arc::new(AtomicU64::new(NEVER)),
        }
    }

    pub(crate) fn kind(&self) -> ClockKind {
        self.kind
    }

    /// Virtual time since the runtime began; `None` under a real clock, or before there is a runtime.
    pub(crate) fn virtual_now(&self) -> Option<Duration> {
        let origin = self.origin().clone();
        let Some((handle, origin)) = origin else {
            return self.virtual_then();
        };
        // Tokio looks for its clock in the thread's context, which other threads of the test do not have.
        let _context = handle.enter();
        let now = origin.elapsed();
        self.latest_us.store(microseconds(now), Ordering::Relaxed);
        Some(now)
    }

    /// Virtual time as of when it was last asked for: takes no lock.
    pub(crate) fn virtual_then(&self) -> Option<Duration> {
        let latest = self.latest_us.load(Ordering::Relaxed);
        (latest != NEVER).then_some(Duration::from_micros(latest))
    }

    /// Moves virtual time forward; see [`Clock::advance`](crate::Clock::advance).
    pub(crate) async fn advance(&self, duration: Duration) {
        // Tasks that were just spawned set their timers first.
        tokio::task::yield_now().await;
        tokio::time::advance(duration).await;
        // `advance` yields once; the timers that it fired have woken their tasks, which now get their turn.
        tokio::task::yield_now().await;
    }

    /// The runtime of an async test under this clock.
    pub(crate) fn runtime(&self) -> io::Result<TestRuntime> {
        let runtime = if self.kind.is_virtual() {
            Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()?
        } else {
            Builder::new_multi_thread()
                .worker_threads(ClockKind::REAL_WORKERS)
                .enable_all()
                .build()?
        };
        if self.kind.is_virtual() {
            let _context = runtime.enter();
            self.latest_us.store(0, Ordering::Relaxed);
            *self.origin() = Some((runtime.handle().clone(), Instant::now()));
        }
        let brake = (self.kind == ClockKind::Manual).then(|| Brake::hold(&runtime));
        Ok(TestRuntime {
            runtime,
            brake,
            time: self.clone(),
        })
    }

    fn origin(&self) -> MutexGuard<'_, Option<(Handle, Instant)>> {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TestTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestTime")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// No virtual time: there are 584,000 years before it.
const NEVER: u64 = u64::MAX;

/// How long blocking tasks that are still running may keep a finished test from ending.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// A runtime for one test.
pub(crate) struct TestRuntime {
    runtime: Runtime,
    brake: Option<Brake>,
    time: TestTime,
}

impl TestRuntime {
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Drops all tasks, and waits a bounded time for blocking ones.
    pub(crate) fn shut_down(self) {
        // The brake is a blocking task itself: held any longer, it would be waited for.
        drop(self.brake);
        self.time.virtual_now();
        *self.time.origin() = None;
        self.runtime.shutdown_timeout(SHUTDOWN);
    }
}

/// Keeps a paused clock from advancing by itself: Tokio does not auto-advance while a blocking task runs.
struct Brake {
    _release: mpsc::Sender<()>,
}

impl Brake {
    fn hold(runtime: &Runtime) -> Self {
        let (release, held) = mpsc::channel::<()>();
        runtime.spawn_blocking(move || held.recv());
        Self { _release: release }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::{sleep, timeout};

    #[test]
    fn a_paused_clock_jumps_to_the_next_timer() {
        let clock = TestTime::new(ClockKind::Paused);
        let runtime = clock.runtime().unwrap();
        runtime.block_on(async { sleep(Duration::from_secs(3600)).await });
        assert!(clock.virtual_now().unwrap() >= Duration::from_secs(3600));
        runtime.shut_down();
    }

    #[test]
    fn a_manual_clock_stands_still_over_real_sockets_until_it_is_moved() {
        let clock = TestTime::new(ClockKind::Manual);
        let runtime = clock.runtime().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let peer = std::thread::spawn(move || {
                use std::io::{Read as _, Write as _};
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                stream.write_all(&byte).unwrap();
            });
            // Were the clock to advance by itself while the peer is waited for, this would time out.
            timeout(Duration::from_secs(30), async {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"x").await.unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                assert_eq!(&byte, b"x");
            })
            .await
            .unwrap();
            peer.join().unwrap();
            assert_eq!(clock.virtual_now(), Some(Duration::ZERO));

            let sleeper = tokio::spawn(sleep(Duration::from_secs(60)));
            tokio::task::yield_now().await;
            clock.advance(Duration::from_secs(59)).await;
            assert!(!sleeper.is_finished());
            clock.advance(Duration::from_secs(2)).await;
            sleeper.await.unwrap();
        });
        runtime.shut_down();
    }
}
