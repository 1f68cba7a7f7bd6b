//! The root seeds of a sweep.

use crate::data::seed::Seed;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The value of `--seeds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeedsChoice {
    /// So many, from the run's seed on.
    Count(u64),
    /// Exactly these.
    Range(SeedRange),
}

/// Consecutive root seeds; there is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeedRange {
    first: Seed,
    count: u64,
}

impl SeedRange {
    /// `count` seeds from `first` on. After the highest number comes 0.
    pub(crate) fn new(first: Seed, count: u64) -> Self {
        Self { first, count }
    }

    pub(crate) fn first(self) -> Seed {
        self.first
    }

    /// How many seeds there are.
    pub(crate) fn count(self) -> u64 {
        self.count
    }

    /// The seed at this place, from 0.
    pub(crate) fn at(self, place: u64) -> Seed {
        Seed::new(self.first.get().wrapping_add(place))
    }
}

impl fmt::Display for SeedRange {
    /// As `--seeds` takes it, where that is possible.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first.get().checked_add(self.count) {
            Some(end) => write!(f, "{}..{end}", self.first),
            None => write!(f, "{} --seed {}", self.count, self.first),
        }
    }
}

impl FromStr for SeedsChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((first, end)) = text.split_once("..") else {
            return match text.parse::<u64>() {
                Ok(0) => Err("expected at least 1 seed, found 0".to_owned()),
                Ok(count) => Ok(Self::Count(count)),
                Err(error) => Err(format!(
                    "expected a count such as 1000 or a range such as 0..1000, found `{text}` ({error})"
                )),
            };
        };
        let (first, end): (Seed, Seed) = (first.parse()?, end.parse()?);
        match end.get().checked_sub(first.get()) {
            Some(count @ 1..) => Ok(Self::Range(SeedRange { first, count })),
            _ => Err(format!(
                "expected a range whose end, which is not part of it, is above its beginning, found `{text}`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_half_open_ranges_parse_and_the_rest_is_refused() {
        assert_eq!("1000".parse(), Ok(SeedsChoice::Count(1000)));
        let range = SeedRange::new(Seed::new(5), 2);
        assert_eq!("5..7".parse(), Ok(SeedsChoice::Range(range)));
        assert_eq!([range.at(0), range.at(1)], [Seed::new(5), Seed::new(6)]);
        for wrong in ["0", "", "x", "7..5", "5..5", "..5", "5..", "-1"] {
            assert!(
                wrong.parse::<SeedsChoice>().is_err(),
                "{wrong:?} was accepted"
            );
        }
    }

    #[test]
    fn a_range_is_told_as_it_can_be_given_again() {
        assert_eq!(SeedRange::new(Seed::new(5), 2).to_string(), "5..7");
        let last = SeedRange::new(Seed::new(u64::MAX), 2);
        assert_eq!(last.to_string(), format!("2 --seed {}", u64::MAX));
        assert_eq!(last.at(1), Seed::new(0));
    }
}
