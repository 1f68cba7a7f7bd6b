//! What a measurement must show, and whether it does.

use crate::statistics::Spread;
use std::fmt;

/// Where a measured number must lie; a bound is inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    /// Whether `number` lies where it must.
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

/// One acceptance line with what was measured for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What must lie within the bound.
    pub what: String,
    pub bound: Bound,
    /// The rounds. Their median is judged.
    pub found: Spread,
}

impl Line {
    /// Whether the median holds.
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
            self.what, self.bound, self.found
        )
    }
}

/// Prints the lines under a heading.
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
            what: "calls".to_owned(),
            bound,
            found: Spread::of([1.0, 2.0, 9.0]).unwrap(),
        }
    }

    #[test]
    fn the_median_is_judged_and_a_bound_is_inside() {
        assert!(line(Bound::AtMost(2.0)).holds());
        assert!(!line(Bound::AtMost(1.9)).holds());
        assert!(line(Bound::AtLeast(2.0)).holds());
        assert!(!line(Bound::AtLeast(2.1)).holds());
    }

    #[test]
    fn a_line_says_what_was_to_be_shown_and_what_was_found() {
        let told = line(Bound::AtLeast(2.5)).to_string();
        assert_eq!(
            told,
            "does not hold  calls: at least 2.5, found 2.00 (1.00 to 9.00)"
        );
    }
}
