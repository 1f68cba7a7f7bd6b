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
pub(crate) use linux::{EpollSockets, instances};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{EpollSockets, instances};

#[cfg(target_os = "linux")]
mod linux {
    use super::EpollSocket;
    use crate::os::sockets;
    use rustix::fs::{FileType, fstat};
    use rustix::io::ioctl_fionread;
    use std::fs::{self, File};
    use std::io::{self, Read as _};
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

    /// The sockets of one epoll instance, without those that were registered first.
    pub(crate) struct EpollSockets {
        /// The file in which the kernel lists the registered descriptors.
        path: String,
        /// The content of that file at the last look.
        text: Vec<u8>,
        /// The descriptors in `text`, each with its inode.
        registered: Vec<Registration>,
        first: Vec<Registration>,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Registration {
        descriptor: i32,
        inode: u64,
    }

    impl EpollSockets {
        /// Looks at the epoll instance with this descriptor. What is registered now is left out of
        /// later lists.
        ///
        /// # Errors
        ///
        /// When the kernel does not list the registered descriptors, or none is registered.
        pub(crate) fn of(epoll: i32) -> io::Result<Self> {
            let mut sockets = Self {
                path: format!("/proc/self/fdinfo/{epoll}"),
                text: Vec::new(),
                registered: Vec::new(),
                first: Vec::new(),
            };
            sockets.update()?;
            sockets.first = std::mem::take(&mut sockets.registered);
            Ok(sockets)
        }

        /// Lists the sockets, each with its unread bytes.
        ///
        /// # Errors
        ///
        /// When the descriptor does not lead to the epoll instance since.
        pub(crate) fn list(&mut self) -> io::Result<Vec<EpollSocket>> {
            self.update()?;
            let registered = self.registered.iter().copied();
            Ok(registered.filter_map(Registration::socket).collect())
        }

        /// Reads the registered descriptors, in the format of
        /// [fdinfo](https://docs.kernel.org/filesystems/proc.html), section 3.8.
        // A paused clock can advance very often, and most advances find the same text.
        fn update(&mut self) -> io::Result<()> {
            let mut file = File::open(&self.path)?;
            let mut buffer = [0; 4096];
            let length = file.read(&mut buffer)?;
            if length < buffer.len() && buffer[..length] == self.text {
                return Ok(());
            }
            self.text = buffer[..length].to_owned();
            file.read_to_end(&mut self.text)?;
            let text = String::from_utf8_lossy(&self.text);
            let all: Vec<Registration> = text.lines().filter_map(Registration::parse).collect();
            if all.is_empty() {
                self.text.clear();
                return Err(io::ErrorKind::Unsupported.into());
            }
            let is_first = |one: &Registration| self.first.contains(one);
            self.registered = all.into_iter().filter(|one| !is_first(one)).collect();
            Ok(())
        }
    }

    impl Registration {
        /// Parses a line such as `tfd: 5 events: 19 data: 7f00 pos:0 ino:124b1af sdev:9`.
        fn parse(line: &str) -> Option<Self> {
            let mut words = line.strip_prefix("tfd:")?.split_whitespace();
            let descriptor = words.next()?.parse().ok()?;
            let inode = words.find_map(|word| word.strip_prefix("ino:"))?;
            Some(Self {
                descriptor,
                inode: u64::from_str_radix(inode, 16).ok()?,
            })
        }

        /// Looks at the descriptor. Returns `None` if it leads to no socket, or to another file
        /// than the registered one.
        fn socket(self) -> Option<EpollSocket> {
            if self.descriptor < 0 {
                return None;
            }
            // SAFETY: the number is not -1. Both calls below only read, and they fail if the
            // descriptor is closed.
            let descriptor = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
            let status = fstat(descriptor).ok()?;
            let is_socket = FileType::from_raw_mode(status.st_mode) == FileType::Socket;
            (is_socket && status.st_ino == self.inode).then(|| EpollSocket {
                inode: self.inode,
                unread_bytes: ioctl_fionread(descriptor).unwrap_or(0),
            })
        }
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
        use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create, delete};
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;
        use std::os::unix::net::UnixStream;

        #[test]
        fn registered_socket_is_listed_with_its_unread_bytes() {
            let epoll = create(CreateFlags::CLOEXEC).unwrap();
            assert!(instances().unwrap().contains(&epoll.as_raw_fd()));
            assert!(EpollSockets::of(epoll.as_raw_fd()).is_err());
            let (first, _other) = UnixStream::pair().unwrap();
            let (mut here, mut there) = UnixStream::pair().unwrap();
            let (reader, _writer) = std::io::pipe().unwrap();
            add(&epoll, &first, EventData::new_u64(1), EventFlags::IN).unwrap();
            let mut sockets = EpollSockets::of(epoll.as_raw_fd()).unwrap();
            add(&epoll, &reader, EventData::new_u64(2), EventFlags::IN).unwrap();
            assert_eq!(sockets.list().unwrap(), []);

            add(&epoll, &here, EventData::new_u64(3), EventFlags::IN).unwrap();
            there.write_all(b"bytes").unwrap();
            let [socket] = &sockets.list().unwrap()[..] else {
                panic!("expected one socket");
            };
            assert_eq!(socket.unread_bytes, 5);
            assert!(socket.describe().ends_with(", unix, unnamed"));
            here.read_exact(&mut [0; 5]).unwrap();
            let [after] = &sockets.list().unwrap()[..] else {
                panic!("expected one socket");
            };
            assert!(after.is_same_socket(socket));
            assert_eq!(after.unread_bytes, 0);
            delete(&epoll, &here).unwrap();
            assert_eq!(sockets.list().unwrap(), []);
        }

        #[test]
        fn more_sockets_than_fit_into_one_read_are_all_listed() {
            let epoll = create(CreateFlags::CLOEXEC).unwrap();
            let (first, _other) = UnixStream::pair().unwrap();
            add(&epoll, &first, EventData::new_u64(0), EventFlags::IN).unwrap();
            let mut sockets = EpollSockets::of(epoll.as_raw_fd()).unwrap();
            let pairs: Vec<_> = (0..100).map(|_| UnixStream::pair().unwrap()).collect();
            for (here, _) in &pairs {
                add(&epoll, here, EventData::new_u64(1), EventFlags::IN).unwrap();
            }
            assert_eq!(sockets.list().unwrap().len(), 100);
            assert_eq!(sockets.list().unwrap().len(), 100);
        }

        #[test]
        fn descriptor_that_is_no_epoll_is_an_error() {
            let (socket, _other) = UnixStream::pair().unwrap();
            assert!(EpollSockets::of(socket.as_raw_fd()).is_err());
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

    /// The sockets of an epoll instance, which this system does not have.
    pub(crate) struct EpollSockets;

    impl EpollSockets {
        /// Returns an error: this system has no epoll.
        pub(crate) fn of(_epoll: i32) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Returns an error: this system has no epoll.
        pub(crate) fn list(&mut self) -> io::Result<Vec<EpollSocket>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    impl EpollSocket {
        /// Describes the socket by its number.
        pub(crate) fn describe(&self) -> String {
            format!("socket:[{}]", self.inode)
        }
    }
}
