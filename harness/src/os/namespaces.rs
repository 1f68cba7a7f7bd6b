//! Wraps the system calls with which the sandbox changes namespaces, mounts and network interfaces.
#![expect(
    unsafe_code,
    reason = "unshare, mount_setattr and an ioctl have no safe form"
)]

use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::io;
use std::mem;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Moves this process to new namespaces of the kinds in `flags`.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: the only danger is to unshare the descriptor table while other threads use it. The
    // flags leave the descriptor table shared.
    unsafe { rustix::thread::unshare_unsafe(flags) }?;
    Ok(())
}

/// Makes the mount at `path`, and all mounts below it, read-only if `read_only` is true. Otherwise
/// makes the mount at `path` writable again, but not the mounts below it.
pub(crate) fn set_read_only(path: &Path, read_only: bool) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = libc::mount_attr {
        attr_set: if read_only {
            libc::MOUNT_ATTR_RDONLY
        } else {
            0
        },
        attr_clr: if read_only {
            0
        } else {
            libc::MOUNT_ATTR_RDONLY
        },
        propagation: 0,
        userns_fd: 0,
    };
    let flags = if read_only { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `path` is a C string, and the passed size is the size of `attributes`. The path and
    // the attributes outlive the call, which only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            mem::size_of::<libc::mount_attr>(),
        )
    };
    checked(result)
}

/// Brings up the loopback interface of this network namespace.
pub(crate) fn bring_up_loopback() -> io::Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(c"lo".to_bytes()) {
        *to = libc::c_char::try_from(*from).map_err(io::Error::other)?;
    }
    let flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    // SAFETY: the descriptor is open. The request is a whole `ifreq`, and the interface's name in
    // it ends with a zero. The call only reads the request.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    checked(result.into())
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
