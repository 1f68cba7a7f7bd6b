//! The pace of the bytes in one direction of a connection whose bandwidth is limited.

use std::time::{Duration, Instant};

/// The number of pieces per second. Each piece has 10 ms' worth of bytes.
const PIECES_PER_SECOND: u64 = 100;

/// The longest delay by slow receivers that later bytes make up for: one piece's worth.
const LAG: Duration = Duration::from_millis(1000 / PIECES_PER_SECOND);

/// Decides when the pieces of a direction have passed. A piece is delivered when its last byte has
/// passed, so the delivered bytes are never ahead of the rate.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    run: Option<Run>,
    /// The time by which writes have put the bytes behind the rate.
    lag: Duration,
}

/// Bytes that pass one after the other at one rate, without a pause between them.
#[derive(Clone, Copy, Debug)]
struct Run {
    rate: u64,
    since: Instant,
    passed: u64,
    /// Whether a piece has begun to pass, and has not passed yet.
    has_begun: bool,
}

/// Returns the length of the next piece at this rate: 10 ms' worth of bytes, but at least one byte
/// and at most `available` bytes.
pub(super) fn piece(rate: u64, available: usize) -> usize {
    let worth = usize::try_from(rate / PIECES_PER_SECOND).unwrap_or(usize::MAX);
    worth.max(1).min(available)
}

impl Pacer {
    /// Returns the time at which the next `length` bytes have passed at this rate.
    ///
    /// `ready` is the time from which the bytes can pass. They begin to pass at this time, or as
    /// soon as the bytes before them have passed. A new rate begins at `ready`.
    pub(super) fn due(&mut self, rate: u64, length: usize, ready: Instant) -> Instant {
        let same = self.run.filter(|run| run.rate == rate);
        let mut run = match same {
            Some(run) if run.has_begun || ready <= run.end() => run,
            _ => Run {
                rate,
                since: ready,
                passed: 0,
                has_begun: false,
            },
        };
        run.has_begun = true;
        self.run = Some(run);
        run.time_of(length as u64)
    }

    /// Records that `length` bytes have passed, and that their write took from `began` to `ended`.
    ///
    /// While a receiver is slow, no bytes pass the line. So they do not all pass at once
    /// afterwards, except for one piece's worth.
    pub(super) fn pass(&mut self, length: usize, began: Instant, ended: Instant) {
        let Some(run) = &mut self.run else { return };
        run.passed += length as u64;
        run.has_begun = false;
        let behind = ended.saturating_duration_since(run.end());
        let lag = behind.min(self.lag + ended.saturating_duration_since(began));
        self.lag = lag.min(LAG);
        run.since += lag - self.lag;
    }

    /// Records that the pacer waits for the next piece: the bytes are not behind the rate.
    pub(super) fn wait(&mut self) {
        self.lag = Duration::ZERO;
    }

    /// Interrupts the bytes, for example during a blackhole. The next piece begins anew.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }
}

impl Run {
    /// The time at which all bytes so far have passed.
    fn end(&self) -> Instant {
        self.time_of(0)
    }

    /// The time at which `more` bytes will have passed.
    fn time_of(&self, more: u64) -> Instant {
        // The time is computed from the first byte of the run, so that no rounding adds up.
        let bytes = u128::from(self.passed) + u128::from(more);
        let nanoseconds = (bytes * 1_000_000_000).div_ceil(u128::from(self.rate.max(1)));
        // A limit of a century avoids an overflow.
        let most = Duration::from_secs(100 * 365 * 24 * 3600);
        let time = u64::try_from(nanoseconds).map_or(most, Duration::from_nanos);
        self.since + time.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt as _;

    const MS: Duration = Duration::from_millis(1);

    /// Passes `total` bytes of a full queue. Each wait ends late by `late()`. Returns the number of
    /// delivered bytes after each piece, and the time since the start.
    fn transfer(rate: u64, total: usize, mut late: impl FnMut() -> Duration) -> Vec<(u64, f64)> {
        let start = Instant::now();
        let (mut now, mut pacer) = (start, Pacer::default());
        let (mut delivered, mut steps) = (0, Vec::new());
        while delivered < total {
            let length = piece(rate, total - delivered);
            let due = pacer.due(rate, length, start);
            if now < due {
                pacer.wait();
                now = due + late();
                assert_eq!(pacer.due(rate, length, start), due);
            }
            pacer.pass(length, now, now);
            delivered += length;
            steps.push((delivered as u64, (now - start).as_secs_f64()));
        }
        steps
    }

    #[test]
    fn pacer_full_queue_keeps_the_rate() {
        let rates = [1, 3, 99, 100, 101, 1000, 12_345, 1 << 20, 50_000_000];
        for rate in rates {
            for total in [1, 2, rate as usize / 2 + 1, rate as usize * 3 + 7] {
                let steps = transfer(rate, total, || Duration::ZERO);
                for (bytes, time) in &steps {
                    assert!(
                        *bytes as f64 <= time * rate as f64 + 1e-3,
                        "{rate}: {bytes}"
                    );
                }
                let (bytes, time) = steps[steps.len() - 1];
                assert_eq!(bytes, total as u64);
                assert!(
                    (time - total as f64 / rate as f64).abs() < 1e-6,
                    "{rate}: {time}"
                );
                let longest = (rate / 100).max(1) as usize;
                assert!(steps.len() >= total.div_ceil(longest));
            }
        }
    }

    #[test]
    fn pacer_late_wakeups_do_not_slow_the_transfer() {
        let mut rng = crate::test::random::rng(clarity_chaos_record::Seed::new(1));
        let steps = transfer(10_000, 20_000, || rng.random_range(0..30) * MS);
        for (bytes, time) in &steps {
            assert!(*bytes as f64 <= time * 10_000.0 + 1e-3);
        }
        let (_, time) = steps[steps.len() - 1];
        assert!((2.0..2.04).contains(&time), "{time}");
    }

    #[test]
    fn pacer_pause_of_the_sender_is_not_made_up_for() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        assert_eq!(pacer.due(100, 1, start), start + 10 * MS);
        pacer.pass(1, start + 10 * MS, start + 10 * MS);
        let later = start + 5000 * MS;
        assert_eq!(pacer.due(100, 1, later), later + 10 * MS);
    }

    #[test]
    fn pacer_slow_receiver_leaves_one_piece_to_make_up_for() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        // Each write takes twice the time of its piece, for 200 ms.
        let mut now = start + 10 * MS;
        for _ in 0..10 {
            assert!(pacer.due(1000, 10, start) <= now);
            pacer.pass(10, now, now + 20 * MS);
            now += 20 * MS;
        }
        let due = pacer.due(1000, 10, start);
        assert!(due >= now - 10 * MS, "{:?}", now - due);
    }

    #[test]
    fn pacer_new_rate_begins_when_it_is_set() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        assert_eq!(pacer.due(1, 1, start), start + 1000 * MS);
        let changed = start + 300 * MS;
        assert_eq!(pacer.due(1000, 1, changed), changed + MS);
    }

    #[test]
    fn pacer_other_changes_do_not_restart_a_piece() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        let due = pacer.due(1, 1, start);
        assert_eq!(pacer.due(1, 1, start + 900 * MS), due);
        pacer.stop();
        assert_eq!(pacer.due(1, 1, start + 900 * MS), start + 1900 * MS);
    }

    #[test]
    fn piece_is_ten_milliseconds_worth_within_its_bounds() {
        assert_eq!(piece(1, 100), 1);
        assert_eq!(piece(99, 100), 1);
        assert_eq!(piece(1000, 100), 10);
        assert_eq!(piece(50_000_000, 1 << 16), 1 << 16);
        assert_eq!(piece(u64::MAX, 7), 7);
        assert_eq!(piece(5, 0), 0);
    }
}
