//! Prints the tables of the measurements.

use crate::forms::Form;
use crate::parts::{self, Part};
use crate::series::Series;
use clarity_benches::statistics::Spread;
use std::time::Duration;

/// The maximum range of a form's times, as a fraction of the median. The table marks a form with a
/// wider range as noisy.
const NOISY: f64 = 0.2;

/// Prints the time of each form.
pub(crate) fn times(series: &Series) {
    println!("\n{} empty tests", series.count);
    println!(
        "  {:<42} {:>28} {:>10} {:>7}",
        "form", "seconds: median (min to max)", "tests/s", "spread"
    );
    for (form, times) in &series.forms {
        let Some(spread) = Spread::of_seconds(times) else {
            continue;
        };
        let noise = spread.noise();
        println!(
            "  {:<42} {:>28} {:>10.0} {:>6.0}%{}",
            form.name(),
            format!("{spread:.3}"),
            per_second(series.count, spread.median),
            noise * 100.0,
            if noise > NOISY { "  noisy" } else { "" }
        );
    }
}

/// Prints the ratio of every form's time to the time of every later form.
pub(crate) fn ratios(series: &Series) {
    println!(
        "\n  time of the first as a multiple of the second: median of the rounds (min to max)"
    );
    for (index, (first, a)) in series.forms.iter().enumerate() {
        for (second, b) in &series.forms[index + 1..] {
            if let Some(ratio) = Spread::of_ratios(a, b) {
                println!(
                    "  {:<84} {ratio:.3}",
                    format!("{} / {}", first.name(), second.name())
                );
            }
        }
    }
}

/// Prints each form's time per test in `more`, as a multiple of its time per test in `fewer`.
pub(crate) fn linearity(fewer: &Series, more: &Series) {
    println!(
        "\n{} against {} tests: time of one test as a multiple (1 is linear; below 1, the start of the run dominates)",
        more.count, fewer.count
    );
    for ((form, a), (_, b)) in fewer.forms.iter().zip(&more.forms) {
        if let Some(growth) = growth(fewer.count, a, more.count, b) {
            println!("  {:<42} {growth:.2}", form.name());
        }
    }
}

fn growth(fewer: usize, a: &[Duration], more: usize, b: &[Duration]) -> Option<Spread> {
    Some(Spread::of_ratios(b, a)?.times(fewer as f64 / more as f64))
}

/// Prints the cost of one case and of its parts.
///
/// The first form of `series` is libtest-mimic, which starts no processes. The second form is the
/// chaos harness without a sandbox. Each further form is the chaos harness with a sandbox.
pub(crate) fn one_case(series: &Series, parts: &[Part]) {
    let [(bare, bare_times), (chaos, chaos_times), sandboxed @ ..] = series.forms.as_slice() else {
        return;
    };
    let each = |spread: Spread| spread.times(1e6 / series.count as f64);
    let row = |name: &str, microseconds: Spread, how: &str| {
        println!("  {name:<12} {:>26}  {how}", format!("{microseconds:.0}"));
    };
    println!("\none case, microseconds: median (min to max)");
    for part in parts {
        row(
            part.name,
            part.seconds.times(1e6),
            &format!("model: {}", part.how),
        );
    }
    let difference = |(a, a_times): (&Form, &[Duration]), (b, b_times): (&Form, &[Duration])| {
        Some((
            each(Spread::of_differences(a_times, b_times)?),
            format!("difference of whole runs: {} minus {}", a.name(), b.name()),
        ))
    };
    for (form, times) in sandboxed {
        if let Some((sandbox, how)) = difference((form, times), (chaos, chaos_times)) {
            row("sandbox", sandbox, &how);
        }
    }
    if let Some((whole, how)) = difference((chaos, chaos_times), (bare, bare_times)) {
        row("whole", whole, &how);
        let explained: f64 = parts.iter().map(|part| part.seconds.median * 1e6).sum();
        println!(
            "  {:<12} {:>26.0}  whole minus the models, such as the pages that a fork of the real harness copies",
            "rest",
            whole.median - explained
        );
    }
    println!("  the sweep reads {} processes", parts::processes());
}

fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_proportion_to_the_tests_is_linear() {
        let (a, b) = ([Duration::from_secs(2)], [Duration::from_secs(20)]);
        assert_eq!(growth(1000, &a, 10000, &b).unwrap().median, 1.0);
        assert_eq!(
            growth(1000, &a, 10000, &[Duration::from_secs(60)])
                .unwrap()
                .median,
            3.0
        );
    }

    #[test]
    fn rate_is_tests_per_second() {
        assert_eq!(per_second(1000, 0.5), 2000.0);
    }
}
