//! The descriptors of a process.
#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "close_range has no safe form")
)]

/// Closes all descriptors but standard input, output and error: what the runner's caller left open, perhaps by mistake, is no
/// business of the tests. To be called before anything of this process has opened any.
#[cfg(target_os = "linux")]
pub(crate) fn close_inherited() {
    // SAFETY: nothing in this process has a descriptor of its own yet, so none is closed behind somebody's back. On a kernel that has no such call
    // nothing happens.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Elsewhere descriptors are closed when a program is executed, unless somebody went out of their way to keep them.
#[cfg(not(target_os = "linux"))]
pub(crate) fn close_inherited() {}
