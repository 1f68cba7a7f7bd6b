//! The bytes that a link delivers for the bytes that it has received.

use super::chunk_queue::Chunk;
use super::condition::{Arrival, ConditionId};
use std::time::Duration;

/// The bytes to deliver, in chunks of equal delays.
#[derive(Debug)]
pub(super) struct RelayedBytes {
    arrival: Arrival,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// The delays in addition to those of the arrival.
    delays: Vec<(ConditionId, Duration)>,
    closes: bool,
}

impl RelayedBytes {
    pub(super) fn new(arrival: Arrival) -> Self {
        Self {
            arrival,
            pieces: Vec::new(),
        }
    }

    /// Appends bytes with these additional delays.
    pub(super) fn push(&mut self, bytes: &[u8], delays: &[(ConditionId, Duration)]) {
        if bytes.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(last) if last.delays == delays => last.bytes.extend_from_slice(bytes),
            _ => self.pieces.push(Piece {
                bytes: bytes.to_vec(),
                delays: delays.to_vec(),
                closes: false,
            }),
        }
    }

    /// Ends the stream of this direction. If `closes`, ends the whole connection.
    pub(super) fn end(&mut self, closes: bool) {
        self.pieces.push(Piece {
            bytes: Vec::new(),
            delays: Vec::new(),
            closes,
        });
    }

    pub(super) fn into_chunks(self) -> impl Iterator<Item = Chunk> {
        let Self { arrival, pieces } = self;
        pieces.into_iter().map(move |piece| Chunk {
            arrival: arrival.delayed(&piece.delays),
            bytes: piece.bytes,
            closes: piece.closes,
        })
    }
}
