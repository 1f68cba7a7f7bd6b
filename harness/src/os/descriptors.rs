//! The descriptors of this process.
#![cfg_attr(
    target_os = "linux",
    expect(
        unsafe_code,
        reason = "close_range, poll of a closed descriptor, and inheriting one have no safe form"
    )
)]

#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::net::UdpSocket;
#[cfg(target_os = "linux")]
use std::os::fd::FromRawFd as _;

/// Closes all descriptors except standard input, output and error.
///
/// Call this function before this process opens a descriptor of its own.
// The runner's caller can leave descriptors open by mistake. Tests must not inherit them.
#[cfg(target_os = "linux")]
pub(crate) fn close_inherited() {
    // SAFETY: this process has no descriptor of its own yet, so no owner loses a descriptor. On a
    // kernel without `close_range`, the call fails and closes nothing.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Takes the inherited socket with this number. Call this function only for a descriptor that the
/// parent has left open for this process, and only once.
///
/// # Errors
///
/// When the descriptor is not open.
#[cfg(target_os = "linux")]
pub(crate) fn inherit(number: i32) -> io::Result<UdpSocket> {
    // SAFETY: the call only checks whether the descriptor is open.
    if number < 0 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open. Nothing else in this process owns it, since the parent has
    // opened it and the caller takes it once.
    Ok(unsafe { UdpSocket::from_raw_fd(number) })
}

/// Gives the numbers of all open descriptors below `limit`. Returns `None` if the system call
/// fails.
#[cfg(target_os = "linux")]
pub(crate) fn open_below(limit: u16) -> Option<Vec<u32>> {
    let mut polled: Vec<libc::pollfd> = (0..limit)
        .map(|number| libc::pollfd {
            fd: number.into(),
            events: 0,
            revents: 0,
        })
        .collect();
    // SAFETY: the pointer points to `limit` structs, which outlive the call. The call changes no
    // descriptor, whether open or closed.
    let answered = unsafe { libc::poll(polled.as_mut_ptr(), limit.into(), 0) };
    let open = (0..limit)
        .zip(&polled)
        .filter(|(_, answer)| answer.revents & libc::POLLNVAL == 0)
        .map(|(number, _)| number.into());
    (answered >= 0).then(|| open.collect())
}

/// Does nothing. On systems other than Linux, the execution of a program closes all descriptors
/// except those that the caller keeps open.
#[cfg(not(target_os = "linux"))]
pub(crate) fn close_inherited() {}
