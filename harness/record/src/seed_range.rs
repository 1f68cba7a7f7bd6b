//! The root seeds of a sweep.

use crate::seed::Seed;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A range of consecutive root seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedRange {
    first: Seed,
    count: u64,
}

impl SeedRange {
    /// Creates a range of `count` seeds from `first` on. After [`u64::MAX`], the range continues
    /// with 0.
    #[must_use]
    pub fn new(first: Seed, count: u64) -> Self {
        Self { first, count }
    }

    /// Returns the first seed.
    #[must_use]
    pub fn first(self) -> Seed {
        self.first
    }

    /// Returns the number of seeds.
    #[must_use]
    pub fn count(self) -> u64 {
        self.count
    }

    /// Returns the seed at the index `place`. The first seed has the index 0. Does not check that
    /// the index is in the range.
    #[must_use]
    pub fn at(self, place: u64) -> Seed {
        Seed::new(self.first.get().wrapping_add(place))
    }
}

impl fmt::Display for SeedRange {
    /// Writes the value of the option `--seeds`. If the range contains [`u64::MAX`], also writes
    /// the option `--seed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first.get().checked_add(self.count) {
            Some(end) => write!(f, "{}..{end}", self.first),
            None => write!(f, "{} --seed {}", self.count, self.first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_the_value_of_the_option() {
        assert_eq!(SeedRange::new(Seed::new(5), 2).to_string(), "5..7");
        let last = SeedRange::new(Seed::new(u64::MAX), 2);
        assert_eq!(last.to_string(), format!("2 --seed {}", u64::MAX));
        assert_eq!(last.at(1), Seed::new(0));
    }
}
