//! Prints the measurements, and derives the acceptance lines.

use crate::rounds::{Kind, Series};
use clarity_benches::acceptance::{Bound, Line};
use clarity_benches::statistics::Spread;

/// The upper bound of the cost that a breaker adds to a bare call, in nanoseconds. The bound
/// applies to our breaker that counts failures in a row.
const OVER_BARE: f64 = 5.0;

/// Prints the cost of a call for each series.
pub(crate) fn times(all: &[Series]) {
    println!("\nnanoseconds of processor time for each call: median (min to max)");
    for series in all {
        if let Some(spread) = Spread::of(series.nanoseconds.iter().copied()) {
            println!(
                "  {}, {} % failed  {:<28} {spread:.1}",
                threads(series.threads),
                series.failures.percent(),
                series.name
            );
        }
    }
}

/// Returns the acceptance lines. Our breaker that counts failures in a row is compared with a bare
/// call. Each of our breakers with a window is compared with the fastest peer of the same kind.
pub(crate) fn lines(all: &[Series]) -> Vec<Line> {
    all.iter()
        .filter(|series| series.ours)
        .filter_map(|series| match series.kind {
            Kind::Bare => None,
            Kind::Consecutive => over_bare(all, series),
            Kind::CountWindow | Kind::TimeWindow => relative_to_fastest(all, series),
        })
        .collect()
}

fn over_bare(all: &[Series], ours: &Series) -> Option<Line> {
    let bare = same_load(all, ours).find(|series| series.kind == Kind::Bare)?;
    Some(Line {
        quantity: format!("{}: ns over a bare call", describe(ours)),
        bound: Bound::AtMost(OVER_BARE),
        found: round_by_round(ours, bare, |ours, bare| ours - bare)?,
    })
}

fn relative_to_fastest(all: &[Series], ours: &Series) -> Option<Line> {
    let median = |series: &Series| Spread::of(series.nanoseconds.iter().copied()).map(|s| s.median);
    let fastest = same_load(all, ours)
        .filter(|series| series.kind == ours.kind && !series.ours)
        .filter_map(|series| Some((series, median(series)?)))
        .min_by(|(_, a), (_, b)| a.total_cmp(b))?
        .0;
    Some(Line {
        quantity: format!("{} / {}", describe(ours), fastest.name),
        bound: Bound::AtMost(1.0),
        found: round_by_round(ours, fastest, |ours, fastest| ours / fastest)?,
    })
}

/// Returns all series with the same thread count and failure rate as `one`.
fn same_load<'a>(all: &'a [Series], one: &'a Series) -> impl Iterator<Item = &'a Series> {
    all.iter()
        .filter(|other| (other.threads, other.failures) == (one.threads, one.failures))
}

fn round_by_round(a: &Series, b: &Series, compare: impl Fn(f64, f64) -> f64) -> Option<Spread> {
    let pairs = a.nanoseconds.iter().zip(&b.nanoseconds);
    Spread::of(pairs.map(|(a, b)| compare(*a, *b)))
}

fn describe(series: &Series) -> String {
    let (threads, percent) = (threads(series.threads), series.failures.percent());
    format!("{}, {threads}, {percent} % failed", series.name)
}

fn threads(count: usize) -> &'static str {
    match count {
        1 => "one thread ",
        _ => "two threads",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::Failures;

    fn series(name: &'static str, kind: Kind, nanoseconds: &[f64]) -> Series {
        Series {
            name,
            kind,
            ours: name.starts_with("clarity"),
            threads: 1,
            failures: Failures::Never,
            nanoseconds: nanoseconds.to_vec(),
        }
    }

    #[test]
    fn lines_compare_ours_with_the_bare_call_of_the_round() {
        let all = [
            series("bare call", Kind::Bare, &[1.0, 10.0]),
            series("clarity, in a row", Kind::Consecutive, &[5.0, 14.0]),
        ];
        let lines = lines(&all);
        assert_eq!(lines[0].found.max, 4.0);
        assert!(lines[0].holds());
    }

    #[test]
    fn lines_compare_our_window_with_the_fastest_peer() {
        let all = [
            series("clarity, calls", Kind::CountWindow, &[5.0]),
            series("slow, calls", Kind::CountWindow, &[10.0]),
            series("fast, calls", Kind::CountWindow, &[4.0]),
            series("other, time", Kind::TimeWindow, &[1.0]),
        ];
        let lines = lines(&all);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].found.median, 1.25);
        assert!(!lines[0].holds());
    }
}
