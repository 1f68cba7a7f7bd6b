//! State, count and generation of a breaker, packed into one atomic word.

use super::state::BreakerState;

/// A breaker's generation in 40 bits, its count in 21 bits and its state in 3 bits.
///
/// A change of state or a reset ends a generation. At a thousand generations a second, 40 bits last
/// 34 years. The [`TripRule`](super::trip_rule::TripRule) defines the meaning of the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedState(u64);

const STATE_BITS: u32 = 3;
const COUNT_BITS: u32 = 21;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl PackedState {
    /// The closed state, with a count of 0, in generation 0.
    pub(crate) const INITIAL: Self = Self(0);

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) const fn state(self) -> BreakerState {
        match self.0 & STATE_MASK {
            0 => BreakerState::Closed,
            1 => BreakerState::Open,
            2 => BreakerState::HalfOpen,
            3 => BreakerState::ForcedOpen,
            _ => BreakerState::Disabled,
        }
    }

    #[inline]
    pub(crate) const fn count(self) -> u32 {
        ((self.0 >> STATE_BITS) & COUNT_MASK) as u32
    }

    #[inline]
    pub(crate) const fn generation(self) -> u64 {
        self.0 >> (STATE_BITS + COUNT_BITS)
    }

    /// Whether the breaker is closed and the count equals `count`.
    #[inline]
    pub(crate) const fn is_closed_at(self, count: u32) -> bool {
        self.0 & ((COUNT_MASK << STATE_BITS) | STATE_MASK) == (count as u64) << STATE_BITS
    }

    /// This packed state with another count, which the configuration keeps below 2^21.
    #[inline]
    pub(crate) const fn with_count(self, count: u32) -> Self {
        Self((self.0 & !(COUNT_MASK << STATE_BITS)) | ((count as u64 & COUNT_MASK) << STATE_BITS))
    }

    /// The start of the next generation, with a count of 0.
    #[inline]
    pub(crate) const fn next_generation(self, state: BreakerState) -> Self {
        let generation = self.generation().wrapping_add(1) << (STATE_BITS + COUNT_BITS);
        let state = match state {
            BreakerState::Closed => 0,
            BreakerState::Open => 1,
            BreakerState::HalfOpen => 2,
            BreakerState::ForcedOpen => 3,
            BreakerState::Disabled => 4,
        };
        Self(generation | state)
    }
}
