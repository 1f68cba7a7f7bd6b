//! EventKind a test is handed.

mod exploration;

use crate::data::case::CaseSpec;
use crate::test::clock::Clock;
use crate::test::fault::{Fault, FaultError, FaultGuard, FaultLog, InjectError};
use crate::test::network::Link;
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
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// A test's hold on its run: seed, directory, clock, faults, timeline. Clones are the same context.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    seed: Seed,
    dir: PathBuf,
    clock: Clock,
    timeline: Timeline,
    faults: FaultLog,
    panics: Panics,
    generators: AtomicU64,
    skip: SkipRequest,
    /// A folder on another file system, once it was asked for.
    elsewhere: Mutex<Option<TempDir>>,
}

impl Context {
    pub(crate) fn new(
        spec: &CaseSpec,
        dir: PathBuf,
        clock: Clock,
        timeline: Timeline,
        faults: FaultLog,
        panics: Panics,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                name: spec.name.clone(),
                seed: spec.seed,
                dir,
                clock,
                skip: SkipRequest::new(timeline.clone()),
                timeline,
                faults,
                panics,
                generators: AtomicU64::new(0),
                elsewhere: Mutex::default(),
            }),
        }
    }

    /// The test's name, as it is selected by: `corruption::one_flipped_bit_is_refused`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The test's seed: it follows from the run's root seed and the test's name alone.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed.get()
    }

    /// A generator of random numbers that follow from the seed. Each call gives the next of a row of independent generators,
    /// so call it once per test; tasks that run at the same time take [`rng_for`](Self::rng_for).
    #[must_use]
    pub fn rng(&self) -> ChaCha8Rng {
        let number = self.inner.generators.fetch_add(1, Ordering::Relaxed);
        rng(self.inner.seed.child("rng", &number.to_string()))
    }

    /// The generator of the actor called `actor`: independent of all others, and of the order in which they ask.
    #[must_use]
    pub fn rng_for(&self, actor: &str) -> ChaCha8Rng {
        rng(self.inner.seed.child("actor", actor))
    }

    /// An empty directory of the test's own, gone afterwards unless `--keep-dirs` says otherwise.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// A folder on another file system than [`dir`](Self::dir), empty at first and the same at each call: files cannot be renamed from one to the other, and what is in it
    /// lies in memory. An [exploration](Self::explore) does not look at it. It is gone when the test ends; that of a test that is killed outside of the sandbox
    /// stays in `/dev/shm`.
    ///
    /// # Errors
    ///
    /// When there is no other file system; a test that returns this error is skipped. Or when no folder can be made there.
    pub fn other_filesystem(&self) -> crate::Result<PathBuf> {
        let elsewhere = &self.inner.elsewhere;
        let mut elsewhere = elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        if elsewhere.is_none() {
            *elsewhere = other_filesystem::folder_beside(self.dir())?;
        }
        match &*elsewhere {
            Some(folder) => Ok(folder.path().to_owned()),
            None => {
                let skipped = self.skip("no other file system is at hand");
                Err(skipped.expect_err("skipping is an error").into())
            }
        }
    }

    /// Removes what was made beside the test's directory.
    pub(crate) fn close(&self) {
        let elsewhere = &self.inner.elsewhere;
        let mut elsewhere = elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        // EventKind is left of it is found with the rest.
        drop(elsewhere.take());
    }

    /// The clock that the test declared.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Injects a fault: draws what it leaves open from the seed, puts it on the plan and the timeline, and does it.
    ///
    /// # Errors
    ///
    /// When the target is missing or cannot bear the fault; then nothing has changed. A test that returns the error of an unavailable
    /// fault, as on another system, is skipped.
    pub fn inject<F: Fault>(&self, fault: F) -> Result<FaultGuard<F::Plan>, InjectError> {
        let injected = self.inner.faults.inject(&fault);
        if let Err(InjectError {
            reason: FaultError::Unavailable(reason),
            ..
        }) = &injected
        {
            // The error that the test returns says so, too.
            let _ = self.skip(reason);
        }
        injected
    }

    /// Opens a link to a server, for clients to connect to in its place; faults can then disturb what passes. `name` is what plans and reports call it.
    ///
    /// # Errors
    ///
    /// When `server` is no address, or there is no port or thread to be had. The server need not listen yet.
    pub fn link(&self, name: impl Into<String>, server: impl ToSocketAddrs) -> io::Result<Link> {
        Link::open(name.into(), server)
    }

    /// Starts a program of the test's own. EventKind it prints becomes part of the test's output, each line behind `name`; it has nothing to read.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(&self, name: impl Into<String>, command: &mut Command) -> io::Result<Process> {
        Process::start(name.into(), command)
    }

    /// Says something on the timeline.
    pub fn note(&self, text: impl Display) {
        self.inner.timeline.record(EventKind::Note {
            text: text.to_string(),
        });
    }

    /// Says on the timeline what may be different each time, also with the same seed: a count of what clients got, a real time. It is not compared by
    /// `--check-determinism`.
    pub fn measured(&self, text: impl Display) {
        self.inner.timeline.record(EventKind::Measured {
            text: text.to_string(),
        });
    }

    /// Puts a mark on the timeline, in the lane of its kind: `cx.mark("requests", "503 model_corrupt")`. Reports draw each lane by itself, and labels that begin
    /// with a status of HTTP by its class. As what was [measured](Self::measured), it is not compared by `--check-determinism`.
    pub fn mark(&self, lane: impl Display, label: impl Display) {
        self.inner.timeline.record(EventKind::Mark {
            lane: lane.to_string(),
            label: label.to_string(),
        });
    }

    /// All that has happened so far, in order; among it the `tracing` events of the code under test, as [`EventKind::Log`].
    ///
    /// The harness is the process's global subscriber: code under test that insists on installing its own (`init` rather than `try_init`)
    /// panics, and what it logs under a scoped one (`with_default`) is not here.
    #[must_use]
    pub fn timeline(&self) -> Vec<Event> {
        self.inner.timeline.events()
    }

    /// Declares that a panic whose message contains `message` will happen, on any thread. The test fails if none does.
    ///
    /// Without a declaration any panic fails the test, also one that the code under test catches.
    ///
    /// # Panics
    ///
    /// When `message` is empty: it would excuse every panic.
    #[track_caller]
    pub fn expect_panic(&self, message: impl Into<String>) {
        self.inner.panics.declare(named(message), true);
    }

    /// Declares that panics whose message contains `message` may happen, on any thread.
    ///
    /// # Panics
    ///
    /// When `message` is empty: it would excuse every panic.
    #[track_caller]
    pub fn allow_panic(&self, message: impl Into<String>) {
        self.inner.panics.declare(named(message), false);
    }

    /// Declares that the test may leave something behind, though it is `non_destructive`: a process, thread, descriptor or file whose line in
    /// the report contains `what`, such as ``thread `pool-1` ``. It is told all the same.
    ///
    /// # Panics
    ///
    /// When `what` is empty: it would excuse every leak.
    #[track_caller]
    pub fn allow_leak(&self, what: impl Into<String>) {
        let what = what.into();
        assert!(!what.is_empty(), "an empty text would excuse every leak");
        self.inner.timeline.record(EventKind::LeakAllowed { what });
    }

    /// Ends the test as skipped: `cx.skip("needs IPv6")?`.
    ///
    /// # Errors
    ///
    /// Always, so that `?` leaves the test. A test is skipped when it returns this very error, and nothing else was amiss.
    pub fn skip(&self, reason: impl Display) -> Result<(), Skipped> {
        Err(self.inner.skip.skip(reason.to_string()))
    }

    /// Why the test asked to be skipped, if it did.
    pub(crate) fn skip_reason(&self) -> Option<&str> {
        self.inner.skip.reason()
    }
}

#[track_caller]
fn named(message: impl Into<String>) -> String {
    let message = message.into();
    assert!(
        !message.is_empty(),
        "an empty message would excuse every panic"
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
