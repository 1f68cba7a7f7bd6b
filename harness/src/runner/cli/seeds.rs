//! The root seeds of a sweep: the values of `--seeds` and `--stress`.

use clarity_chaos_record::{Seed, SeedRange};
use std::str::FromStr;
use std::time::Duration;

/// The value of `--seeds` or `--stress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeedsChoice {
    /// This number of seeds, starting at the root seed of the run.
    Count(u64),
    /// All seeds of this range.
    Range(SeedRange),
    /// As many seeds as begin within this time, starting at the root seed of the run. Only
    /// `--stress` has this value.
    Within(Duration),
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
            Some(count @ 1..) => Ok(Self::Range(SeedRange::new(first, count))),
            _ => Err(format!(
                "expected a range A..B with A below B, found `{text}`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_str_accepts_counts_and_half_open_ranges_only() {
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
}
