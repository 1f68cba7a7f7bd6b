//! What a breaker bears.

use std::time::Duration;

use crate::ConfigError;

/// What a circuit breaker bears, how long it stays open, and what closes it again.
///
/// ```
/// use std::time::Duration;
///
/// use clarity::{BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow, Config};
///
/// // Opens when a tenth of the calls of the last minute failed, if there were a hundred; then for a minute, two
/// // minutes, four, five; and closes when two of three probes succeed.
/// let rate = BreakerRate {
///     window: BreakerWindow::Time(Duration::from_secs(60)),
///     minimum_calls: 100,
///     failure_percent: 10,
///     ..BreakerRate::default()
/// };
/// let breaker = BreakerConfig {
///     trip: BreakerTrip::Rate(rate),
///     open_most: Duration::from_secs(300),
///     half_open_permits: 3,
///     half_open_successes: 2,
///     ..BreakerConfig::default()
/// };
/// let config = Config { breaker, ..Config::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// What opens it. 5 failures in a row by default.
    pub trip: BreakerTrip,
    /// How long it stays open before a call may probe the model, the first time; twice as long after each probing that
    /// failed. A year at most; 60 s by default.
    pub open: Duration,
    /// The longest that it stays open, a year at most. Unless it is longer than [`open`](Self::open) all open times are
    /// the same, as by default: 60 s.
    pub open_most: Duration,
    /// Open times are shortened at random by up to so many percent, so that breakers that opened together do not probe
    /// together. 0 to 100; 0 by default.
    pub jitter_percent: u32,
    /// The seed of the random part, from which each model has its own; drawn anew by each server if there is none, as by
    /// default.
    pub seed: Option<u64>,
    /// So many calls may be made as probes while half-open, those under way and those that had an outcome together. 1 to
    /// 10,000; 1 by default.
    pub half_open_permits: usize,
    /// So many of them must succeed to close it; as soon as that cannot happen any more, it opens again. 1 to
    /// [`half_open_permits`](Self::half_open_permits); 1 by default.
    pub half_open_successes: usize,
    /// A probe whose outcome is unknown after this gives its place to another. Longer than
    /// [`Config::deadline`](crate::Config::deadline), which ends probes that hang: with less, more of them than may be
    /// would be under way. A year at most; 120 s by default.
    pub probe_lease: Duration,
}

/// What opens a circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerTrip {
    /// So many failures in a row: 1 to 1,000,000.
    ConsecutiveFailures(u32),
    /// Too great a share of failures, or of slow calls, among the latest calls.
    Rate(BreakerRate),
}

/// Too great a share of failures, or of slow calls, among the latest calls.
///
/// It is judged by each call that failed or was slow: one that was quick and right never opens a breaker, even when an
/// older one leaves the window with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerRate {
    /// Which calls are the latest. The last 100 by default.
    pub window: BreakerWindow,
    /// With fewer calls than this in the window nothing is judged. 1 to 1,000,000, and no more than a window of calls
    /// holds; 20 by default.
    pub minimum_calls: u32,
    /// Opens when so many percent of the calls failed, or more. 1 to 100; 50 by default.
    pub failure_percent: u32,
    /// What is a slow call, and how many are too many. Slow calls are not looked for by default; then, with a window of
    /// calls, no clock is read.
    pub slow_calls: Option<SlowCalls>,
}

/// The window that slides over the calls of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerWindow {
    /// The last so many calls: 1 to 1,000,000.
    Calls(u32),
    /// The calls whose outcome came within this time, which slides on in tenths: an outcome counts for at least nine
    /// tenths of it and at most all of it. 1 ms to a year.
    Time(Duration),
}

/// What is a slow call, and how many are too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowCalls {
    /// A call is slow that takes longer than this, whether it succeeds or fails; a probe that is slow has failed. A year
    /// at most.
    pub longer_than: Duration,
    /// Opens when so many percent of the calls were slow, or more: 1 to 100.
    pub percent: u32,
}

/// A year is beyond any sense, and far from where adding it to a time overflows.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            trip: BreakerTrip::ConsecutiveFailures(Self::DEFAULT_FAILURES),
            open: Duration::from_secs(60),
            open_most: Duration::from_secs(60),
            jitter_percent: 0,
            seed: None,
            half_open_permits: 1,
            half_open_successes: 1,
            probe_lease: Duration::from_secs(120),
        }
    }
}

impl Default for BreakerRate {
    fn default() -> Self {
        Self {
            window: BreakerWindow::Calls(100),
            minimum_calls: 20,
            failure_percent: 50,
            slow_calls: None,
        }
    }
}

impl BreakerConfig {
    /// So many failures in a row open a breaker by default.
    pub const DEFAULT_FAILURES: u32 = 5;

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.trip {
            BreakerTrip::ConsecutiveFailures(failures) => {
                million("breaker.failures", *failures)?;
            }
            BreakerTrip::Rate(rate) => rate.check()?,
        }
        year("breaker.open", self.open)?;
        year("breaker.open_most", self.open_most)?;
        year("breaker.probe_lease", self.probe_lease)?;
        within(
            "breaker.jitter_percent",
            "0 to 100",
            self.jitter_percent <= 100,
            self.jitter_percent,
        )?;
        within(
            "breaker.half_open_permits",
            "1 to 10000",
            (1..=10_000).contains(&self.half_open_permits),
            self.half_open_permits,
        )?;
        within(
            "breaker.half_open_successes",
            "1 to breaker.half_open_permits",
            (1..=self.half_open_permits).contains(&self.half_open_successes),
            self.half_open_successes,
        )?;
        positive("breaker.probe_lease", self.probe_lease)
    }
}

impl BreakerRate {
    fn check(&self) -> Result<(), ConfigError> {
        million("breaker.minimum_calls", self.minimum_calls)?;
        match self.window {
            BreakerWindow::Calls(calls) => {
                let good = (1..=1_000_000).contains(&calls);
                within("breaker.window", "1 to 1000000 calls", good, calls)?;
                within(
                    "breaker.minimum_calls",
                    "no more than breaker.window",
                    self.minimum_calls <= calls,
                    self.minimum_calls,
                )?;
            }
            BreakerWindow::Time(time) => {
                let good = (Duration::from_millis(1)..=YEAR).contains(&time);
                let found = format_args!("{time:?}");
                within("breaker.window", "1 ms to 365 days", good, found)?;
            }
        }
        percent("breaker.failure_percent", self.failure_percent)?;
        match &self.slow_calls {
            Some(slow) => {
                year("breaker.slow_calls.longer_than", slow.longer_than)?;
                percent("breaker.slow_calls.percent", slow.percent)
            }
            None => Ok(()),
        }
    }
}

fn million(setting: &'static str, found: u32) -> Result<(), ConfigError> {
    let good = (1..=1_000_000).contains(&found);
    within(setting, "1 to 1000000", good, found)
}

fn percent(setting: &'static str, found: u32) -> Result<(), ConfigError> {
    within(setting, "1 to 100", (1..=100).contains(&found), found)
}

fn year(setting: &'static str, found: Duration) -> Result<(), ConfigError> {
    let found_text = format_args!("{found:?}");
    within(setting, "365 days or less", found <= YEAR, found_text)
}

fn positive(setting: &'static str, found: Duration) -> Result<(), ConfigError> {
    within(setting, "more than zero", !found.is_zero(), "0 s")
}

fn within(
    setting: &'static str,
    expected: &'static str,
    good: bool,
    found: impl std::fmt::Display,
) -> Result<(), ConfigError> {
    match good {
        true => Ok(()),
        false => Err(ConfigError::new(setting, expected, found)),
    }
}
