//! The messages of HTTP on which a fault acts.

use super::LinkTarget;
use crate::test::fault::FaultError;
use crate::test::network::{Chance, Direction, Link, MessageChoice};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The selected messages of a fault: the messages on which the fault acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpSelection {
    /// The chance of each message to be affected, in percent.
    pub percent: u8,
    /// The number of the only affected message. The messages of all connections are counted
    /// together, separately for each direction, and the first one after the injection has number 1.
    /// `None` affects all messages, with the chance.
    pub nth: Option<u64>,
    /// The seed from which the affected messages are drawn.
    pub seed: u64,
}

impl HttpSelection {
    pub(super) fn choice(self, direction: Direction) -> MessageChoice {
        MessageChoice::new(Chance::new(direction, self.percent, self.seed), self.nth)
    }

    /// Describes the affected messages. `noun` is the plural of their name.
    pub(super) fn words(self, noun: &str) -> String {
        match (self.nth, self.percent) {
            (Some(nth), 100) => format!("number {nth} of the {noun}"),
            (Some(nth), percent) => format!("number {nth} of the {noun}, by {percent} %,"),
            (None, 100) => format!("all {noun}"),
            (None, percent) => format!("{percent} % of the {noun}"),
        }
    }
}

/// The link of a fault, and the messages that the test has selected.
#[derive(Clone, Debug)]
pub(super) struct HttpTarget {
    pub(super) link: LinkTarget,
    percent: u8,
    nth: Option<u64>,
}

impl HttpTarget {
    /// Returns all messages of the link.
    pub(super) fn of(link: &Link) -> Self {
        Self {
            link: LinkTarget::of(link),
            percent: 100,
            nth: None,
        }
    }

    pub(super) fn with_percent(self, percent: u8) -> Self {
        Self { percent, ..self }
    }

    pub(super) fn nth(self, n: u64) -> Self {
        Self {
            nth: Some(n),
            ..self
        }
    }

    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> Result<HttpSelection, FaultError> {
        if self.nth == Some(0) {
            return Err(FaultError::unfit("messages counted from 1", "0"));
        }
        Ok(HttpSelection {
            percent: super::percent(self.percent)?,
            nth: self.nth,
            seed: rng.random(),
        })
    }
}
