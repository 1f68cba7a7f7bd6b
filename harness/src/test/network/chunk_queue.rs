//! The bytes that a link has received in one direction of a connection, and not yet sent.

use super::condition::Arrival;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The number of waiting bytes at which the receiving thread waits.
const CAPACITY: usize = 1 << 20;

/// The number of bytes that each chunk counts in addition to its own bytes.
// Each chunk takes memory besides its bytes. This keeps that of many small chunks below the limit.
const OVERHEAD: usize = 64;

/// Bytes that a link delivers. A chunk without bytes is the end of the stream.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) arrival: Arrival,
    pub(super) bytes: Vec<u8>,
    /// Whether the end of the stream ends the whole connection.
    pub(super) closes: bool,
}

/// A queue of chunks between the receiving and the sending thread of a direction.
#[derive(Debug, Default)]
pub(super) struct ChunkQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    chunks: VecDeque<Chunk>,
    size: usize,
    is_closed: bool,
}

impl ChunkQueue {
    /// Waits until there is room. Returns `false` if the queue is closed.
    pub(super) fn wait_for_room(&self) -> bool {
        let mut state = self.state();
        while state.size >= CAPACITY && !state.is_closed {
            state = self.wait(state);
        }
        !state.is_closed
    }

    /// Appends chunks, without a wait for room. Drops them if the queue is closed.
    pub(super) fn append(&self, chunks: impl Iterator<Item = Chunk>) {
        let mut state = self.state();
        if state.is_closed {
            return;
        }
        for chunk in chunks {
            state.size += chunk.bytes.len() + OVERHEAD;
            state.chunks.push_back(chunk);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes the next chunk, as soon as there is one. Returns `None` if the queue is closed.
    pub(super) fn pop(&self) -> Option<Chunk> {
        let mut state = self.state();
        while state.chunks.is_empty() && !state.is_closed {
            state = self.wait(state);
        }
        let chunk = state.chunks.pop_front()?;
        state.size -= chunk.bytes.len() + OVERHEAD;
        drop(state);
        self.changed.notify_all();
        Some(chunk)
    }

    /// Ends the waits of both threads. Discards the waiting chunks.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.chunks.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, QueueState>) -> MutexGuard<'a, QueueState> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}
