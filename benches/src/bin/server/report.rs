//! Prints the measurements, and derives the acceptance lines.

use crate::client::Seen;
use crate::loading::Loading;
use crate::rounds::Measured;
use clarity_benches::acceptance::{Bound, Line};
use clarity_benches::statistics::Spread;

/// The tolerance of the server's rate and p99, as a fraction of the bare handler's rate and p99.
const TOLERANCE: f64 = 0.05;

/// Prints each server's rate, p99 and processor time per answer.
pub(crate) fn rates(measured: &Measured) {
    println!(
        "\n{} clients, {} rounds: median (min to max)",
        measured.clients,
        measured.server.len()
    );
    println!(
        "  {:<36} {:>28} {:>24} {:>26}",
        "", "answers/s", "p99, ms", "processor, µs an answer"
    );
    for (name, seen) in [
        ("clarity, a day of minutes", &measured.server),
        ("bare handler, on a blocking thread", &measured.blocking),
        ("bare handler, where it stands", &measured.inline),
        ("clarity, breaker open", &measured.open),
        ("bare handler, the same 503", &measured.rejected),
    ] {
        let of = |of: fn(&Seen) -> f64| Spread::of(seen.iter().map(of));
        if let (Some(rate), Some(p99), Some(used)) = (
            of(|seen| seen.rate),
            of(|seen| seen.p99 * 1e3),
            of(|seen| seen.used * 1e6),
        ) {
            println!(
                "  {name:<36} {:>28} {:>24} {:>26}",
                format!("{rate:.0}"),
                format!("{p99:.2}"),
                format!("{used:.1}")
            );
        }
    }
}

/// Returns the acceptance lines for one number of clients.
pub(crate) fn lines(measured: &Measured) -> Vec<Line> {
    let clients = measured.clients;
    [
        (
            "rate / bare handler's",
            Bound::AtLeast(1.0 - TOLERANCE),
            measured.rates(),
        ),
        (
            "p99 / bare handler's",
            Bound::AtMost(1.0 + TOLERANCE),
            measured.p99s(),
        ),
        (
            "rate of an open breaker / bare handler's of the same 503",
            Bound::AtLeast(0.9),
            measured.rejections(),
        ),
    ]
    .into_iter()
    .filter_map(|(quantity, bound, found)| {
        Some(Line {
            quantity: format!("{clients:>2} clients, {quantity}"),
            bound,
            found: found?,
        })
    })
    .collect()
}

/// Prints the measurements of the loads of the large model.
pub(crate) fn loading(measured: &[Loading]) {
    println!("\na model of 100 MB loads while another answers: median (min to max)");
    for (what, of) in [
        (
            "p99 of the other, nothing loading, ms",
            (|one| one.idle * 1e3) as fn(&Loading) -> f64,
        ),
        ("p99 of the other, loading, ms", |one| one.busy * 1e3),
        ("the load, s", |one| one.took),
        ("added to the peak memory / file", |one| one.memory),
    ] {
        if let Some(spread) = Spread::of(measured.iter().map(of)) {
            println!("  {what:<44} {spread:.2}");
        }
    }
}

/// Returns the acceptance lines for the loads of the large model.
pub(crate) fn loading_lines(measured: &[Loading]) -> Vec<Line> {
    let line = |quantity: &str, of: fn(&Loading) -> f64| {
        Some(Line {
            quantity: quantity.to_owned(),
            bound: Bound::AtMost(2.0),
            found: Spread::of(measured.iter().map(of))?,
        })
    };
    [
        line("p99 of another model while 100 MB load / idle", |one| {
            one.busy / one.idle
        }),
        line("growth of the peak memory by 100 MB / file", |one| {
            one.memory
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}
