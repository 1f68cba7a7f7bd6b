//! Requests that killed workers.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::Digest;

/// The number of deaths after which a request is refused.
const DEATHS: u32 = 2;

/// The time for which a death counts.
const HELD: Duration = Duration::from_secs(60);

/// The maximum number of suspects.
const MAX_SUSPECTS: usize = 1024;

/// The requests during which a worker died, by digest.
#[derive(Debug, Default)]
pub(super) struct Suspects(HashMap<Digest, Suspect>);

#[derive(Debug)]
struct Suspect {
    deaths: u32,
    last: Instant,
}

impl Suspects {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the death of a worker that ran nothing but the request.
    pub(super) fn add(&mut self, request: Digest) {
        self.forget();
        if self.0.len() < MAX_SUSPECTS || self.0.contains_key(&request) {
            let now = Instant::now();
            let suspect = self.0.entry(request).or_insert(Suspect {
                deaths: 0,
                last: now,
            });
            suspect.deaths += 1;
            suspect.last = now;
        }
    }

    /// Whether the request is refused.
    pub(super) fn holds(&mut self, request: &Digest) -> bool {
        self.forget();
        self.0
            .get(request)
            .is_some_and(|suspect| suspect.deaths >= DEATHS)
    }

    fn forget(&mut self) {
        self.0.retain(|_, suspect| suspect.last.elapsed() < HELD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn request_that_killed_two_workers_is_refused_for_a_minute() {
        let (mut suspects, request) = (Suspects::default(), Digest::of(b"request"));
        assert!(suspects.is_empty());
        suspects.add(request);
        suspects.add(Digest::of(b"other"));
        assert!(!suspects.holds(&request));
        suspects.add(request);
        assert!(suspects.holds(&request));
        assert!(!suspects.holds(&Digest::of(b"other")));
        tokio::time::advance(HELD - Duration::from_millis(1)).await;
        assert!(suspects.holds(&request));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!suspects.holds(&request) && suspects.is_empty());
    }
}
