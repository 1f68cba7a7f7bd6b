//! The environment variables of this process.
#![expect(unsafe_code, reason = "set_var and remove_var are unsafe")]

use crate::os::fork::has_other_threads;
use std::ffi::OsStr;
use std::io;

/// Sets a variable for this process and all processes that it starts.
///
/// # Errors
///
/// When this process has other threads, which could read the environment at the same time.
pub(crate) fn set(name: &OsStr, value: &OsStr) -> io::Result<()> {
    require_one_thread(name)?;
    // SAFETY: this process has one thread, so no other thread reads the environment at the same
    // time.
    unsafe { std::env::set_var(name, value) };
    Ok(())
}

/// Removes a variable from this process and all processes that it starts.
///
/// # Errors
///
/// When this process has other threads, which could read the environment at the same time.
pub(crate) fn remove(name: &OsStr) -> io::Result<()> {
    require_one_thread(name)?;
    // SAFETY: this process has one thread, so no other thread reads the environment at the same
    // time.
    unsafe { std::env::remove_var(name) };
    Ok(())
}

fn require_one_thread(name: &OsStr) -> io::Result<()> {
    if has_other_threads() {
        return Err(io::Error::other(format!(
            "cannot change {}: this binary starts threads before `main`",
            name.display()
        )));
    }
    Ok(())
}
