//! Intercepting system calls of the test's own process: faults delay them or let them fail, and
//! `--check-determinism` delays the first one of every other thread.
//!
//! A thread asks for interception of its own calls, and those of all threads and processes that it
//! starts later. Another thread of the test's process, the listener thread, answers these calls
//! ([seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)).
//! Interception cannot be undone, so that thread lets calls pass while there are no rules, until
//! the test ends.

mod rule;
mod syscall_interceptor;

pub(crate) use self::rule::{Action, CallHook, Rule};
pub(crate) use self::syscall_interceptor::{SyscallInterceptor, add_rule, intercept_this_thread};
