//! Records every panic in a test's process, on all threads. Caught panics are recorded too.

use crate::test::timeline::Timeline;
use clarity_chaos_record::EventKind;
use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// The panics that happened so far, and the panics that the test declared. Clones share one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics {
    log: Arc<Mutex<PanicLog>>,
}

/// A panic hook.
type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// The address of a hook. Closures with captures have different addresses. So the address
/// identifies the hook of [`Panics::install`].
fn address(hook: &Hook) -> usize {
    std::ptr::from_ref(&**hook).cast::<()>().addr()
}

#[derive(Debug, Default)]
struct PanicLog {
    /// The address of the hook that [`Panics::install`] set.
    hook: usize,
    declared: Vec<DeclaredPanic>,
    panics: Vec<Panic>,
}

#[derive(Debug)]
struct DeclaredPanic {
    /// A part of the expected panic's message.
    message: String,
    /// Whether the test fails without such a panic.
    required: bool,
    happened: bool,
}

/// One panic that happened.
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
pub(crate) struct CaughtPanic {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) expected: bool,
}

/// Returns the text of a panic.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
        .to_owned()
}

impl Panics {
    /// Records all later panics of the process. The previous hook, which prints the panic, still
    /// runs.
    pub(crate) fn install(&self, timeline: Timeline) {
        let panics = self.clone();
        let print = panic::take_hook();
        let hook: Hook = Box::new(move |info| {
            let panic = panics.record(info);
            // The panic is recorded first: printing a backtrace is slow, and the process can die
            // while it prints.
            timeline.record_panic(EventKind::Panicked {
                message: panic.message,
                location: panic.location,
                expected: panic.expected,
            });
            print(info);
        });
        self.with(|log| log.hook = address(&hook));
        panic::set_hook(hook);
    }

    /// Restores the default hook. Only a process that continues after the test needs this call.
    pub(crate) fn uninstall(&self) {
        let _ = panic::take_hook();
    }

    /// Whether the hook of [`install`](Self::install) is still the current hook. Another hook would
    /// hide panics.
    pub(crate) fn is_installed(&self) -> bool {
        // Only `take_hook` gives access to the current hook, so the hook is taken and set again.
        let hook = panic::take_hook();
        let is_ours = self.with(|log| log.hook == address(&hook));
        panic::set_hook(hook);
        is_ours
    }

    /// Declares that panics whose message contains `message` are expected. If `required` is true,
    /// at least one such panic must happen.
    pub(crate) fn declare(&self, message: String, required: bool) {
        self.with(|log| {
            log.declared.push(DeclaredPanic {
                message,
                required,
                happened: false,
            });
        });
    }

    fn record(&self, info: &PanicHookInfo<'_>) -> Panic {
        let message = message_of(info.payload());
        let current = thread::current();
        self.with(|log| {
            let mut expected = false;
            for declared in &mut log.declared {
                if message.contains(&declared.message) {
                    declared.happened = true;
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
            log.panics.push(panic.clone());
            panic
        })
    }

    /// Describes the panic that was caught on this thread with this payload.
    ///
    /// Searches the log for the thread's latest panic. Resumed panics, and panics under another
    /// hook, are not in the log. Such panics count as not expected.
    pub(crate) fn caught(&self, payload: &(dyn Any + Send)) -> CaughtPanic {
        let message = message_of(payload);
        let thread = thread::current().id();
        self.with(|log| {
            let mut panics = log.panics.iter().rev();
            let latest = panics.find(|panic| panic.thread == thread);
            let recorded = latest.filter(|panic| panic.message == message);
            CaughtPanic {
                location: recorded.and_then(|panic| panic.location.clone()),
                expected: recorded.is_some_and(|panic| panic.expected),
                message,
            }
        })
    }

    /// The undeclared panics, one line each.
    pub(crate) fn undeclared(&self) -> Vec<String> {
        self.with(|log| {
            let undeclared = log.panics.iter().filter(|panic| !panic.expected);
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

    /// The required panics that did not happen, one line each.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.with(|log| {
            let declared = log.declared.iter();
            declared
                .filter(|declared| declared.required && !declared.happened)
                .map(|declared| {
                    format!(
                        "expected a panic whose message contains `{}`, and none happened",
                        declared.message
                    )
                })
                .collect()
        })
    }

    fn with<T>(&self, access: impl FnOnce(&mut PanicLog) -> T) -> T {
        access(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
