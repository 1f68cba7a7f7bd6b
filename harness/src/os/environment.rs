//! The environment variables of this process.
#![expect(unsafe_code, reason = "std::env::set_var is unsafe")]

use crate::os::fork::has_other_threads;
use std::ffi::OsStr;
use std::io;

/// Sets a variable for this process and those that it starts.
///
/// # Errors
///
/// When this process has other threads, which could read the environment meanwhile.
pub(crate) fn set(name: &str, value: &OsStr) -> io::Result<()> {
    if has_other_threads() {
        return Err(io::Error::other(format!(
            "this binary starts threads before `main`, so {name} cannot be set"
        )));
    }
    // SAFETY: this process has one thread, so nothing reads the environment meanwhile.
    unsafe { std::env::set_var(name, value) };
    Ok(())
}
