//! Stops this process as a shell's job, and continues it.
#![expect(unsafe_code, reason = "sigaction and raise have no safe form")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Stops this process by the default action of `SIGTSTP`. Returns when the process continues.
///
/// The kernel does not stop a process whose process group is orphaned: no shell could continue it.
/// This function then returns at once.
///
/// # Errors
///
/// When the system refuses to change the action of the signal.
pub(crate) fn stop() -> io::Result<()> {
    let mut handler = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeros are a valid `sigaction`, with the default action and an empty mask.
    let default = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    // SAFETY: both pointers point to values of the right type, which outlive the calls. The default
    // action runs no code of ours. The last call restores the action that the first call returned.
    unsafe {
        if libc::sigaction(libc::SIGTSTP, &raw const default, handler.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        // The signal goes to this thread and stops the whole process before `raise` returns.
        libc::raise(libc::SIGTSTP);
        if libc::sigaction(libc::SIGTSTP, handler.as_ptr(), ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
