//! Prints the times, and derives the acceptance lines.

use crate::rounds::Measured;
use clarity_benches::acceptance::{Bound, Line};
use clarity_benches::statistics::Spread;

/// The maximum time that a dormant oracle adds to an iteration of the empty loop, in nanoseconds.
const DORMANT: f64 = 1.0;

/// The minimum time that an oracle with a sink adds to an iteration of the empty loop, in
/// nanoseconds.
// With a sink, each iteration makes a function call, an increment and a comparison. A smaller time
// would show that the benchmark measures nothing.
const LISTENING: f64 = 1.0;

/// Prints the cost of an iteration for each loop.
pub(crate) fn times(measured: &Measured) {
    println!("\nnanoseconds of processor time for each iteration: median (min to max)");
    for (name, numbers) in [
        ("empty", &measured.empty),
        ("dormant oracle", &measured.dormant),
        ("oracle with a sink", &measured.listening),
    ] {
        if let Some(spread) = Spread::of(numbers.iter().copied()) {
            println!("  {name:<20} {spread:.2}");
        }
    }
}

/// Returns the acceptance lines. Each line has the cost of a loop with an oracle, minus the cost of
/// the same round's empty loop.
pub(crate) fn lines(measured: &Measured) -> Vec<Line> {
    let over_empty = |name: &str, numbers: &[f64], bound| {
        let pairs = numbers.iter().zip(&measured.empty);
        Some(Line {
            quantity: format!("{name}: ns over the empty loop"),
            bound,
            found: Spread::of(pairs.map(|(with, without)| with - without))?,
        })
    };
    let dormant = over_empty("dormant oracle", &measured.dormant, Bound::AtMost(DORMANT));
    let listening = over_empty(
        "oracle with a sink, which shows that there is something to measure",
        &measured.listening,
        Bound::AtLeast(LISTENING),
    );
    dormant.into_iter().chain(listening).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(dormant: f64, listening: f64) -> Vec<bool> {
        let measured = Measured {
            empty: vec![0.5, 5.0, 0.5],
            dormant: vec![0.5 + dormant, 5.0, 0.5 + dormant],
            listening: vec![0.5 + listening, 5.0, 0.5 + listening],
        };
        lines(&measured).iter().map(Line::holds).collect()
    }

    #[test]
    fn lines_judge_the_median_over_the_same_round() {
        assert_eq!(holding(0.9, 7.0), [true, true]);
        assert_eq!(holding(1.1, 7.0), [false, true]);
        assert_eq!(holding(0.1, 0.5), [true, false]);
    }
}
