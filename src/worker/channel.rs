//! A channel for the runs of one slot: a socket for small messages, and shared memory for large
//! ones.
//!
//! A message has a header of 9 bytes: its place and its length. A small message follows its header
//! on the socket. A large one is at the start of the shared memory.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use super::shared_memory;

/// The largest message on the socket, in bytes.
// A copy through the socket's buffers costs more than two system calls from here on.
const MAX_SMALL: usize = 64 << 10;

/// Shared memory above this size is freed after each message.
const MAX_KEPT: u64 = 4 << 20;

const HEADER: usize = 9;
const ON_SOCKET: u8 = 0;
const IN_MEMORY: u8 = 1;

/// One end of a channel. Both ends hold the same shared memory.
#[derive(Debug)]
pub(super) struct Channel {
    socket: UnixStream,
    memory: File,
    /// The header and the bytes of small messages.
    buffer: Vec<u8>,
}

impl Channel {
    pub(super) fn new(socket: UnixStream, memory: File) -> Self {
        Self {
            socket,
            memory,
            buffer: Vec::new(),
        }
    }

    /// Makes a channel, and the socket and the memory for its other end.
    pub(super) fn pair() -> io::Result<(Self, UnixStream, File)> {
        let (near, far) = UnixStream::pair()?;
        let memory = shared_memory::create("clarity-tensors")?;
        let channel = Self::new(near, memory.try_clone()?);
        Ok((channel, far, memory))
    }

    /// Sends a message. The other end must have read the message before.
    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let is_small = message.len() <= MAX_SMALL;
        let place = if is_small { ON_SOCKET } else { IN_MEMORY };
        self.buffer.clear();
        self.buffer.push(place);
        self.buffer.extend((message.len() as u64).to_le_bytes());
        if is_small {
            self.buffer.extend_from_slice(message);
        } else {
            self.memory.write_all_at(message, 0)?;
        }
        self.socket.write_all(&self.buffer)
    }

    /// Receives a message of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the other end is closed, and `InvalidData` when the message is
    /// malformed.
    // The other end is not trusted: it can send any header, and change the memory at any time.
    pub(super) fn receive(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let buffer = &mut self.buffer;
        buffer.resize(HEADER + MAX_SMALL, 0);
        let mut filled = 0;
        while filled < HEADER {
            filled += read(&self.socket, &mut buffer[filled..])?;
        }
        let mut length = [0; 8];
        length.copy_from_slice(&buffer[1..HEADER]);
        let length = u64::from_le_bytes(length);
        let invalid = || io::Error::new(ErrorKind::InvalidData, "a malformed message");
        if length > most {
            return Err(invalid());
        }
        let size = usize::try_from(length).map_err(|_| invalid())?;
        match buffer[0] {
            ON_SOCKET if size <= MAX_SMALL => {
                while filled < HEADER + size {
                    filled += read(&self.socket, &mut buffer[filled..])?;
                }
                match filled == HEADER + size {
                    true => Ok(buffer[HEADER..filled].to_vec()),
                    false => Err(invalid()),
                }
            }
            IN_MEMORY if filled == HEADER && length <= self.memory.metadata()?.len() => {
                let mut message = vec![0; size];
                self.memory.read_exact_at(&mut message, 0)?;
                Ok(message)
            }
            _ => Err(invalid()),
        }
    }

    /// Frees shared memory that a large message has left.
    pub(super) fn trim(&self) {
        // An error is ignored: the memory is freed with the worker.
        let is_large = self
            .memory
            .metadata()
            .is_ok_and(|file| file.len() > MAX_KEPT);
        let _ = is_large.then(|| self.memory.set_len(0));
    }
}

/// Reads at least one byte.
fn read(mut socket: &UnixStream, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(to) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_all_sizes_arrive() {
        let (mut near, far, memory) = Channel::pair().unwrap();
        let mut far = Channel::new(far, memory);
        for size in [0, 1, MAX_SMALL, MAX_SMALL + 1, 5 << 20, 3] {
            let message: Vec<u8> = (0..size).map(|place| place as u8).collect();
            std::thread::scope(|scope| {
                scope.spawn(|| near.send(&message).unwrap());
                assert!(far.receive(u64::MAX).unwrap() == message, "{size}");
            });
            far.trim();
        }
        assert!(far.memory.metadata().unwrap().len() <= MAX_KEPT);
        drop(near);
        let error = far.receive(u64::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn malformed_headers_are_refused() {
        let header = |place: u8, length: u64| [&[place][..], &length.to_le_bytes()].concat();
        for bytes in [
            header(2, 1),
            header(ON_SOCKET, 1 << 20),
            header(IN_MEMORY, 1 << 40),
            header(IN_MEMORY, 1),
            header(ON_SOCKET, u64::MAX),
            [header(ON_SOCKET, 1), vec![1, 2]].concat(),
        ] {
            let (mut near, mut far, _) = Channel::pair().unwrap();
            far.write_all(&bytes).unwrap();
            let error = near.receive(u64::MAX).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{bytes:?}");
        }
    }
}
