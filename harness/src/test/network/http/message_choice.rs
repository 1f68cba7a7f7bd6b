//! The messages on which a fault acts.

use crate::test::network::chance::Chance;
use crate::test::network::direction::Direction;

/// The messages on which a fault acts.
#[derive(Debug)]
pub(crate) struct MessageChoice {
    chance: Chance,
    /// The number of the only message on which the fault acts. The messages of each direction are
    /// counted from 1.
    nth: Option<u64>,
    counts: [u64; 2],
}

impl MessageChoice {
    pub(crate) fn new(chance: Chance, nth: Option<u64>) -> Self {
        Self {
            chance,
            nth,
            counts: [0, 0],
        }
    }

    /// Whether the fault can act on no further message.
    pub(in crate::test::network) fn is_over(&self) -> bool {
        let directions = [Direction::ToServer, Direction::ToClient];
        let mut counted = directions.iter().zip(self.counts);
        self.nth.is_some_and(|nth| {
            counted.all(|(direction, count)| count >= nth || !self.chance.covers(*direction))
        })
    }

    /// Draws whether the fault acts on the next message in this direction.
    pub(in crate::test::network) fn draw(&mut self, direction: Direction) -> bool {
        let count = &mut self.counts[usize::from(direction == Direction::ToClient)];
        *count += 1;
        self.chance.draw(direction) && self.nth.is_none_or(|nth| nth == *count)
    }
}
