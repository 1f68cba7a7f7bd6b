//! System calls of other threads and processes: decoding a trapped one, its effect on files, its place in the code, and intercepting it.

#[cfg(target_os = "linux")]
pub(crate) mod decoder;
#[cfg(target_os = "linux")]
pub(crate) mod effect;
pub(crate) mod errno;
#[cfg(target_os = "linux")]
pub(crate) mod interceptor;
pub(crate) mod kind;
#[cfg(target_os = "linux")]
pub(crate) mod location;
