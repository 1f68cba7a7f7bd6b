//! Limits of a model's inputs, within which the claims hold.

use super::interval::Interval;

/// The largest inputs for which a model is known to be computed rightly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InputLimits {
    /// The largest size of a dimension.
    pub(crate) size: i64,
    /// The largest absolute value of an INT64 beyond which numbers are refused; `None` for all
    /// numbers of 32 bits.
    pub(crate) integer: Option<i64>,
    /// The largest absolute value of an INT32 or FLOAT; `None` for all numbers.
    pub(crate) number: Option<i64>,
}

/// The limits in the order in which they are tried.
// Arithmetic on sizes and on INT64 inputs leaves 32 bits only for large ones.
pub(crate) const LIMITS: [InputLimits; 6] = [
    InputLimits::WIDEST,
    InputLimits::new(i32::MAX as i64, Some(1 << 24), None),
    InputLimits::new(i32::MAX as i64, Some(1 << 24), Some(1 << 24)),
    InputLimits::new(1 << 24, Some(1 << 24), None),
    InputLimits::new(1 << 13, Some(1 << 24), None),
    InputLimits::new(1 << 13, Some(1 << 24), Some(1 << 24)),
];

impl InputLimits {
    /// The limits of a runtime that computes sizes and INT64 in 32 bits.
    pub(crate) const WIDEST: Self = Self::new(i32::MAX as i64, None, None);

    const fn new(size: i64, integer: Option<i64>, number: Option<i64>) -> Self {
        Self {
            size,
            integer,
            number,
        }
    }

    /// The sizes of a dimension of an input that is not fixed.
    pub(super) fn sizes(self) -> Interval {
        Interval::new(1.0, self.size as f64)
    }

    /// The values of an input of type INT32 or FLOAT; `None` if they have no limits.
    pub(super) fn numbers(self) -> Option<Interval> {
        let most = self.number? as f64;
        Some(Interval::new(-most, most))
    }

    /// The values of an input of type INT64.
    pub(super) fn integers(self) -> Interval {
        match self.integer {
            Some(most) => Interval::new(-(most as f64), most as f64),
            None => Interval::BITS_32,
        }
    }
}

impl Default for InputLimits {
    fn default() -> Self {
        Self::WIDEST
    }
}
