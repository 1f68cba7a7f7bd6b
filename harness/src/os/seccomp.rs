//! System calls that wait for an answer from user space ([seccomp_unotify(2)]).
//!
//! [seccomp_unotify(2)]: https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html

pub(crate) mod acknowledgement;
pub(crate) mod filter;
pub(crate) mod listener;
pub(crate) mod partial_io;
pub(crate) mod process_memory;
pub(crate) mod tracee;
