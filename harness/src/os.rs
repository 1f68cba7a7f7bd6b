//! The operating system, as far as the libraries have no safe form for it: all `unsafe` of the harness is here.
//!
//! Processes and their signals, descriptors and limits; `/proc`; namespaces; seccomp and its listener; the memory of a traced process; files and
//! directories whose permissions a test took away; the wall clock. Nothing here knows a test.

#[cfg(target_os = "linux")]
pub(crate) mod affinity;
pub(crate) mod append_log;
pub(crate) mod atomic_file;
#[cfg(target_os = "linux")]
pub(crate) mod backtrace_signal;
pub(crate) mod cpu_time;
pub(crate) mod descriptors;
#[cfg(target_os = "linux")]
pub(crate) mod environment;
#[cfg(target_os = "linux")]
pub(crate) mod fork;
#[cfg(target_os = "linux")]
pub(crate) mod forked_exit;
#[cfg(target_os = "linux")]
pub(crate) mod instrumentation;
#[cfg(target_os = "linux")]
pub(crate) mod listener;
pub(crate) mod lowered_limit;
#[cfg(target_os = "linux")]
pub(crate) mod namespaces;
#[cfg(target_os = "linux")]
pub(crate) mod processes;
pub(crate) mod removal;
#[cfg(target_os = "linux")]
pub(crate) mod seccomp;
#[cfg(target_os = "linux")]
pub(crate) mod session;
#[cfg(target_os = "linux")]
pub(crate) mod short_io;
#[cfg(unix)]
pub(crate) mod signals;
#[cfg(target_os = "linux")]
pub(crate) mod sockets;
pub(crate) mod timestamps;
#[cfg(target_os = "linux")]
pub(crate) mod tracee;
#[cfg(target_os = "linux")]
pub(crate) mod wait;
pub(crate) mod wall_clock;
pub(crate) mod watched;
