//! Lists the sockets that are registered in an epoll instance of this process.
#![cfg_attr(
    target_os = "linux",
    expect(
        unsafe_code,
        reason = "borrowing a descriptor by number has no safe form"
    )
)]

/// A socket that is registered in an epoll instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EpollSocket {
    inode: u64,
    /// The number of bytes that can be read. Of a datagram socket, those of the next datagram.
    /// Zero for listening sockets.
    pub(crate) unread_bytes: u64,
}

impl EpollSocket {
    /// Whether both are the same socket, with any number of unread bytes.
    pub(crate) fn is_same_socket(&self, other: &Self) -> bool {
        self.inode == other.inode
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{instances, sockets};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{instances, sockets};

#[cfg(target_os = "linux")]
mod linux {
    use super::EpollSocket;
    use crate::os::proc_text::read_lossy;
    use crate::os::sockets;
    use rustix::fs::{FileType, fstat};
    use rustix::io::ioctl_fionread;
    use std::fs;
    use std::io;
    use std::os::fd::BorrowedFd;

    /// Lists the descriptors of this process that lead to epoll instances.
    ///
    /// # Errors
    ///
    /// When `/proc` is missing.
    pub(crate) fn instances() -> io::Result<Vec<i32>> {
        let entries = fs::read_dir("/proc/self/fd")?.flatten();
        let epolls = entries.filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            (target.to_str() == Some("anon_inode:[eventpoll]")).then_some(number)
        });
        Ok(epolls.collect())
    }

    /// Lists the sockets that are registered in the epoll instance with this descriptor.
    ///
    /// # Errors
    ///
    /// When the descriptor leads to no epoll instance, or the kernel does not list what is
    /// registered.
    ///
    /// Source: [the files in `fdinfo`](https://docs.kernel.org/filesystems/proc.html#proc-pid-fdinfo-information-about-opened-file).
    pub(crate) fn sockets(epoll: i32) -> io::Result<Vec<EpollSocket>> {
        let text = read_lossy(format!("/proc/self/fdinfo/{epoll}"))?;
        let mut registered = text.lines().filter_map(registration).peekable();
        if registered.peek().is_none() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(registered
            .filter_map(|(descriptor, inode)| socket(descriptor, inode))
            .collect())
    }

    /// Parses a line such as `tfd: 5 events: 19 data: 7f00 pos:0 ino:124b1af sdev:9`. Gives the
    /// number of the descriptor and of its inode.
    fn registration(line: &str) -> Option<(i32, u64)> {
        let mut words = line.strip_prefix("tfd:")?.split_whitespace();
        let descriptor = words.next()?.parse().ok()?;
        let inode = words.find_map(|word| word.strip_prefix("ino:"))?;
        Some((descriptor, u64::from_str_radix(inode, 16).ok()?))
    }

    /// Looks at a registered descriptor. Returns `None` if it is no socket, or if its number leads
    /// to another file since.
    fn socket(descriptor: i32, inode: u64) -> Option<EpollSocket> {
        if descriptor < 0 {
            return None;
        }
        // SAFETY: the number is not -1. Both calls below only read, and they fail if the descriptor
        // is closed. If it leads to another file since, the inode differs.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let status = fstat(borrowed).ok()?;
        let is_socket = FileType::from_raw_mode(status.st_mode) == FileType::Socket;
        (is_socket && status.st_ino == inode).then(|| EpollSocket {
            inode,
            unread_bytes: ioctl_fionread(borrowed).unwrap_or(0),
        })
    }

    impl EpollSocket {
        /// Describes the socket, with its addresses if they are known.
        pub(crate) fn describe(&self) -> String {
            sockets::describe(&format!("socket:[{}]", self.inode))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create};
        use std::io::{Read as _, Write as _};
        use std::os::fd::AsRawFd as _;
        use std::os::unix::net::UnixStream;

        #[test]
        fn registered_socket_is_listed_with_its_unread_bytes() {
            let epoll = create(CreateFlags::CLOEXEC).unwrap();
            let (mut here, mut there) = UnixStream::pair().unwrap();
            let (reader, _writer) = std::io::pipe().unwrap();
            assert!(sockets(epoll.as_raw_fd()).is_err());
            add(&epoll, &reader, EventData::new_u64(1), EventFlags::IN).unwrap();
            assert_eq!(sockets(epoll.as_raw_fd()).unwrap(), []);
            add(&epoll, &here, EventData::new_u64(2), EventFlags::IN).unwrap();
            assert!(instances().unwrap().contains(&epoll.as_raw_fd()));

            there.write_all(b"bytes").unwrap();
            let [socket] = &sockets(epoll.as_raw_fd()).unwrap()[..] else {
                panic!("expected one socket");
            };
            assert_eq!(socket.unread_bytes, 5);
            assert!(socket.describe().ends_with(", unix, unnamed"));
            here.read_exact(&mut [0; 5]).unwrap();
            let [after] = &sockets(epoll.as_raw_fd()).unwrap()[..] else {
                panic!("expected one socket");
            };
            assert!(after.is_same_socket(socket));
            assert_eq!(after.unread_bytes, 0);
        }

        #[test]
        fn descriptor_that_is_no_epoll_is_an_error() {
            let (socket, _other) = UnixStream::pair().unwrap();
            assert!(sockets(socket.as_raw_fd()).is_err());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use super::EpollSocket;
    use std::io;

    /// Lists nothing: this system has no epoll.
    ///
    /// # Errors
    ///
    /// Never.
    pub(crate) fn instances() -> io::Result<Vec<i32>> {
        Ok(Vec::new())
    }

    /// Returns an error: this system has no epoll.
    pub(crate) fn sockets(_epoll: i32) -> io::Result<Vec<EpollSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    impl EpollSocket {
        /// Describes the socket by its number.
        pub(crate) fn describe(&self) -> String {
            format!("socket:[{}]", self.inode)
        }
    }
}
