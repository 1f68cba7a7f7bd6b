//! Every panic of a test's process, whichever thread it is on and whoever catches it.

use crate::test::timeline::Timeline;
use clarity_chaos_record::EventKind;
use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// The panics seen so far, and those that the test has declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics {
    seen: Arc<Mutex<Seen>>,
}

/// EventKind the process calls at a panic.
type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// EventKind tells a hook from all others: ours holds something, so no other is at the same place.
fn address(hook: &Hook) -> usize {
    std::ptr::from_ref(&**hook).cast::<()>().addr()
}

#[derive(Debug, Default)]
struct Seen {
    /// The address of our hook.
    hook: usize,
    declared: Vec<Declared>,
    panics: Vec<Panic>,
}

#[derive(Debug)]
struct Declared {
    message: String,
    required: bool,
    met: bool,
}

/// One panic.
#[derive(Clone, Debug)]
struct Panic {
    thread: ThreadId,
    thread_name: String,
    message: String,
    location: Option<String>,
    expected: bool,
}

/// A panic that ended the test's body.
#[derive(Debug)]
pub(crate) struct Caught {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) expected: bool,
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
        .to_owned()
}

impl Panics {
    /// Watches all panics of the process from now on; the hook that was there before (which prints) still runs.
    pub(crate) fn install(&self, timeline: Timeline) {
        let panics = self.clone();
        let print = panic::take_hook();
        let hook: Hook = Box::new(move |info| {
            let panic = panics.see(info);
            // Told first: printing takes its time with a backtrace, and the process may not survive it.
            timeline.record_panic(EventKind::Panicked {
                message: panic.message,
                location: panic.location,
                expected: panic.expected,
            });
            print(info);
        });
        self.with(|seen| seen.hook = address(&hook));
        panic::set_hook(hook);
    }

    /// Puts back the hook that prints, where the process goes on after the test.
    pub(crate) fn uninstall(&self) {
        let _ = panic::take_hook();
    }

    /// Whether the hook that [`install`](Self::install) set is still the process's: another one would see the panics in its place.
    pub(crate) fn still_watches(&self) -> bool {
        // Looking at it means to take it away for a moment.
        let hook = panic::take_hook();
        let is_ours = self.with(|seen| seen.hook == address(&hook));
        panic::set_hook(hook);
        is_ours
    }

    pub(crate) fn declare(&self, message: String, required: bool) {
        self.with(|seen| {
            seen.declared.push(Declared {
                message,
                required,
                met: false,
            });
        });
    }

    fn see(&self, info: &PanicHookInfo<'_>) -> Panic {
        let message = message_of(info.payload());
        let current = thread::current();
        self.with(|seen| {
            let mut expected = false;
            for declared in &mut seen.declared {
                if message.contains(&declared.message) {
                    declared.met = true;
                    expected = true;
                }
            }
            let panic = Panic {
                thread: current.id(),
                thread_name: current.name().unwrap_or("unnamed").to_owned(),
                message,
                location: info.location().map(ToString::to_string),
                expected,
            };
            seen.panics.push(panic.clone());
            panic
        })
    }

    /// The panic that was caught on this thread with this payload.
    ///
    /// The hook has seen it as the thread's latest, unless it was resumed, or the hook was replaced; then nobody has declared it.
    pub(crate) fn caught(&self, payload: &(dyn Any + Send)) -> Caught {
        let message = message_of(payload);
        let here = thread::current().id();
        self.with(|seen| {
            let mut panics = seen.panics.iter().rev();
            let latest = panics.find(|panic| panic.thread == here);
            let seen = latest.filter(|panic| panic.message == message);
            Caught {
                location: seen.and_then(|panic| panic.location.clone()),
                expected: seen.is_some_and(|panic| panic.expected),
                message,
            }
        })
    }

    /// The panics that nobody declared, each told in a line.
    pub(crate) fn undeclared(&self) -> Vec<String> {
        self.with(|seen| {
            let undeclared = seen.panics.iter().filter(|panic| !panic.expected);
            undeclared
                .map(|panic| {
                    format!(
                        "thread '{}' panicked at {}: {}",
                        panic.thread_name,
                        panic.location.as_deref().unwrap_or("an unknown place"),
                        panic.message
                    )
                })
                .collect()
        })
    }

    /// The declared panics that had to happen and did not, each told in a line.
    pub(crate) fn unmet(&self) -> Vec<String> {
        self.with(|seen| {
            let unmet = seen.declared.iter().filter(|d| d.required && !d.met);
            unmet
                .map(|declared| {
                    format!(
                        "expected a panic whose message contains `{}`, and none happened",
                        declared.message
                    )
                })
                .collect()
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
