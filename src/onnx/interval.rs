//! Ranges of numbers.

use std::fmt;

/// The numbers from `low` to `high`, both included.
///
/// Bounds beyond 2^53 are rounded. The comparison with the range of 32 bits stays exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Interval {
    pub(crate) const ALL: Self = Self::new(f64::NEG_INFINITY, f64::INFINITY);
    /// The integers of 64 bits.
    pub(crate) const BITS_64: Self =
        Self::new(-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_807.0);
    /// The integers of 32 bits.
    pub(crate) const BITS_32: Self = Self::new(-2_147_483_648.0, 2_147_483_647.0);
    /// The sizes, indices and counts that a runtime of 32 bits can have.
    pub(crate) const SIZE: Self = Self::new(0.0, 2_147_483_647.0);
    pub(crate) const BIT: Self = Self::new(0.0, 1.0);

    pub(crate) const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    pub(crate) const fn of(value: f64) -> Self {
        Self::new(value, value)
    }

    /// The smallest interval with all numbers; `ALL` if one is not a number.
    pub(crate) fn hull(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut hull: Option<Self> = None;
        for value in values {
            if value.is_nan() {
                return Some(Self::ALL);
            }
            hull = Some(match hull {
                None => Self::of(value),
                Some(hull) => hull.join(Self::of(value)),
            });
        }
        hull
    }

    pub(crate) fn join(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    pub(crate) fn is_within(self, other: Self) -> bool {
        other.low <= self.low && self.high <= other.high
    }

    /// The only number, if there is only one.
    pub(crate) fn single(self) -> Option<f64> {
        (self.low == self.high).then_some(self.low)
    }

    pub(crate) fn add(self, other: Self) -> Self {
        Self::new(self.low + other.low, self.high + other.high).checked()
    }

    pub(crate) fn negate(self) -> Self {
        Self::new(-self.high, -self.low)
    }

    pub(crate) fn subtract(self, other: Self) -> Self {
        self.add(other.negate())
    }

    pub(crate) fn multiply(self, other: Self) -> Self {
        self.corners(other, |a, b| if a == 0.0 || b == 0.0 { 0.0 } else { a * b })
    }

    /// The quotients of integers, rounded toward zero.
    pub(crate) fn divide(self, other: Self) -> Self {
        if other.low <= 0.0 && other.high >= 0.0 {
            // A quotient is no larger than its dividend. A division by 0 fails.
            let most = self.low.abs().max(self.high.abs());
            return Self::new(-most, most);
        }
        self.corners(other, |a, b| (a / b).trunc())
    }

    pub(crate) fn absolute(self) -> Self {
        match self {
            Self { low, .. } if low >= 0.0 => self,
            Self { high, .. } if high <= 0.0 => self.negate(),
            Self { low, high } => Self::new(0.0, high.max(-low)),
        }
    }

    pub(crate) fn map(self, increasing: impl Fn(f64) -> f64) -> Self {
        Self::new(increasing(self.low), increasing(self.high)).checked()
    }

    pub(crate) fn minimum(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.min(other.high))
    }

    pub(crate) fn maximum(self, other: Self) -> Self {
        Self::new(self.low.max(other.low), self.high.max(other.high))
    }

    pub(super) fn corners(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        let corners = [
            of(self.low, other.low),
            of(self.low, other.high),
            of(self.high, other.low),
            of(self.high, other.high),
        ];
        Self::hull(corners).unwrap_or(Self::ALL)
    }

    pub(crate) fn checked(self) -> Self {
        if self.low.is_nan() || self.high.is_nan() {
            return Self::ALL;
        }
        self
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(value) => write!(f, "{value}"),
            None => write!(f, "{} to {}", self.low, self.high),
        }
    }
}
