//! Reads metrics in the text format of Prometheus.

/// The value of a series, named as in the text: `name{label="value"}`. `None` if the text has no
/// such series.
///
/// # Panics
///
/// When the value is not a number.
#[must_use]
pub fn metric_in(text: &str, series: &str) -> Option<f64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().expect("the value of a series is a number"))
}
