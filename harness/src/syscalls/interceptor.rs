//! Intercepts system calls of the test's own process. Faults delay calls, shorten calls or make
//! calls fail. `--check-determinism` delays the first call of every second thread.
//!
//! If a thread requests interception, the kernel intercepts its calls. The kernel also intercepts
//! the calls of all threads and processes that this thread starts later. The *listener thread*,
//! another thread of the test's process, answers the intercepted calls
//! ([seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)).
//! Interception cannot be undone. While there are no rules, the listener thread lets all calls
//! pass. The listener thread ends with the test.

mod rule;
mod syscall_interceptor;

pub(crate) use self::rule::{Action, CallHook, Rule};
pub(crate) use self::syscall_interceptor::{SyscallInterceptor, add_rule, intercept_this_thread};
