//! What was measured, as text, and what it must show.

use crate::client::Seen;
use crate::loading::Loading;
use crate::rounds::Measured;
use clarity_benches::acceptance::{Bound, Line};
use clarity_benches::statistics::Spread;

/// Rate and p99 lie within this part of the bare handler's.
const NEAR: f64 = 0.05;

/// Rates and p99 of each form.
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

/// The acceptance lines with so many clients.
pub(crate) fn lines(measured: &Measured) -> Vec<Line> {
    let clients = measured.clients;
    [
        (
            "rate / bare handler's",
            Bound::AtLeast(1.0 - NEAR),
            measured.rates(),
        ),
        (
            "p99 / bare handler's",
            Bound::AtMost(1.0 + NEAR),
            measured.p99s(),
        ),
        (
            "rate of an open breaker / bare handler's of the same 503",
            Bound::AtLeast(0.9),
            measured.rejections(),
        ),
    ]
    .into_iter()
    .filter_map(|(what, bound, found)| {
        Some(Line {
            what: format!("{clients:>2} clients, {what}"),
            bound,
            found: found?,
        })
    })
    .collect()
}

/// What another model's clients see while a large one loads.
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

/// The acceptance lines of that.
pub(crate) fn loading_lines(measured: &[Loading]) -> Vec<Line> {
    let line = |what: &str, of: fn(&Loading) -> f64| {
        Some(Line {
            what: what.to_owned(),
            bound: Bound::AtMost(2.0),
            found: Spread::of(measured.iter().map(of))?,
        })
    };
    [
        line("p99 of another model while 100 MB load / idle", |one| {
            one.busy / one.idle
        }),
        line("what 100 MB add to the peak memory / file", |one| {
            one.memory
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}
