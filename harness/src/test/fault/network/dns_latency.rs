//! A fault that delays the answers of a resolver.

use super::NameTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{NameCondition, Resolver};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;

/// The range of the drawn delay, in milliseconds. The C library asks again after 5 s.
const DRAWN: Range<u64> = 10..5000;

/// Delays the answers of a [`Resolver`]. After the undo, delayed answers are sent at once.
#[derive(Clone, Debug)]
pub struct DnsLatency {
    target: NameTarget,
    delay: Option<Duration>,
}

/// The plan of a [`DnsLatency`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DnsLatencyPlan {
    /// The delay of each answer, in milliseconds.
    pub delay_ms: u64,
}

impl DnsLatency {
    /// Delays the answers for all names by a drawn time, 10 ms to 4999 ms.
    pub fn new(resolver: &Resolver) -> Self {
        Self {
            target: NameTarget::of(resolver, None),
            delay: None,
        }
    }

    /// Delays only the answers for this name.
    #[must_use]
    pub fn of_name(self, name: &str) -> Self {
        Self {
            target: self.target.narrowed(name),
            ..self
        }
    }

    /// Delays the answers by `delay`, rounded down to whole milliseconds.
    #[must_use]
    pub fn with_delay(self, delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..self
        }
    }
}

impl Fault for DnsLatency {
    type Plan = DnsLatencyPlan;
    const KIND: &'static str = "dns_latency";

    fn describe(plan: &DnsLatencyPlan, target: &str) -> String {
        format!("lookups of {target} delayed by {} ms", plan.delay_ms)
    }

    fn target(&self) -> String {
        self.target.to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<DnsLatencyPlan, FaultError> {
        let drawn = rng.random_range(DRAWN);
        let delay_ms = self.delay.map_or(Ok(drawn), super::milliseconds)?;
        Ok(DnsLatencyPlan { delay_ms })
    }

    fn apply(&self, plan: &DnsLatencyPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        Ok(self.target.put(NameCondition::Latency {
            name: self.target.name(),
            delay: Duration::from_millis(plan.delay_ms),
        }))
    }
}
