//! State, count of failures and generation of a breaker in one word.

use super::BreakerState;

/// 40 bits of generation, 22 bits of failures in a row, 2 bits of state.
///
/// A generation ends with a change of state or a reset; at a thousand a second 40 bits last 34 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

const STATE_BITS: u32 = 2;
const FAILURE_BITS: u32 = 22;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
const FAILURE_MASK: u64 = (1 << FAILURE_BITS) - 1;

impl Word {
    /// Closed, without a failure, in generation 0.
    pub(super) const FIRST: Self = Self(0);

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn state(self) -> BreakerState {
        match self.0 & STATE_MASK {
            0 => BreakerState::Closed,
            1 => BreakerState::Open,
            _ => BreakerState::HalfOpen,
        }
    }

    pub(super) const fn failures(self) -> u32 {
        ((self.0 >> STATE_BITS) & FAILURE_MASK) as u32
    }

    pub(super) const fn generation(self) -> u64 {
        self.0 >> (STATE_BITS + FAILURE_BITS)
    }

    /// The same with another count, which the configuration keeps below 2^22.
    pub(super) const fn with_failures(self, failures: u32) -> Self {
        Self(
            (self.0 & !(FAILURE_MASK << STATE_BITS))
                | ((failures as u64 & FAILURE_MASK) << STATE_BITS),
        )
    }

    /// The first word of the next generation.
    pub(super) const fn next_generation(self, state: BreakerState) -> Self {
        let generation = self.generation().wrapping_add(1) << (STATE_BITS + FAILURE_BITS);
        let state = match state {
            BreakerState::Closed => 0,
            BreakerState::Open => 1,
            BreakerState::HalfOpen => 2,
        };
        Self(generation | state)
    }
}
