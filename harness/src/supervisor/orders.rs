//! The runner's orders, from standard input.

use crate::supervisor::protocol::Order;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, read};
use std::io;

/// How much is asked for at once, in bytes: most orders.
const ROOM: usize = 1024;

/// What was read and not yet obeyed. Not the standard library's buffer, which does not tell whether there is something in it.
#[derive(Debug, Default)]
pub(super) struct Orders {
    unread: Vec<u8>,
}

impl Orders {
    /// The next order, waiting for it; none when there will be no more: the runner is gone.
    pub(super) fn next(&mut self) -> io::Result<Option<Order>> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let order = serde_json::from_slice(&self.unread[..end])?;
                self.unread.drain(..=end);
                return Ok(Some(order));
            }
            self.unread.reserve(ROOM);
            match read(rustix::stdio::stdin(), spare_capacity(&mut self.unread)) {
                Ok(0) => return Ok(None),
                Ok(_length) => {}
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether there is an order that needs no waiting.
    pub(super) fn has_next(&self) -> bool {
        self.unread.contains(&b'\n')
    }
}
