//! Medians, ratios and spreads of measurements.

use std::fmt;
use std::time::Duration;

/// The median of some numbers, with a lower and an upper bound. The bounds are either the extremes
/// or the ends of a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// Returns the median and the extremes of finite numbers, or `None` if there are no numbers.
    ///
    /// The median of an even count is the mean of the two middle numbers.
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

    /// Returns the median of some numbers with the median's 95 % confidence interval, or `None` if
    /// there are no numbers.
    ///
    /// The interval follows from the
    /// [ranks of a sign test](https://online.stat.psu.edu/stat415/lesson/19/19.1) in the normal
    /// approximation.
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

    /// Returns the spread of the ratios `a / b` of all rounds. A slowdown by other programs cancels
    /// out if it affects both durations of a round equally.
    ///
    /// Leaves out the rounds that only `a` or only `b` contains.
    pub fn of_ratios(a: &[Duration], b: &[Duration]) -> Option<Self> {
        Self::of(a.iter().zip(b).map(|(a, b)| a.div_duration_f64(*b)))
    }

    /// Returns the spread of the differences `a - b` of all rounds, in seconds. A difference is
    /// negative if `b` is longer.
    ///
    /// Leaves out the rounds that only `a` or only `b` contains.
    pub fn of_differences(a: &[Duration], b: &[Duration]) -> Option<Self> {
        Self::of(
            a.iter()
                .zip(b)
                .map(|(a, b)| a.as_secs_f64() - b.as_secs_f64()),
        )
    }

    /// Returns the spread of durations, in seconds.
    pub fn of_seconds(durations: &[Duration]) -> Option<Self> {
        Self::of(durations.iter().map(Duration::as_secs_f64))
    }

    /// Multiplies the spread by `factor`, which must not be negative.
    pub fn times(self, factor: f64) -> Self {
        Self {
            min: self.min * factor,
            median: self.median * factor,
            max: self.max * factor,
        }
    }

    /// Returns the noise: the range `max - min` as a fraction of the median.
    pub fn noise(self) -> f64 {
        (self.max - self.min) / self.median
    }
}

impl fmt::Display for Spread {
    /// Writes text such as `2.00 (1.90 to 2.10)`. The format's precision sets the number of
    /// decimals, by default 2.
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
    fn median_of_an_odd_count_is_the_middle_in_any_order() {
        let spread = Spread::of([9.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 9.0));
    }

    #[test]
    fn median_of_an_even_count_is_the_mean_of_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 100.0]).unwrap().median, 3.0);
    }

    #[test]
    fn no_numbers_have_no_median() {
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn interval_of_a_median_is_narrower_than_the_range() {
        let many: Vec<f64> = (1..=100).map(f64::from).collect();
        let known = Spread::of_median(&many).unwrap();
        assert_eq!((known.min, known.median, known.max), (41.0, 50.5, 60.0));
        let few = Spread::of_median(&[3.0, 1.0]).unwrap();
        assert_eq!((few.min, few.median, few.max), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of_median(&[]), None);
    }

    #[test]
    fn ratios_by_round_cancel_out_a_slow_round() {
        let spread = Spread::of_ratios(&seconds(&[2, 20, 4]), &seconds(&[1, 10, 2])).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (2.0, 2.0, 2.0));
    }

    #[test]
    fn median_of_ratios_is_not_the_ratio_of_medians() {
        let spread = Spread::of_ratios(&seconds(&[1, 2, 9]), &seconds(&[4, 1, 3])).unwrap();
        assert_eq!(spread.median, 2.0);
    }

    #[test]
    fn differences_may_be_negative() {
        let spread = Spread::of_differences(&seconds(&[1, 5]), &seconds(&[3, 1])).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (-2.0, 1.0, 4.0));
    }

    #[test]
    fn noise_is_the_range_as_a_fraction_of_the_median() {
        assert_eq!(Spread::of([8.0, 10.0, 13.0]).unwrap().noise(), 0.5);
    }

    #[test]
    fn spread_is_printed_with_the_given_precision() {
        let spread = Spread::of([1.0, 2.0, 4.0]).unwrap();
        assert_eq!(format!("{spread:.1}"), "2.0 (1.0 to 4.0)");
    }
}
