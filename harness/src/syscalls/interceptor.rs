//! System calls of the test's own process that wait for what the harness says: those that a fault delays or lets fail, and the first one of each
//! thread, which `--check-determinism` holds up.
//!
//! The thread that asks for it, and whatever it starts from then on, has its calls handed to an *attendant*, a thread beside
//! the test's ([seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)). That cannot be taken back, so the attendant
//! lets all calls pass when there is nothing to do, until the test has ended.

mod attendant;
mod rule;

pub(crate) use self::attendant::{Attendants, attend, put};
pub(crate) use self::rule::{Action, Deed, Rule};
