//! Every panic of a test's process, whichever thread it is on and whoever catches it.

use crate::timeline::{Timeline, What};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// The panics seen so far, and those that the test has declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
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
pub(crate) struct Panic {
    thread: ThreadId,
    thread_name: String,
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) expected: bool,
}

impl Panics {
    /// Watches all panics of the process from now on; the hook that was there before (which prints) still runs.
    pub(crate) fn install(&self, timeline: Timeline) {
        let panics = self.clone();
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let panic = panics.see(info);
            print(info);
            timeline.record(What::Panicked {
                message: panic.message,
                location: panic.location,
                expected: panic.expected,
            });
        }));
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
        let payload = info.payload();
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a text")
            .to_owned();
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

    /// The latest panic of the calling thread: the one that has just been caught on it.
    pub(crate) fn last_of_this_thread(&self) -> Option<Panic> {
        let here = thread::current().id();
        self.with(|seen| {
            let mut panics = seen.panics.iter().rev();
            panics.find(|panic| panic.thread == here).cloned()
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
