//! Bytes that come later.

use super::Target;
use crate::test::fault::{Fault, FaultError, Undo};
use crate::test::network::{Condition, Direction, Link};
use crate::test::random::rng;
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// What a delay is drawn from, in milliseconds: from another room of the data centre to another continent.
const DRAWN: Range<u64> = 1..300;

/// Delays what passes a link, both ways unless told otherwise. The order stays, and whatever is under way is under way at the same time.
#[derive(Clone, Debug)]
pub struct Latency {
    target: Target,
    direction: Direction,
    delay: Option<Duration>,
    jitter: Duration,
}

/// How much later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyPlan {
    /// Which bytes.
    pub direction: Direction,
    /// By so many milliseconds at least.
    pub delay_ms: u64,
    /// And by up to so many more, each piece by another time.
    pub jitter_ms: u64,
    /// What these are drawn from.
    pub seed: u64,
}

impl Latency {
    /// Delays what passes this link by 1 to 300 ms, which is drawn.
    pub fn on(link: &Link) -> Self {
        Self {
            target: Target::of(link),
            direction: Direction::Both,
            delay: None,
            jitter: Duration::ZERO,
        }
    }

    /// Delays by exactly so much, in whole milliseconds.
    #[must_use]
    pub fn of(self, delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..self
        }
    }

    /// Delays by up to so much more, evenly distributed.
    #[must_use]
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Delays what goes this way alone.
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
        let milliseconds = |time: Duration| {
            u64::try_from(time.as_millis())
                .map_err(|_| FaultError::unfit("a delay that ends", format!("{time:?}")))
        };
        Ok(LatencyPlan {
            direction: self.direction,
            delay_ms: self.delay.map_or(Ok(drawn), milliseconds)?,
            jitter_ms: milliseconds(self.jitter)?,
            seed: rng.random(),
        })
    }

    fn apply(&self, plan: &LatencyPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        Ok(self.target.put(Condition::Latency {
            direction: plan.direction,
            delay: Duration::from_millis(plan.delay_ms),
            jitter: Duration::from_millis(plan.jitter_ms),
            rng: Box::new(rng(Seed::new(plan.seed))),
        }))
    }
}
