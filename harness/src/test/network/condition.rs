//! What is wrong with a link now.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From clients to the server.
    ToServer,
    /// From the server to clients.
    ToClient,
    /// Both ways.
    Both,
}

impl Direction {
    fn covers(self, other: Self) -> bool {
        self == Self::Both || self == other
    }

    /// In words that stand in a sentence.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ToServer => "to the server",
            Self::ToClient => "to the client",
            Self::Both => "both ways",
        }
    }
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By a reset: both ends meet an error, and what was on its way may be lost.
    Reset,
    /// As if the sender had ended: both ends find the end of the stream.
    Close,
    /// As if the sender had ended in this direction alone; the other goes on.
    HalfClose,
}

/// Something that is wrong with a link.
#[derive(Debug)]
pub(crate) enum Condition {
    Latency {
        direction: Direction,
        delay: Duration,
        jitter: Duration,
        /// What the jitter is drawn from.
        rng: Box<ChaCha8Rng>,
    },
    Bandwidth {
        direction: Direction,
        bytes_per_second: u64,
    },
    Stall {
        direction: Direction,
    },
    Refusal,
    /// After so many more bytes, once.
    Severance {
        direction: Direction,
        left: Option<u64>,
        ending: Ending,
    },
    /// A bit of the byte after so many more, once.
    Corruption {
        direction: Direction,
        left: Option<u64>,
        bit: u8,
    },
}

/// Which condition it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConditionId(usize);

/// All that is wrong with a link.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    closed: bool,
    present: Vec<(ConditionId, Condition)>,
}

/// What becomes of bytes that were about to be delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are delivered, and then so much time passes.
    Delivered(Duration),
    /// So many are, and then the connection ends like that.
    Severed(usize, Ending),
    /// The link or the connection is gone.
    Lost,
}

impl Conditions {
    pub(crate) fn add(&self, condition: Condition) -> ConditionId {
        let mut state = self.state();
        state.count += 1;
        let id = ConditionId(state.count);
        state.present.push((id, condition));
        drop(state);
        self.changed.notify_all();
        id
    }

    pub(crate) fn remove(&self, id: ConditionId) {
        self.state().present.retain(|(other, _)| *other != id);
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(super) fn refuses(&self) -> bool {
        let state = self.state();
        let mut present = state.present.iter();
        present.any(|(_, condition)| matches!(condition, Condition::Refusal))
    }

    /// When bytes that have come now are due.
    pub(super) fn due(&self, direction: Direction) -> Instant {
        let mut due = Instant::now();
        for (_, condition) in &mut self.state().present {
            if let Condition::Latency {
                direction: covered,
                delay,
                jitter,
                rng,
            } = condition
                && covered.covers(direction)
            {
                due += *delay + jitter.mul_f64(rng.random::<f64>());
            }
        }
        due
    }

    /// Waits until bytes can be delivered, and decides what becomes of them; may change one. `is_over` tells whether their connection has ended.
    pub(super) fn deliver(
        &self,
        direction: Direction,
        due: Instant,
        bytes: &mut [u8],
        is_over: impl Fn() -> bool,
    ) -> Fate {
        let mut state = self.state();
        loop {
            if state.closed || is_over() {
                return Fate::Lost;
            }
            let stalled = state.present.iter().any(|(_, condition)| {
                matches!(condition, Condition::Stall { direction: covered } if covered.covers(direction))
            });
            let left = due.saturating_duration_since(Instant::now());
            // A connection that ends meanwhile notifies nobody.
            let most = Duration::from_millis(20);
            let wait = match stalled {
                true => most,
                false if left.is_zero() => break,
                false => left.min(most),
            };
            let waited = self.changed.wait_timeout(state, wait);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.settle(direction, bytes)
    }

    /// Lets time pass, unless the link is gone first.
    pub(super) fn pass(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut state = self.state();
        while !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settle(&mut self, direction: Direction, bytes: &mut [u8]) -> Fate {
        let mut severed: Option<(usize, Ending)> = None;
        let mut slowest = None;
        for (_, condition) in &mut self.present {
            match condition {
                Condition::Bandwidth {
                    direction: covered,
                    bytes_per_second,
                } if covered.covers(direction) => {
                    let rate = *bytes_per_second;
                    slowest = Some(slowest.map_or(rate, |other: u64| other.min(rate)));
                }
                Condition::Corruption {
                    direction: covered,
                    left,
                    bit,
                } if covered.covers(direction) => {
                    if let Some(place) = count_down(left, bytes.len()) {
                        bytes[place] ^= 1 << *bit;
                    }
                }
                Condition::Severance {
                    direction: covered,
                    left,
                    ending,
                } if covered.covers(direction) && severed.is_none() => {
                    if let Some(place) = count_down(left, bytes.len()) {
                        severed = Some((place, *ending));
                    }
                }
                _ => {}
            }
        }
        match (severed, slowest) {
            (Some((length, ending)), _) => Fate::Severed(length, ending),
            (None, Some(rate)) => {
                let seconds = bytes.len() as f64 / rate.max(1) as f64;
                Fate::Delivered(Duration::from_secs_f64(seconds))
            }
            (None, None) => Fate::Delivered(Duration::ZERO),
        }
    }
}

/// Counts so many bytes; gives the place among them at which the count ends, once.
fn count_down(left: &mut Option<u64>, bytes: usize) -> Option<usize> {
    let remaining = (*left)?;
    match usize::try_from(remaining) {
        Ok(place) if place < bytes => {
            *left = None;
            Some(place)
        }
        _ => {
            *left = Some(remaining - bytes as u64);
            None
        }
    }
}
