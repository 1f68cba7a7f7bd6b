//! A fault that delays the bytes on a link.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{AnyLink, Condition, Direction};
use crate::test::random::rng;
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;

/// The range of the drawn delay, in milliseconds. Delays of 1 ms occur within a data centre, and
/// delays of 300 ms between continents.
const DRAWN: Range<u64> = 1..300;

/// Delays the bytes that pass a link. The bytes of a connection keep their order. The delays of
/// different bytes overlap, so the fault does not limit the bandwidth until 1 MiB is in flight.
///
/// After the undo, delayed bytes are delivered at once, and new bytes are not delayed.
///
/// On a [`UdpLink`](crate::test::network::UdpLink), datagrams can overtake each other if there is a
/// jitter.
#[derive(Clone, Debug)]
pub struct Latency {
    target: LinkTarget,
    direction: Direction,
    delay: Option<Duration>,
    jitter: Duration,
}

/// The plan of a [`Latency`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LatencyPlan {
    /// The delayed direction.
    pub direction: Direction,
    /// The delay without jitter, in milliseconds.
    pub delay_ms: u64,
    /// The upper bound of the jitter, in milliseconds. The jitter is drawn for each received chunk,
    /// and added to the delay.
    pub jitter_ms: u64,
    /// The seed from which the jitter is drawn.
    pub seed: u64,
}

impl Latency {
    /// Delays the bytes in both directions of this link by a drawn time, 1 to 299 ms.
    pub fn new(link: &impl AnyLink) -> Self {
        Self {
            target: LinkTarget::of(link),
            direction: Direction::Both,
            delay: None,
            jitter: Duration::ZERO,
        }
    }

    /// Delays the bytes by `delay`, rounded down to whole milliseconds.
    #[must_use]
    pub fn with_delay(self, delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..self
        }
    }

    /// Delays each received chunk by an additional time, uniformly distributed from 0 to `jitter`.
    /// `jitter` is rounded down to whole milliseconds.
    #[must_use]
    pub fn with_jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Delays this direction only.
    #[must_use]
    pub fn towards(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }
}

impl Fault for Latency {
    type Plan = LatencyPlan;
    const KIND: &'static str = "latency";

    fn describe(plan: &LatencyPlan, target: &str) -> String {
        let jitter = match plan.jitter_ms {
            0 => String::new(),
            jitter => format!(" and up to {jitter} ms more"),
        };
        let direction = plan.direction.words();
        format!(
            "{target} delayed by {} ms{jitter} {direction}",
            plan.delay_ms
        )
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<LatencyPlan, FaultError> {
        let drawn = rng.random_range(DRAWN);
        Ok(LatencyPlan {
            direction: self.direction,
            delay_ms: self.delay.map_or(Ok(drawn), super::milliseconds)?,
            jitter_ms: super::milliseconds(self.jitter)?,
            seed: rng.random(),
        })
    }

    fn apply(&self, plan: &LatencyPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        self.target.put(Condition::Latency {
            direction: plan.direction,
            delay: Duration::from_millis(plan.delay_ms),
            jitter: Duration::from_millis(plan.jitter_ms),
            rng: Box::new(rng(Seed::new(plan.seed))),
        })
    }
}
