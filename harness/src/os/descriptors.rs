//! The descriptors of a process.
#![cfg_attr(
    target_os = "linux",
    expect(
        unsafe_code,
        reason = "close_range, and poll of what may not be open, have no safe form"
    )
)]

/// Closes all descriptors but standard input, output and error: what the runner's caller left open, perhaps by mistake, is no
/// business of the tests. To be called before anything of this process has opened any.
#[cfg(target_os = "linux")]
pub(crate) fn close_inherited() {
    // SAFETY: nothing in this process has a descriptor of its own yet, so none is closed behind somebody's back. On a kernel that has no such call
    // nothing happens.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// The numbers below `limit` that are open; unknown when the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn open_below(limit: u16) -> Option<Vec<u32>> {
    let mut asked: Vec<libc::pollfd> = (0..limit)
        .map(|number| libc::pollfd {
            fd: number.into(),
            events: 0,
            revents: 0,
        })
        .collect();
    // SAFETY: the pointer is to as many structs as it says, which outlive the call. Nothing is done with the descriptors, open or not.
    let answered = unsafe { libc::poll(asked.as_mut_ptr(), limit.into(), 0) };
    let open = (0..limit)
        .zip(&asked)
        .filter(|(_, answer)| answer.revents & libc::POLLNVAL == 0)
        .map(|(number, _)| number.into());
    (answered >= 0).then(|| open.collect())
}

/// Elsewhere descriptors are closed when a program is executed, unless somebody went out of their way to keep them.
#[cfg(not(target_os = "linux"))]
pub(crate) fn close_inherited() {}
