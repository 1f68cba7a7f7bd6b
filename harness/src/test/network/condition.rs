//! The faults in effect on a link.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A direction of bytes on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From clients to the server.
    ToServer,
    /// From the server to clients.
    ToClient,
    /// Both directions.
    Both,
}

impl Direction {
    fn covers(self, other: Self) -> bool {
        self == Self::Both || self == other
    }

    /// The direction in words, for the description of a fault.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ToServer => "to the server",
            Self::ToClient => "to the client",
            Self::Both => "both ways",
        }
    }
}

/// The way in which a cut connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// A reset: both sides get an error, and bytes in flight can be lost.
    Reset,
    /// A close of both directions: both sides read the end of the stream.
    Close,
    /// A close of the cut direction only. The other direction stays open.
    HalfClose,
}

/// A fault in effect on a link.
#[derive(Debug)]
pub(crate) enum Condition {
    Latency {
        direction: Direction,
        delay: Duration,
        jitter: Duration,
        /// The generator that draws each chunk's jitter.
        rng: Box<ChaCha8Rng>,
    },
    Bandwidth {
        direction: Direction,
        bytes_per_second: u64,
    },
    Blackhole {
        direction: Direction,
    },
    ConnectionRefused,
    /// Cuts one connection, after all connections together have delivered `left` more bytes. `left`
    /// is `None` after the cut.
    ConnectionCut {
        direction: Direction,
        left: Option<u64>,
        end: ConnectionEnd,
    },
    /// Flips `bit` of one byte, after all connections together have delivered `left` more bytes.
    /// `left` is `None` after the flip.
    Corruption {
        direction: Direction,
        left: Option<u64>,
        bit: u8,
    },
}

/// The number of a condition on a link, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConditionId(usize);

/// All faults in effect on a link.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    state: Mutex<PresentConditions>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PresentConditions {
    count: usize,
    closed: bool,
    present: Vec<(ConditionId, Condition)>,
}

/// The delivery of a due chunk of bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// All bytes are delivered. The next chunk is delivered after a pause of this length.
    Whole(Duration),
    /// This number of bytes is delivered, and then the connection ends in this way.
    Cut(usize, ConnectionEnd),
    /// No byte is delivered: the link is closed or the connection has ended.
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
        present.any(|(_, condition)| matches!(condition, Condition::ConnectionRefused))
    }

    /// The time at which bytes that arrive now become due.
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

    /// Waits until `bytes` are due and no blackhole holds them. Then applies all corruptions to
    /// `bytes`, and returns how `bytes` must be delivered. `is_over` returns whether the connection
    /// has ended.
    pub(super) fn deliver(
        &self,
        direction: Direction,
        due: Instant,
        bytes: &mut [u8],
        is_over: impl Fn() -> bool,
    ) -> Delivery {
        let mut state = self.state();
        loop {
            if state.closed || is_over() {
                return Delivery::Lost;
            }
            let is_held = state.present.iter().any(|(_, condition)| {
                matches!(condition, Condition::Blackhole { direction: covered } if covered.covers(direction))
            });
            let left = due.saturating_duration_since(Instant::now());
            // The end of the connection does not notify this thread. So the loop regularly checks
            // whether the connection has ended.
            let most = Duration::from_millis(20);
            let wait = match is_held {
                true => most,
                false if left.is_zero() => break,
                false => left.min(most),
            };
            let waited = self.changed.wait_timeout(state, wait);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.settle(direction, bytes)
    }

    /// Waits for `time`, or until the link is closed.
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

    fn state(&self) -> MutexGuard<'_, PresentConditions> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PresentConditions {
    fn settle(&mut self, direction: Direction, bytes: &mut [u8]) -> Delivery {
        let mut cut: Option<(usize, ConnectionEnd)> = None;
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
                Condition::ConnectionCut {
                    direction: covered,
                    left,
                    end,
                } if covered.covers(direction) && cut.is_none() => {
                    if let Some(place) = count_down(left, bytes.len()) {
                        cut = Some((place, *end));
                    }
                }
                _ => {}
            }
        }
        match (cut, slowest) {
            (Some((length, end)), _) => Delivery::Cut(length, end),
            (None, Some(rate)) => {
                let seconds = bytes.len() as f64 / rate.max(1) as f64;
                Delivery::Whole(Duration::from_secs_f64(seconds))
            }
            (None, None) => Delivery::Whole(Duration::ZERO),
        }
    }
}

/// Takes the value out of `left` and returns it, if the value is less than `bytes`. Otherwise,
/// subtracts `bytes` from the value, and returns `None`. Does nothing if `left` is `None`.
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
