//! Reads how many connections wait to be accepted by a listening TCP socket.
#![expect(unsafe_code, reason = "getsockopt(TCP_INFO) has no safe form")]

use std::io;
use std::mem;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;

/// The beginning of the kernel's `tcp_info`. A listening socket has a meaning of its own for two of
/// the fields.
#[derive(Default)]
#[repr(C)]
struct TcpInfo {
    states_and_options: [u8; 8],
    timeouts_and_sizes: [u32; 4],
    /// The number of connections that wait to be accepted.
    waiting: u32,
    /// The backlog of the listening socket.
    backlog: u32,
}

/// Whether the backlog of the socket is full: the kernel then drops the first packet of each new
/// connection.
///
/// # Errors
///
/// When the kernel does not provide the information.
pub(crate) fn is_full(listener: &TcpListener) -> io::Result<bool> {
    let mut info = TcpInfo::default();
    let size = mem::size_of::<TcpInfo>();
    let mut length = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open. The kernel writes at most `length` bytes to `info`, which has
    // this size and accepts every value of its bytes.
    let result = unsafe {
        libc::getsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if usize::try_from(length).ok() != Some(size) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel does not provide the length of a backlog",
        ));
    }
    Ok(info.waiting > info.backlog)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn backlog_of_zero_is_full_with_one_connection() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        assert!(!is_full(&listener).unwrap());
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(is_full(&listener).unwrap());
        listener.accept().unwrap();
        assert!(!is_full(&listener).unwrap());
        drop(client);
    }
}
