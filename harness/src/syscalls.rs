//! Intercepted system calls: their patterns, their effects on files, and the places in the code
//! that make the calls.

#[cfg(target_os = "linux")]
mod arguments;
#[cfg(target_os = "linux")]
pub(crate) mod backtrace;
#[cfg(target_os = "linux")]
pub(crate) mod call_details;
pub(crate) mod call_kind;
pub(crate) mod code_location;
#[cfg(target_os = "linux")]
pub(crate) mod decoder;
pub(crate) mod errno;
#[cfg(target_os = "linux")]
pub(crate) mod file_call;
#[cfg(target_os = "linux")]
pub(crate) mod file_paths;
#[cfg(target_os = "linux")]
pub(crate) mod file_status;
#[cfg(target_os = "linux")]
pub(crate) mod interceptor;
#[cfg(target_os = "linux")]
pub(crate) mod patterns;
#[cfg(target_os = "linux")]
pub(crate) mod process_call;
#[cfg(target_os = "linux")]
pub(crate) mod thread_creation;
#[cfg(target_os = "linux")]
pub(crate) mod transfer;
#[cfg(target_os = "linux")]
pub(crate) mod unreadable_call;
