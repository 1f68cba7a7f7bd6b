//! The context of a test: the argument of the test function.

mod exploration;
mod services;
mod wall_clock;

use crate::data::case::CaseSpec;
use crate::data::service::VisibleServices;
use crate::test::clock::Clock;
use crate::test::explore::kept_state::EvidencePaths;
use crate::test::fault::{Fault, FaultError, FaultGuard, FaultLog, InjectError};
use crate::test::missed_faults::MissedFaults;
use crate::test::network::{Link, Resolver, UdpLink};
use crate::test::other_filesystem;
use crate::test::outcome::Skipped;
use crate::test::panics::Panics;
use crate::test::process::Process;
use crate::test::random::rng;
use crate::test::skip::SkipRequest;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{Event, EventKind, Seed};
use rand_chacha::ChaCha8Rng;
use std::fmt::{self, Display};
use std::io;
use std::net::{ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// The context of a test: seed, directory, clock, faults and timeline. Clones share one context.
#[derive(Clone)]
pub struct Context {
    inner: Arc<ContextInner>,
}

struct ContextInner {
    name: String,
    seed: Seed,
    dir: PathBuf,
    clock: Clock,
    timeline: Timeline,
    faults: FaultLog,
    missed: MissedFaults,
    panics: Panics,
    generators: AtomicU64,
    skip: SkipRequest,
    evidence: EvidencePaths,
    services: VisibleServices,
    /// The directory on another file system. `None` before [`Context::other_filesystem`] creates
    /// it.
    other_filesystem: Mutex<Option<TempDir>>,
}

impl Context {
    pub(crate) fn new(
        spec: &CaseSpec,
        dir: PathBuf,
        evidence: EvidencePaths,
        clock: Clock,
        timeline: Timeline,
        faults: FaultLog,
        panics: Panics,
    ) -> Self {
        Self {
            inner: Arc::new(ContextInner {
                name: spec.name.clone(),
                seed: spec.seed,
                dir,
                clock,
                skip: SkipRequest::new(timeline.clone()),
                evidence,
                missed: MissedFaults::new(timeline.clone()),
                services: spec.services.clone(),
                timeline,
                faults,
                panics,
                generators: AtomicU64::new(0),
                other_filesystem: Mutex::default(),
            }),
        }
    }

    /// The name by which a run selects the test, for example
    /// `corruption::one_flipped_bit_is_refused`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The test's seed. The seed depends only on the run's root seed and on the test's `seed_name`.
    /// The default `seed_name` is the test's name.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed.get()
    }

    /// Returns a random-number generator that is derived from the test's seed. Each call returns
    /// the next generator of a series. The generators are independent of each other.
    ///
    /// Call this method once per test. In concurrent tasks, call [`rng_for`](Self::rng_for)
    /// instead: the order of calls would decide which generator each task gets.
    #[must_use]
    pub fn rng(&self) -> ChaCha8Rng {
        let number = self.inner.generators.fetch_add(1, Ordering::Relaxed);
        rng(self.inner.seed.child("rng", &number.to_string()))
    }

    /// Returns the random-number generator of one `actor`. The generator is derived from the test's
    /// seed and the actor's name.
    ///
    /// The generator does not depend on any other generator, or on the order of calls.
    #[must_use]
    pub fn rng_for(&self, actor: &str) -> ChaCha8Rng {
        rng(self.inner.seed.child("actor", actor))
    }

    /// The test's own directory, empty when the test starts. The run removes the directory, unless
    /// `--keep-dirs` keeps it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Returns a directory on another file system than [`dir`](Self::dir). A rename between the two
    /// directories fails. The first call creates the directory, which is then empty. Later calls
    /// return the same directory.
    ///
    /// The directory's files are in memory. An [exploration](Self::explore) does not cover them.
    /// The directory is removed when the test ends. Outside of the sandbox, a killed test leaves
    /// the directory in `/dev/shm`.
    ///
    /// # Errors
    ///
    /// When no other file system is available: a test that returns this error is skipped. Also when
    /// the directory cannot be created.
    pub fn other_filesystem(&self) -> crate::Result<PathBuf> {
        let mut directory = self.lock_other_filesystem();
        if directory.is_none() {
            *directory = other_filesystem::create_dir(self.dir())?;
        }
        match &*directory {
            Some(directory) => Ok(directory.path().to_owned()),
            None => {
                let skipped =
                    self.skip("no file system other than the test directory's is available");
                Err(skipped.expect_err("`skip` always returns an error").into())
            }
        }
    }

    /// The faults in effect that could not act.
    pub(crate) fn missed_faults(&self) -> Vec<String> {
        self.inner.missed.sentences()
    }

    /// Removes the directory that [`Context::other_filesystem`] created.
    pub(crate) fn close(&self) {
        // A failed removal is ignored here: the later search for leaks reports a directory that
        // remains.
        drop(self.lock_other_filesystem().take());
    }

    fn lock_other_filesystem(&self) -> MutexGuard<'_, Option<TempDir>> {
        let directory = &self.inner.other_filesystem;
        directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock that the test declares.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Injects a fault. Draws from the seed each parameter of the fault that the test leaves open.
    /// Records the fault in the test's fault plan and on the timeline. Then applies the fault.
    ///
    /// # Errors
    ///
    /// When the target is missing or unsuitable. In this case, nothing has changed. Also when this
    /// system does not support the fault. A test that returns this last error is skipped.
    pub fn inject<F: Fault>(&self, fault: F) -> Result<FaultGuard<F::Plan>, InjectError> {
        let injected = self.inner.faults.inject(&fault);
        if let Err(InjectError {
            reason: FaultError::Unavailable(reason),
            ..
        }) = &injected
        {
            // Requests a skip with this reason. If the test returns the error, the test is skipped:
            // the error's message contains the reason.
            let _ = self.skip(reason);
        }
        injected
    }

    /// Opens a link to a server. Clients connect to the link, and faults disturb its traffic.
    ///
    /// Plans and reports show `name`. The server need not listen yet.
    ///
    /// # Errors
    ///
    /// When `server` does not resolve to an address. Also when the system has no free port or
    /// thread.
    pub fn link(&self, name: impl Into<String>, server: impl ToSocketAddrs) -> io::Result<Link> {
        Link::open(name.into(), server, self.inner.missed.clone())
    }

    /// Opens a link to a server for datagrams of UDP. Clients send to the link, and faults disturb
    /// its datagrams.
    ///
    /// Plans and reports show `name`.
    ///
    /// # Errors
    ///
    /// When `server` does not resolve to an address. Also when the system has no free port or
    /// thread.
    pub fn udp_link(
        &self,
        name: impl Into<String>,
        server: impl ToSocketAddrs,
    ) -> io::Result<UdpLink> {
        UdpLink::open(name.into(), server)
    }

    /// Starts a name server on the test's own loopback. The lookups of the test's process, and of
    /// the programs that it starts, come to this server. The test adds the names.
    ///
    /// # Errors
    ///
    /// When the test has no network and mount namespaces of its own, as outside of the sandbox: a
    /// test that returns this error is skipped. Also when a resolver of the test exists, and when
    /// no thread can be started.
    pub fn resolver(&self) -> crate::Result<Resolver> {
        match name_socket()? {
            Ok(socket) => Ok(Resolver::open(socket)?),
            Err(reason) => {
                let skipped = self.skip(format!("no name server is available: {reason}"));
                Err(skipped.expect_err("`skip` always returns an error").into())
            }
        }
    }

    /// Starts a program with an empty standard input. The program's output appears in the test's
    /// output, with `name` before each line.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn spawn(&self, name: impl Into<String>, command: &mut Command) -> io::Result<Process> {
        Process::start(name.into(), command)
    }

    /// Records a note on the timeline. `--check-determinism` compares the notes of two runs.
    pub fn note(&self, text: impl Display) {
        self.inner.timeline.record(EventKind::Note {
            text: text.to_string(),
        });
    }

    /// Records a measurement on the timeline, such as a duration in real time or a count of
    /// responses.
    ///
    /// Measurements can differ between runs with the same seed, so `--check-determinism` does not
    /// compare measurements.
    pub fn measured(&self, text: impl Display) {
        self.inner.timeline.record(EventKind::Measured {
            text: text.to_string(),
        });
    }

    /// Records a mark in a lane of the timeline. An example is `cx.mark("requests", "503
    /// model_corrupt")`.
    ///
    /// Reports draw each lane separately. If a label begins with an HTTP status, the class of the
    /// status (such as 5xx) selects the character for the mark. `--check-determinism` does not
    /// compare marks.
    pub fn mark(&self, lane: impl Display, label: impl Display) {
        self.inner.timeline.record(EventKind::Mark {
            lane: lane.to_string(),
            label: label.to_string(),
        });
    }

    /// Returns all events so far, in order. The `tracing` events of the code under test are
    /// included as [`EventKind::Log`].
    ///
    /// The harness is the global `tracing` subscriber of the process. Code under test cannot
    /// install another global subscriber: `init` panics, and `try_init` returns an error. Events
    /// under a scoped subscriber (`with_default`) are missing from the timeline.
    #[must_use]
    pub fn timeline(&self) -> Vec<Event> {
        self.inner.timeline.events()
    }

    /// Requires a panic with a message that contains `message`. The panic may happen on any thread.
    /// The test fails without such a panic.
    ///
    /// A panic that is not declared fails the test, even if the code under test catches the panic.
    ///
    /// # Panics
    ///
    /// When `message` is empty: it would allow every panic.
    #[track_caller]
    pub fn expect_panic(&self, message: impl Into<String>) {
        self.inner.panics.declare(non_empty(message), true);
    }

    /// Allows panics on any thread if their message contains `message`.
    ///
    /// # Panics
    ///
    /// When `message` is empty: it would allow every panic.
    #[track_caller]
    pub fn allow_panic(&self, message: impl Into<String>) {
        self.inner.panics.declare(non_empty(message), false);
    }

    /// Allows a `non_destructive` test to leak a process, thread, descriptor or file.
    ///
    /// `pattern` is a part of the line that describes the leak in the report, such as ``thread
    /// `pool-1` ``. The report still lists the leak.
    ///
    /// # Panics
    ///
    /// When `pattern` is empty: it would allow every leak.
    #[track_caller]
    pub fn allow_leak(&self, pattern: impl Into<String>) {
        let pattern = pattern.into();
        assert!(
            !pattern.is_empty(),
            "an empty pattern would allow every leak: write a part of the leak's line in the report"
        );
        self.inner
            .timeline
            .record(EventKind::LeakAllowed { pattern });
    }

    /// Requests that the test is skipped. The test must return the error, for example with
    /// `cx.skip("needs IPv6")?`.
    ///
    /// # Errors
    ///
    /// Always, so that `?` returns the error from the test. A test that returns this error is
    /// skipped. A leak, an undeclared panic or another failure still fails the test.
    pub fn skip(&self, reason: impl Display) -> Result<(), Skipped> {
        Err(self.inner.skip.skip(reason.to_string()))
    }

    /// The reason of the test's first skip request.
    pub(crate) fn skip_reason(&self) -> Option<&str> {
        self.inner.skip.reason()
    }
}

/// Opens the socket of the test's own name server, or returns the reason why there is none.
#[cfg(target_os = "linux")]
fn name_socket() -> io::Result<Result<UdpSocket, String>> {
    crate::sandbox::name_socket::open()
}

#[cfg(not(target_os = "linux"))]
fn name_socket() -> io::Result<Result<UdpSocket, String>> {
    Ok(Err(
        "this system has no network and mount namespaces".to_owned()
    ))
}

#[track_caller]
fn non_empty(message: impl Into<String>) -> String {
    let message = message.into();
    assert!(
        !message.is_empty(),
        "an empty message would allow every panic: name a part of the expected message"
    );
    message
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.inner.name)
            .field("seed", &self.inner.seed)
            .field("dir", &self.inner.dir)
            .finish_non_exhaustive()
    }
}
