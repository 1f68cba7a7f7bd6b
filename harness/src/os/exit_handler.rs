//! Lets forked test processes exit without the exit handlers of their supervisor.
//!
//! When a program exits, the C library calls the exit handlers in reverse order of registration.
//! The test's own handlers come first. The program's own handlers follow, such as the destructors
//! of its shared libraries.
//!
//! The program's handlers belong to the parent process. For this reason, forked children of Unix
//! programs usually end with `_exit`, which calls no handlers (fork(2)). In an empty test, the
//! program's handlers cause 7 % of the total cost. Most of this cost comes from memory pages that
//! the test does not use otherwise.
#![expect(unsafe_code, reason = "a handler of the C library")]

use std::io;

/// Lets forked children of this process skip all exit handlers that were registered before this
/// call.
///
/// Handlers that are registered later still run. Buffered output of C code is still written. All
/// handlers run if the compiler's instrumentation needs them, or if the C library has no `on_exit`.
///
/// # Errors
///
/// When the C library has no space for another handler.
#[cfg(target_env = "gnu")]
pub(crate) fn skip_inherited() -> io::Result<()> {
    use rustix::process::getpid;
    use std::ffi::{c_int, c_void};
    use std::sync::atomic::{AtomicI32, Ordering};

    /// The number of the process that called `skip_inherited`. This process still runs all
    /// handlers.
    static ORIGINAL: AtomicI32 = AtomicI32::new(0);

    unsafe extern "C" {
        /// Registers a handler that gets the exit status (on_exit(3)).
        fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }

    extern "C" fn leave(status: c_int, _argument: *mut c_void) {
        if getpid().as_raw_nonzero().get() == ORIGINAL.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: a null pointer stands for all streams.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        // SAFETY: the call touches no memory.
        unsafe { libc::_exit(status) }
    }

    if crate::os::compiler_instrumentation::acts_at_exit() {
        return Ok(());
    }
    ORIGINAL.store(getpid().as_raw_nonzero().get(), Ordering::Relaxed);
    // SAFETY: the handler has the required type, and lives as long as the program.
    match unsafe { on_exit(leave, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

/// Does nothing: this C library does not pass the exit status to exit handlers.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn skip_inherited() -> io::Result<()> {
    Ok(())
}
