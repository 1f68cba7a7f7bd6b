//! Acceptance lines. Each line has a measured quantity, and a bound that the measurement must meet.

use crate::statistics::Spread;
use std::fmt;

/// An inclusive bound of a measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    /// Whether `number` is within the bound.
    pub fn holds(self, number: f64) -> bool {
        match self {
            Self::AtMost(most) => number <= most,
            Self::AtLeast(least) => number >= least,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

/// One acceptance line with its measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The name of the measured quantity.
    pub quantity: String,
    pub bound: Bound,
    /// The spread of the quantity over all rounds. The median is compared with the bound.
    pub found: Spread,
}

impl Line {
    /// Whether the median is within the bound.
    pub fn holds(&self) -> bool {
        self.bound.holds(self.found.median)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() {
            "holds         "
        } else {
            "does not hold "
        };
        write!(
            f,
            "{verdict} {}: {}, found {}",
            self.quantity, self.bound, self.found
        )
    }
}

/// Prints a heading and the lines.
pub fn report(lines: &[Line]) {
    println!("\nacceptance: median (min to max) of the rounds");
    for line in lines {
        println!("  {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bound: Bound) -> Line {
        Line {
            quantity: "calls".to_owned(),
            bound,
            found: Spread::of([1.0, 2.0, 9.0]).unwrap(),
        }
    }

    #[test]
    fn line_judges_the_median_with_an_inclusive_bound() {
        assert!(line(Bound::AtMost(2.0)).holds());
        assert!(!line(Bound::AtMost(1.9)).holds());
        assert!(line(Bound::AtLeast(2.0)).holds());
        assert!(!line(Bound::AtLeast(2.1)).holds());
    }

    #[test]
    fn line_shows_verdict_bound_and_measurement() {
        let text = line(Bound::AtLeast(2.5)).to_string();
        assert_eq!(
            text,
            "does not hold  calls: at least 2.5, found 2.00 (1.00 to 9.00)"
        );
    }
}
