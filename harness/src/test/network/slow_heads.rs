//! The delays of the heads of messages in one direction of a connection.

use super::condition::{ConditionId, Conditions};
use super::direction::Direction;
use super::http::{HeadPiece, HttpCondition};
use super::relayed_bytes::RelayedBytes;
use std::time::{Duration, Instant};

/// The faults that delay heads in one direction of a connection.
#[derive(Debug, Default)]
pub(super) struct SlowHeads {
    slow: Vec<SlowHead>,
    is_drawn: bool,
    is_inside_line: bool,
}

#[derive(Debug)]
struct SlowHead {
    id: ConditionId,
    delay: Duration,
    piece: HeadPiece,
    /// The time at which the last piece is due.
    due: Instant,
    /// Whether the fault acts on the present message.
    acts: bool,
}

impl SlowHeads {
    /// Appends bytes of a head, each piece with its delay.
    pub(super) fn push(
        &mut self,
        direction: Direction,
        conditions: &Conditions,
        bytes: &[u8],
        output: &mut RelayedBytes,
    ) {
        if !self.is_drawn {
            self.draw(direction, conditions);
        }
        if !self.slow.iter().any(|slow| slow.acts) {
            output.push(bytes, &[]);
            return;
        }
        let now = Instant::now();
        for byte in bytes {
            let mut delays = Vec::new();
            for slow in self.slow.iter_mut().filter(|slow| slow.acts) {
                if slow.piece == HeadPiece::Byte || !self.is_inside_line {
                    slow.due = slow.due.max(now) + slow.delay;
                }
                delays.push((slow.id, slow.due.saturating_duration_since(now)));
            }
            self.is_inside_line = *byte != b'\n';
            output.push(&[*byte], &delays);
        }
    }

    /// Ends the present message. The heads of the next message are drawn anew.
    pub(super) fn end_message(&mut self) {
        self.is_drawn = false;
        self.is_inside_line = false;
    }

    /// Draws whether each fault in effect acts on the message that begins now.
    fn draw(&mut self, direction: Direction, conditions: &Conditions) {
        self.is_drawn = true;
        let before = std::mem::take(&mut self.slow);
        conditions.each_http(|id, condition| {
            if let HttpCondition::SlowHead {
                choice,
                delay,
                piece,
            } = condition
            {
                let earlier = before.iter().find(|slow| slow.id == id);
                self.slow.push(SlowHead {
                    id,
                    delay: *delay,
                    piece: *piece,
                    due: earlier.map_or_else(Instant::now, |slow| slow.due),
                    acts: choice.draw(direction),
                });
            }
        });
    }
}
