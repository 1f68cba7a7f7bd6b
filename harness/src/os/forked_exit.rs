//! How a fork of a supervisor exits.
//!
//! At the end of a program the C library calls what was registered for it, in reverse order: first what the test has registered, then what stood in
//! the program before, such as the destructors of its shared libraries. The latter is not a fork's to do, which is why fork(2) leaves children to
//! `_exit`; and it costs an empty test 7 % of all that it costs, most of it pages that nothing else touches.
#![expect(unsafe_code, reason = "a handler of the C library")]

use std::io;

/// Lets forks of this process that exit do what they have registered for it themselves, and write what C code has printed, and no more.
/// Where a compiler has added something to the program that must act then, or there is no such handler, all is done.
///
/// # Errors
///
/// When the C library has no room for another handler.
#[cfg(target_env = "gnu")]
pub(crate) fn shorten() -> io::Result<()> {
    use rustix::process::getpid;
    use std::ffi::{c_int, c_void};
    use std::sync::atomic::{AtomicI32, Ordering};

    /// The process that does all.
    static ORIGINAL: AtomicI32 = AtomicI32::new(0);

    unsafe extern "C" {
        /// Registers a handler that is told the exit status, see on_exit(3).
        fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }

    extern "C" fn leave(status: c_int, _argument: *mut c_void) {
        if getpid().as_raw_nonzero().get() == ORIGINAL.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: without a stream all are meant.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        // SAFETY: touches no memory.
        unsafe { libc::_exit(status) }
    }

    if crate::os::instrumentation::acts_at_exit() {
        return Ok(());
    }
    ORIGINAL.store(getpid().as_raw_nonzero().get(), Ordering::Relaxed);
    // SAFETY: the handler has the type that is asked for, and lives as long as the program.
    match unsafe { on_exit(leave, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

/// Changes nothing: this C library has no handler that is told the exit status.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn shorten() -> io::Result<()> {
    Ok(())
}
