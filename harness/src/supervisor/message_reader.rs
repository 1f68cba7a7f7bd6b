//! Reads the runner's messages from standard input.

use crate::supervisor::protocol::RunnerMessage;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, read};
use std::io;

/// The minimum free space in the buffer before a read, in bytes. Most messages fit in this space.
const READ_SIZE: usize = 1024;

/// A reader of messages. Keeps the bytes that have been read but not parsed.
//
// A `BufReader` over `Stdin` would not suffice: it cannot tell whether its buffer holds a complete
// line.
#[derive(Debug, Default)]
pub(super) struct MessageReader {
    unread: Vec<u8>,
}

impl MessageReader {
    /// Waits for the next message. Returns `None` when standard input is closed: the runner has
    /// died.
    pub(super) fn next(&mut self) -> io::Result<Option<RunnerMessage>> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let message = serde_json::from_slice(&self.unread[..end])?;
                self.unread.drain(..=end);
                return Ok(Some(message));
            }
            self.unread.reserve(READ_SIZE);
            match read(rustix::stdio::stdin(), spare_capacity(&mut self.unread)) {
                Ok(0) => return Ok(None),
                Ok(_length) => {}
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether a complete message is buffered.
    pub(super) fn has_next(&self) -> bool {
        self.unread.contains(&b'\n')
    }
}
