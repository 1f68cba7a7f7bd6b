//! Medians, ratios and spreads of a few measurements.

use std::fmt;
use std::time::Duration;

/// The middle of some numbers, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// Of some finite numbers in any order; `None` when there are none. The median of an even count is the mean of the two in the middle.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { min, median, max })
    }

    /// Of the median of some numbers: `min` and `max` are what it lies between in 95 of 100 such series, by the
    /// [ranks of a sign test](https://online.stat.psu.edu/stat415/lesson/19/19.1) in the normal approximation. `None` when there are none.
    pub fn of_median(numbers: &[f64]) -> Option<Self> {
        let median = Self::of(numbers.iter().copied())?.median;
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let reach = (1.96 * (count as f64).sqrt() / 2.0).ceil() as usize;
        let low = (count / 2).saturating_sub(reach);
        let high = (count.div_ceil(2) + reach).min(count) - 1;
        Some(Self {
            min: sorted[low],
            median,
            max: sorted[high],
        })
    }

    /// Of `a` divided by `b`, round by round: what slows both down in the same round cancels out. Rounds that only one of them has are left out.
    pub fn of_ratios(a: &[Duration], b: &[Duration]) -> Option<Self> {
        Self::of(a.iter().zip(b).map(|(a, b)| a.div_duration_f64(*b)))
    }

    /// Of `a` minus `b`, round by round, in seconds; negative where `b` took longer.
    pub fn of_differences(a: &[Duration], b: &[Duration]) -> Option<Self> {
        Self::of(
            a.iter()
                .zip(b)
                .map(|(a, b)| a.as_secs_f64() - b.as_secs_f64()),
        )
    }

    /// Of durations, in seconds.
    pub fn of_seconds(durations: &[Duration]) -> Option<Self> {
        Self::of(durations.iter().map(Duration::as_secs_f64))
    }

    /// Each number multiplied by `factor`, which is not negative.
    pub fn times(self, factor: f64) -> Self {
        Self {
            min: self.min * factor,
            median: self.median * factor,
            max: self.max * factor,
        }
    }

    /// From the smallest to the largest, as a part of the median: how noisy the machine was.
    pub fn noise(self) -> f64 {
        (self.max - self.min) / self.median
    }
}

impl fmt::Display for Spread {
    /// `2.00 (1.90 to 2.10)`, with as many decimals as the format asks for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(2);
        write!(
            f,
            "{:.decimals$} ({:.decimals$} to {:.decimals$})",
            self.median, self.min, self.max
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(numbers: &[u64]) -> Vec<Duration> {
        numbers.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn the_median_of_an_odd_count_is_the_middle_whatever_the_order() {
        let spread = Spread::of([9.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 9.0));
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 100.0]).unwrap().median, 3.0);
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_median_of_many_is_known_better_than_they_lie_apart() {
        let many: Vec<f64> = (1..=100).map(f64::from).collect();
        let known = Spread::of_median(&many).unwrap();
        assert_eq!((known.min, known.median, known.max), (41.0, 50.5, 60.0));
        let few = Spread::of_median(&[3.0, 1.0]).unwrap();
        assert_eq!((few.min, few.median, few.max), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of_median(&[]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round_so_that_a_slow_round_cancels_out() {
        let spread = Spread::of_ratios(&seconds(&[2, 20, 4]), &seconds(&[1, 10, 2])).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (2.0, 2.0, 2.0));
    }

    #[test]
    fn the_ratio_of_medians_is_not_the_median_of_ratios() {
        let spread = Spread::of_ratios(&seconds(&[1, 2, 9]), &seconds(&[4, 1, 3])).unwrap();
        assert_eq!(spread.median, 2.0);
    }

    #[test]
    fn differences_may_be_negative() {
        let spread = Spread::of_differences(&seconds(&[1, 5]), &seconds(&[3, 1])).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (-2.0, 1.0, 4.0));
    }

    #[test]
    fn noise_is_the_range_as_a_part_of_the_median() {
        assert_eq!(Spread::of([8.0, 10.0, 13.0]).unwrap().noise(), 0.5);
    }

    #[test]
    fn a_spread_is_told_with_the_decimals_asked_for() {
        let spread = Spread::of([1.0, 2.0, 4.0]).unwrap();
        assert_eq!(format!("{spread:.1}"), "2.0 (1.0 to 4.0)");
    }
}
