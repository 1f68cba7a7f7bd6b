//! The server and the bare handler in turn, round by round.

use crate::client::{Seen, load};
use crate::scene::{Scene, day, row};
use clarity_benches::statistics::Spread;
use std::io;
use std::time::Duration;

/// Fewer rounds say nothing about the noise.
const LEAST: usize = 7;

/// Enough is known when the median of the ratios is known to this part of it.
const PRECISION: f64 = 0.05;

/// What so many clients saw, of each form one for each round.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) clients: usize,
    pub(crate) server: Vec<Seen>,
    /// The bare handler that runs the model on a thread for work that blocks, as every server must that shall stay responsive.
    pub(crate) blocking: Vec<Seen>,
    /// The bare handler that runs the model where it stands.
    pub(crate) inline: Vec<Seen>,
    /// The server's answer while the breaker is open.
    pub(crate) open: Vec<Seen>,
    /// The same bytes from a bare handler.
    pub(crate) rejected: Vec<Seen>,
}

impl Measured {
    /// The server's rate as a part of the bare handler's.
    pub(crate) fn rates(&self) -> Option<Spread> {
        ratios(&self.server, &self.blocking, |seen| seen.rate)
    }

    /// The server's p99 as a part of the bare handler's.
    pub(crate) fn p99s(&self) -> Option<Spread> {
        ratios(&self.server, &self.blocking, |seen| seen.p99)
    }

    /// The rate of an open breaker as a part of the bare handler's that answers the same.
    pub(crate) fn rejections(&self) -> Option<Spread> {
        ratios(&self.open, &self.rejected, |seen| seen.rate)
    }

    fn is_known(&self) -> bool {
        let known = |of: fn(&Seen) -> f64| {
            let ratios = self.server.iter().zip(&self.blocking);
            let ratios: Vec<f64> = ratios.map(|(a, b)| of(a) / of(b)).collect();
            Spread::of_median(&ratios).is_some_and(|spread| spread.noise() <= PRECISION)
        };
        self.server.len() >= LEAST && known(|seen| seen.rate) && known(|seen| seen.p99)
    }
}

fn ratios(a: &[Seen], b: &[Seen], of: impl Fn(&Seen) -> f64) -> Option<Spread> {
    Spread::of(a.iter().zip(b).map(|(a, b)| of(a) / of(b)))
}

/// Measures with so many clients, until enough is known or the rounds are over. The round before the first does not count: it warms up.
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
        for (asked, request, status, seen) in [
            (server, &healthy, 200, &mut measured.server),
            (bare, &blocking, 200, &mut measured.blocking),
            (bare, &inline, 200, &mut measured.inline),
            (server, &open, 503, &mut measured.open),
            (bare, &rejected, 503, &mut measured.rejected),
        ] {
            let one = load(asked, request, status, clients, time)?;
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
