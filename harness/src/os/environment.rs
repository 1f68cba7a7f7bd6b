//! The environment variables of this process.
#![expect(unsafe_code, reason = "std::env::set_var is unsafe")]

use crate::os::fork::has_other_threads;
use std::ffi::OsStr;
use std::io;

/// Sets a variable for this process and all processes that it starts.
///
/// # Errors
///
/// When this process has other threads, which could read the environment at the same time.
pub(crate) fn set(name: &str, value: &OsStr) -> io::Result<()> {
    if has_other_threads() {
        return Err(io::Error::other(format!(
            "cannot set {name}: this binary starts threads before `main`"
        )));
    }
    // SAFETY: this process has one thread, so no other thread reads the environment at the same
    // time.
    unsafe { std::env::set_var(name, value) };
    Ok(())
}
