//! The faults in effect on a link.

use super::chance::Chance;
use super::direction::Direction;
use super::http::HttpCondition;
use super::link_listener::Entrance;
use super::pacer::{self, Pacer};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    ConnectionHang,
    ConnectionRefused,
    ConnectionReset,
    /// Cuts one connection, after all connections together have delivered `left` more bytes. `left`
    /// is `None` after the cut.
    ConnectionCut {
        direction: Direction,
        left: Option<u64>,
        end: ConnectionEnd,
    },
    /// Loses datagrams with this chance.
    PacketLoss(Chance),
    /// Delivers datagrams twice with this chance.
    PacketDuplication(Chance),
    /// With this chance, delivers a datagram after `by` later datagrams.
    PacketReordering {
        chance: Chance,
        by: u8,
    },
    /// Flips `bit` of one byte, after all connections together have delivered `left` more bytes.
    /// `left` is `None` after the flip.
    Corruption {
        direction: Direction,
        left: Option<u64>,
        bit: u8,
    },
    Http(HttpCondition),
}

/// The number of a condition on a link, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConditionId(usize);

impl ConditionId {
    pub(super) fn new(number: usize) -> Self {
        Self(number)
    }
}

/// All faults in effect on a link.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    state: Mutex<PresentConditions>,
    changed: Condvar,
}

#[derive(Debug)]
struct PresentConditions {
    count: usize,
    closed: bool,
    present: Vec<(ConditionId, Condition)>,
    /// The time of the last injection or undo.
    changed_at: Instant,
}

/// The arrival of bytes at a link.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    at: Instant,
    /// The delays of the bytes. Each delay lasts until its condition is removed.
    delays: Vec<(ConditionId, Duration)>,
}

/// The delivery of the first bytes of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// This number of bytes is delivered.
    Piece(usize),
    /// This number of bytes is delivered, and then the connection ends in this way.
    Cut(usize, ConnectionEnd),
    /// No byte is delivered: the link is closed or the connection has ended.
    Lost,
}

impl Default for PresentConditions {
    fn default() -> Self {
        Self {
            count: 0,
            closed: false,
            present: Vec::new(),
            changed_at: Instant::now(),
        }
    }
}

impl Conditions {
    pub(crate) fn add(&self, condition: Condition) -> ConditionId {
        let mut state = self.state();
        state.count += 1;
        let id = ConditionId(state.count);
        state.present.push((id, condition));
        state.changed_at = Instant::now();
        drop(state);
        self.changed.notify_all();
        id
    }

    pub(crate) fn remove(&self, id: ConditionId) {
        let mut state = self.state();
        state.present.retain(|(other, _)| *other != id);
        state.changed_at = Instant::now();
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Wakes all waiting threads, because a connection has ended.
    pub(super) fn wake(&self) {
        // A thread that has not seen the end yet holds the lock until it waits.
        drop(self.state());
        self.changed.notify_all();
    }

    /// Whether new connections are reset after they were accepted.
    pub(super) fn resets(&self) -> bool {
        let state = self.state();
        let mut present = state.present.iter();
        present.any(|(_, condition)| matches!(condition, Condition::ConnectionReset))
    }

    /// The state in which new connections find the link.
    pub(super) fn entrance(&self) -> Entrance {
        let (mut hangs, state) = (false, self.state());
        for (_, condition) in &state.present {
            match condition {
                Condition::ConnectionRefused => return Entrance::Closed,
                Condition::ConnectionHang => hangs = true,
                _ => {}
            }
        }
        if hangs {
            Entrance::Full
        } else {
            Entrance::Open
        }
    }

    /// Returns the arrival of bytes that arrive now. Draws their delays.
    pub(super) fn arrive(&self, direction: Direction) -> Arrival {
        let mut delays = Vec::new();
        for (id, condition) in &mut self.state().present {
            if let Condition::Latency {
                direction: covered,
                delay,
                jitter,
                rng,
            } = condition
                && covered.covers(direction)
            {
                delays.push((*id, *delay + jitter.mul_f64(rng.random::<f64>())));
            }
        }
        Arrival {
            at: Instant::now(),
            delays,
        }
    }

    /// Calls `act` with each fault in effect that acts on the messages of HTTP.
    pub(super) fn each_http(&self, mut act: impl FnMut(ConditionId, &mut HttpCondition)) {
        for (id, condition) in &mut self.state().present {
            if let Condition::Http(condition) = condition {
                act(*id, condition);
            }
        }
    }

    /// Waits until the next piece of `bytes` is due and no blackhole holds it. Then applies all
    /// corruptions to the piece, and returns how the piece must be delivered. `is_over` returns
    /// whether the connection has ended.
    pub(super) fn deliver(
        &self,
        direction: Direction,
        arrival: &Arrival,
        pacer: &mut Pacer,
        bytes: &mut [u8],
        is_over: impl Fn() -> bool,
    ) -> Delivery {
        let mut state = self.state();
        loop {
            if state.closed || is_over() {
                return Delivery::Lost;
            }
            let due = match state.due(direction, arrival) {
                None => None,
                Some(due) if Instant::now() < due => Some(due),
                Some(due) => {
                    let Some(rate) = state.rate(direction) else {
                        pacer.stop();
                        return state.settle(direction, bytes);
                    };
                    let length = pacer::piece(rate, bytes.len());
                    let due = pacer.due(rate, length, due.max(state.changed_at));
                    if due <= Instant::now() {
                        return state.settle(direction, &mut bytes[..length]);
                    }
                    pacer.wait();
                    Some(due)
                }
            };
            state = match due {
                Some(due) => self.wait_until(state, due),
                None => {
                    pacer.stop();
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Waits until `time`, or until something changes.
    fn wait_until<'a>(
        &self,
        state: MutexGuard<'a, PresentConditions>,
        time: Instant,
    ) -> MutexGuard<'a, PresentConditions> {
        let left = time.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout(state, left);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, PresentConditions> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PresentConditions {
    /// The time at which the bytes of this arrival are due, without a limit of the bandwidth.
    /// `None` while a blackhole holds the bytes.
    fn due(&self, direction: Direction, arrival: &Arrival) -> Option<Instant> {
        let mut due = arrival.at;
        for (id, condition) in &self.present {
            match condition {
                Condition::Blackhole { direction: covered } if covered.covers(direction) => {
                    return None;
                }
                _ => {}
            }
            for (delayed_by, delay) in &arrival.delays {
                if delayed_by == id {
                    due += *delay;
                }
            }
        }
        Some(due)
    }

    /// The smallest bandwidth of this direction, in bytes per second.
    fn rate(&self, direction: Direction) -> Option<u64> {
        let rates = self
            .present
            .iter()
            .filter_map(|(_, condition)| match condition {
                Condition::Bandwidth {
                    direction: covered,
                    bytes_per_second,
                } if covered.covers(direction) => Some(*bytes_per_second),
                _ => None,
            });
        rates.min()
    }

    /// Applies the corruptions and cuts to `bytes`, which pass now.
    fn settle(&mut self, direction: Direction, bytes: &mut [u8]) -> Delivery {
        let mut cut: Option<(usize, ConnectionEnd)> = None;
        for (_, condition) in &mut self.present {
            match condition {
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
        match cut {
            Some((length, end)) => Delivery::Cut(length, end),
            None => Delivery::Piece(bytes.len()),
        }
    }
}

impl Arrival {
    /// Returns the arrival of bytes that arrived at the same time, with additional delays.
    pub(super) fn delayed(&self, delays: &[(ConditionId, Duration)]) -> Self {
        Self {
            at: self.at,
            delays: [&self.delays, delays].concat(),
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
