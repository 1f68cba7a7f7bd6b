//! Exponential backoff with jitter.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// Delays that double from a minimum to a maximum, each shortened at random by up to a half.
///
/// Without jitter, clients that failed together would retry together. A share of one half is *equal
/// jitter*: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[derive(Clone, Debug)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    attempt: u32,
    jitter: f64,
    random: SplitMix64,
}

impl Backoff {
    /// Delays from `least` to `most`. Equal seeds give equal sequences of delays.
    pub fn new(least: Duration, most: Duration, seed: u64) -> Self {
        Self {
            least,
            most,
            attempt: 0,
            jitter: 0.5,
            random: SplitMix64(seed),
        }
    }

    /// Shortens each delay at random by up to this share of its length: 0 to 1; 0.5 by default.
    #[must_use]
    pub fn with_jitter(self, jitter: f64) -> Self {
        Self {
            jitter: jitter.clamp(0.0, 1.0),
            ..self
        }
    }

    /// The delay before the next attempt. Each call doubles the delay, up to the most.
    pub fn next_delay(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX);
        self.attempt = self.attempt.saturating_add(1);
        let delay = self.least.saturating_mul(factor).min(self.most);
        delay - delay.mul_f64(self.random.next_unit() * self.jitter)
    }

    /// Restarts at the least delay.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// A random seed from the operating system.
    pub(crate) fn random_seed() -> u64 {
        RandomState::new().hash_one(())
    }
}

/// Sebastiano Vigna's SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
// Good enough for jitter, and needs no dependency.
#[derive(Clone, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// The next number, at least 0 and below 1.
    // 53 bits fit a double exactly.
    fn next_unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(seed: u64) -> Vec<Duration> {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), seed);
        (0..100).map(|_| backoff.next_delay()).collect()
    }

    #[test]
    fn next_delay_doubles_up_to_the_most_and_loses_at_most_half() {
        for (attempt, delay) in delays(1).into_iter().enumerate() {
            let full = if attempt < 6 { 1 << attempt } else { 60 };
            let full = Duration::from_secs(full);
            assert!(
                delay > full / 2 && delay <= full,
                "attempt {attempt}: {delay:?} of {full:?}"
            );
        }
    }

    #[test]
    fn next_delay_without_jitter_is_exact() {
        let delay = |seconds| Duration::from_secs(seconds);
        let mut backoff = Backoff::new(delay(60), delay(150), 9).with_jitter(0.0);
        assert_eq!(
            [(); 3].map(|()| backoff.next_delay()),
            [delay(60), delay(120), delay(150)]
        );
    }

    #[test]
    fn equal_seeds_give_equal_delays() {
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }

    #[test]
    fn reset_starts_from_the_least() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 3);
        for _ in 0..10 {
            backoff.next_delay();
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }
}
