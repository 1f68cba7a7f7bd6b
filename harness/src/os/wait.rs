//! Waits for a child, and returns the child's resource usage.
#![expect(unsafe_code, reason = "wait4 has no safe form")]

use rustix::process::Pid;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// Waits for a child of this process. Gives the child's status and its resource usage. The usage
/// includes the child's own children, if the child has waited for them.
///
/// # Errors
///
/// When this process has no such child.
pub(crate) fn wait_with_usage(child: Pid) -> io::Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers point to memory of the right type, which outlives the call.
        let reaped = unsafe {
            libc::wait4(
                child.as_raw_nonzero().get(),
                &raw mut status,
                0,
                usage.as_mut_ptr(),
            )
        };
        if reaped > 0 {
            // SAFETY: all zeros are a valid `rusage`, and the call has filled it in.
            let usage = unsafe { usage.assume_init() };
            return Ok((ExitStatus::from_raw(status), usage));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
