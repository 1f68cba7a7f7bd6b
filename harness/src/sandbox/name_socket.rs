//! The socket and the `resolv.conf` of a name server that a test can run on its own loopback.
//!
//! Name servers have port 53, and a test has no capability to bind it. So the supervisor binds the
//! socket before it drops its capabilities, and its tests inherit the socket. While no test uses
//! the socket, it is connected to an address without a server. Queries then find no server, and
//! fail at once, as they do where no socket is bound.

use crate::os::descriptors;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{RecvFlags, connect_unspec, recv};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The path from which the C library reads the addresses of name servers.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The address of the test's own name server.
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 53);

/// An address without a server: tests cannot bind its port.
const NOWHERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 1);

/// The socket of this process, or the reason why it has none.
static SOCKET: OnceLock<Result<UdpSocket, String>> = OnceLock::new();

/// Whether a name server of this process uses the socket.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Writes the `resolv.conf` of the sandbox to the directory `slot`. Returns the file's path.
pub(super) fn write_resolv_conf(slot: &Path) -> io::Result<PathBuf> {
    let path = slot.join("resolv.conf");
    fs::write(&path, content())?;
    Ok(path)
}

/// The content of the sandbox's `resolv.conf`.
pub(super) fn content() -> String {
    format!("nameserver {}\n", SERVER.0)
}

/// Binds the socket for this process and its forks. `resolv_conf` is the reason why the sandbox has
/// no `resolv.conf` of its own, if there is a reason.
pub(super) fn bind(resolv_conf: Result<(), String>) {
    let bound = resolv_conf.and_then(|()| {
        let bind = || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind(SERVER)?;
            socket.connect(NOWHERE)?;
            Ok(socket)
        };
        bind().map_err(|error| format!("port 53 of the sandbox's loopback: {error}"))
    });
    let _ = SOCKET.set(bound);
}

/// Opens the socket of the test's own name server. Queries reach the socket from now on.
///
/// # Errors
///
/// The reason why there is no such socket. Also the error of the system, or an error if the socket
/// is open.
pub(crate) fn open() -> io::Result<Result<UdpSocket, String>> {
    match SOCKET.get() {
        Some(Ok(socket)) => {
            if IS_OPEN.swap(true, Ordering::Relaxed) {
                return Err(io::Error::other("the test has a resolver already"));
            }
            let socket = socket.try_clone()?;
            connect_unspec(&socket)?;
            Ok(Ok(socket))
        }
        Some(Err(reason)) => Ok(Err(reason.clone())),
        None => Ok(Err(
            "the test runs outside of the sandbox's network and mount namespaces".to_owned(),
        )),
    }
}

/// Makes the socket unreachable again, and discards its queries.
pub(crate) fn close() -> io::Result<()> {
    let Some(Ok(socket)) = SOCKET.get() else {
        return Ok(());
    };
    IS_OPEN.store(false, Ordering::Relaxed);
    socket.connect(NOWHERE)?;
    while recv(
        socket,
        &mut [0_u8; 1],
        RecvFlags::DONTWAIT | RecvFlags::TRUNC,
    )
    .is_ok()
    {}
    Ok(())
}

/// Lets the programs that `start` starts inherit the socket. `start` gets the number of the socket,
/// or the reason why there is none.
pub(crate) fn inherited_by<T>(start: impl FnOnce(Result<i32, String>) -> T) -> io::Result<T> {
    let socket = match SOCKET.get() {
        Some(Ok(socket)) => socket,
        Some(Err(reason)) => return Ok(start(Err(reason.clone()))),
        None => return Ok(start(Err(String::new()))),
    };
    fcntl_setfd(socket, FdFlags::empty())?;
    let started = start(Ok(socket.as_raw_fd()));
    fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    Ok(started)
}

/// Takes the socket with this number, which the supervisor has left open for this process.
///
/// # Errors
///
/// When the number is not the number of the socket.
pub(crate) fn inherit(number: Result<i32, String>) -> io::Result<()> {
    let socket = match number {
        Ok(number) => Ok(descriptors::inherit(number)?),
        Err(reason) if reason.is_empty() => return Ok(()),
        Err(reason) => Err(reason),
    };
    if let Ok(socket) = &socket {
        fcntl_setfd(socket, FdFlags::CLOEXEC)?;
        if socket.local_addr()? != SocketAddr::from(SERVER) {
            return Err(io::Error::other("the inherited socket has another address"));
        }
    }
    let _ = SOCKET.set(socket);
    Ok(())
}
