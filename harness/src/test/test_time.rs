//! The time and the Tokio runtime of a test.

use crate::data::duration::microseconds;
use crate::os::wall_clock;
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
    /// The runtime's handle, and the start of virtual time. `None` while no runtime runs: a handle
    /// would keep the runtime's descriptors open.
    origin: Arc<Mutex<Option<(Handle, Instant)>>>,
    /// The virtual time at the last call of [`TestTime::virtual_now`], in microseconds. [`NEVER`]
    /// before the runtime starts.
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

    /// The virtual time since the runtime started. `None` under a real clock, or before the runtime
    /// starts. After the runtime's shutdown, the virtual time at the shutdown.
    pub(crate) fn virtual_now(&self) -> Option<Duration> {
        let origin = self.origin().clone();
        let Some((handle, origin)) = origin else {
            return self.latest_virtual();
        };
        // Tokio reads its clock from the thread's context. Threads outside of the runtime have no
        // such context.
        let _context = handle.enter();
        let now = origin.elapsed();
        self.latest_us.store(microseconds(now), Ordering::Relaxed);
        Some(now)
    }

    /// The virtual time at the last call of [`virtual_now`](Self::virtual_now). `None` under a real
    /// clock, or before the runtime starts. Takes no lock.
    pub(crate) fn latest_virtual(&self) -> Option<Duration> {
        let latest = self.latest_us.load(Ordering::Relaxed);
        (latest != NEVER).then_some(Duration::from_micros(latest))
    }

    /// Advances virtual time; see [`Clock::advance`](crate::Clock::advance).
    pub(crate) async fn advance(&self, duration: Duration) {
        // Lets newly spawned tasks set their timers before the jump.
        tokio::task::yield_now().await;
        // Both clocks move before the next task runs.
        assert!(
            wall_clock::advance(duration),
            "cannot advance the wall clock by {duration:?}: it follows for 584 years at most"
        );
        tokio::time::advance(duration).await;
        // `advance` yields once, and during this yield, expired timers wake their tasks. The yield
        // here lets the tasks run.
        tokio::task::yield_now().await;
    }

    /// Starts the runtime of an async test under this clock.
    pub(crate) fn runtime(&self) -> io::Result<TestRuntime> {
        self.runtime_with(&|_| ())
    }

    /// Starts the runtime of an async test under this clock. `configure` adds hooks to a runtime
    /// with a virtual clock.
    pub(crate) fn runtime_with(&self, configure: &dyn Fn(&mut Builder)) -> io::Result<TestRuntime> {
        let runtime = if self.kind.is_virtual() {
            let mut builder = Builder::new_current_thread();
            builder.enable_all().start_paused(true);
            configure(&mut builder);
            builder.build()?
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
        let inhibitor =
            (self.kind == ClockKind::Manual).then(|| AutoAdvanceInhibitor::start(&runtime));
        Ok(TestRuntime {
            runtime,
            inhibitor,
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

/// The value for "no virtual time". Interpreted as a number of microseconds, this value would be
/// 584,000 years.
const NEVER: u64 = u64::MAX;

/// The timeout of the wait for blocking tasks at the end of a test.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The Tokio runtime of one async test.
pub(crate) struct TestRuntime {
    runtime: Runtime,
    inhibitor: Option<AutoAdvanceInhibitor>,
    time: TestTime,
}

impl TestRuntime {
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Drops all async tasks, and waits up to [`SHUTDOWN_TIMEOUT`] for blocking tasks. Then lets
    /// the wall clock run again, if it followed.
    pub(crate) fn shut_down(self) {
        // Dropping the inhibitor ends its blocking task. Otherwise the shutdown would wait for this
        // task.
        drop(self.inhibitor);
        self.time.virtual_now();
        *self.time.origin() = None;
        self.runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
        wall_clock::resume();
    }
}

/// Prevents a paused clock from advancing by itself: Tokio does not auto-advance while a blocking
/// task runs.
struct AutoAdvanceInhibitor {
    _release: mpsc::Sender<()>,
}

impl AutoAdvanceInhibitor {
    fn start(runtime: &Runtime) -> Self {
        let (release, released) = mpsc::channel::<()>();
        runtime.spawn_blocking(move || released.recv());
        Self { _release: release }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::{sleep, timeout};

    #[test]
    fn runtime_paused_clock_jumps_to_the_next_timer() {
        let clock = TestTime::new(ClockKind::Paused);
        let runtime = clock.runtime().unwrap();
        runtime.block_on(async { sleep(Duration::from_secs(3600)).await });
        assert!(clock.virtual_now().unwrap() >= Duration::from_secs(3600));
        runtime.shut_down();
    }

    #[test]
    fn runtime_manual_clock_moves_by_advance_alone() {
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
            // If the clock advanced by itself during the wait for the peer, the timeout would
            // expire.
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
