//! Measures the server and the bare handler in rounds. Each round measures both.

use crate::client::{Seen, load};
use crate::scene::{Scene, day, row};
use clarity_benches::statistics::Spread;
use std::io;
use std::time::Duration;

/// The minimum number of rounds. The noise of fewer rounds cannot be estimated.
const MIN_ROUNDS: usize = 7;

/// The maximum width of the 95 % confidence interval of a median ratio, as a fraction of the
/// median. The rounds end when both median ratios, of the rate and of the p99, reach this
/// precision.
const PRECISION: f64 = 0.05;

/// The measurements with one number of clients. Each list has one value for each round.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) clients: usize,
    pub(crate) server: Vec<Seen>,
    /// The bare handler that runs the model on a thread for blocking work. This handler stays
    /// responsive.
    pub(crate) blocking: Vec<Seen>,
    /// The bare handler that runs the model on the connection's thread.
    pub(crate) inline: Vec<Seen>,
    /// The server while the failing model's breaker is open.
    pub(crate) open: Vec<Seen>,
    /// The bare handler that answers with the same bytes as the open breaker.
    pub(crate) rejected: Vec<Seen>,
}

impl Measured {
    /// Returns the server's rate divided by the rate of the blocking bare handler.
    pub(crate) fn rates(&self) -> Option<Spread> {
        ratios(&self.server, &self.blocking, |seen| seen.rate)
    }

    /// Returns the server's p99 divided by the p99 of the blocking bare handler.
    pub(crate) fn p99s(&self) -> Option<Spread> {
        ratios(&self.server, &self.blocking, |seen| seen.p99)
    }

    /// Returns the server's rate with an open breaker, divided by the rate of the handler
    /// `rejected`.
    pub(crate) fn rejections(&self) -> Option<Spread> {
        ratios(&self.open, &self.rejected, |seen| seen.rate)
    }

    fn is_known(&self) -> bool {
        let known = |of: fn(&Seen) -> f64| {
            let ratios = self.server.iter().zip(&self.blocking);
            let ratios: Vec<f64> = ratios.map(|(a, b)| of(a) / of(b)).collect();
            Spread::of_median(&ratios).is_some_and(|spread| spread.noise() <= PRECISION)
        };
        self.server.len() >= MIN_ROUNDS && known(|seen| seen.rate) && known(|seen| seen.p99)
    }
}

fn ratios(a: &[Seen], b: &[Seen], of: impl Fn(&Seen) -> f64) -> Option<Spread> {
    Spread::of(a.iter().zip(b).map(|(a, b)| of(a) / of(b)))
}

/// Measures the servers with `clients` clients. Ends at the required [`PRECISION`], at the latest
/// after `rounds` rounds.
///
/// An extra round at the start warms up and does not count.
pub(crate) fn measure(
    scene: &Scene,
    clients: usize,
    rounds: u16,
    milliseconds: u64,
) -> io::Result<Measured> {
    let time = Duration::from_millis(milliseconds);
    let (server, bare) = (&scene.server, &scene.bare);
    let mut measured = Measured {
        clients,
        server: Vec::new(),
        blocking: Vec::new(),
        inline: Vec::new(),
        open: Vec::new(),
        rejected: Vec::new(),
    };
    let healthy = day("/v2/models/cole_kripke/infer");
    let (blocking, inline) = (day("/blocking"), day("/inline"));
    let (open, rejected) = (row("/v2/models/failing/infer"), row("/rejected"));
    for round in 0..=rounds {
        for (server, request, status, seen) in [
            (server, &healthy, 200, &mut measured.server),
            (bare, &blocking, 200, &mut measured.blocking),
            (bare, &inline, 200, &mut measured.inline),
            (server, &open, 503, &mut measured.open),
            (bare, &rejected, 503, &mut measured.rejected),
        ] {
            let one = load(server, request, status, clients, time)?;
            if round > 0 {
                seen.push(one);
            }
        }
        if measured.is_known() {
            break;
        }
    }
    Ok(measured)
}
