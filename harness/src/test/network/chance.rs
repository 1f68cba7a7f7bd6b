//! The chance with which a fault affects a datagram.

use super::direction::Direction;
use crate::test::random::rng;
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// The chance of each datagram in one or both directions. Each direction has draws of its own.
#[derive(Debug)]
pub(crate) struct Chance {
    direction: Direction,
    percent: u8,
    to_server: Box<ChaCha8Rng>,
    to_client: Box<ChaCha8Rng>,
}

impl Chance {
    pub(crate) fn new(direction: Direction, percent: u8, seed: u64) -> Self {
        let seed = Seed::new(seed);
        Self {
            direction,
            percent,
            to_server: Box::new(rng(seed.child("direction", "to_server"))),
            to_client: Box::new(rng(seed.child("direction", "to_client"))),
        }
    }

    /// Whether the chance is one of this direction.
    pub(super) fn covers(&self, direction: Direction) -> bool {
        self.direction.covers(direction)
    }

    /// Draws whether the fault affects the next datagram in this direction.
    pub(super) fn draw(&mut self, direction: Direction) -> bool {
        let is_covered = self.covers(direction);
        let rng = match direction {
            Direction::ToClient => &mut self.to_client,
            Direction::ToServer | Direction::Both => &mut self.to_server,
        };
        is_covered && rng.random_range(0..100) < self.percent
    }
}
