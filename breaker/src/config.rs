//! The settings of a breaker.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The settings of a circuit breaker: when it opens, for how long, and when it closes again.
///
/// ```
/// use std::time::Duration;
///
/// use clarity_breaker::{BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow};
///
/// // Opens when a tenth of the calls of the last minute failed, if there were at least a hundred.
/// let mut rate = BreakerRate::default();
/// rate.window = BreakerWindow::Time(Duration::from_secs(60));
/// rate.minimum_calls = 100;
/// rate.failure_percent = 10;
///
/// // Stays open for one minute, then two, four and five. Closes when two of three probes succeed.
/// let mut config = BreakerConfig::default();
/// config.trip = BreakerTrip::Rate(rate);
/// config.open_most = Duration::from_secs(300);
/// config.half_open_permits = 3;
/// config.half_open_successes = 2;
/// assert_eq!(config.check(), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// The condition that opens the breaker; 5 failures in a row by default.
    pub trip: BreakerTrip,
    /// The first open time: how long the breaker rejects calls before a probe. The open time
    /// doubles each time the probes fail. At most a year; 60 s by default.
    pub open: Duration,
    /// The longest open time, at most a year; 60 s by default.
    ///
    /// If `open_most` is not longer than [`open`](Self::open), all open times equal `open`.
    pub open_most: Duration,
    /// The jitter: each open time is shortened at random by up to this percentage. 0 to 100; 0 by
    /// default.
    pub jitter_percent: u32,
    /// The seed of the jitter. `None`, the default, means a random seed.
    pub seed: Option<u64>,
    /// The number of probes in one half-open state, including those that have ended. 1 to 10,000; 1
    /// by default.
    pub half_open_permits: usize,
    /// The number of probes that must succeed to close the breaker. The breaker opens again once
    /// this number is out of reach. 1 to [`half_open_permits`](Self::half_open_permits); 1 by
    /// default.
    pub half_open_successes: usize,
    /// The longest wait for a probe's outcome, after which another call can replace the probe. More
    /// than zero and at most a year; 120 s by default.
    ///
    /// The lease should be longer than the timeout of calls. Otherwise more probes than
    /// [`half_open_permits`](Self::half_open_permits) can be under way.
    pub probe_lease: Duration,
}

/// The condition that opens a circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerTrip {
    /// A number of failures in a row: 1 to 1,000,000.
    ConsecutiveFailures(u32),
    /// A share of failed or slow calls in a sliding window.
    Rate(BreakerRate),
}

/// A share of failed or slow calls in a sliding window.
///
/// Only a failure or a slow call can open the breaker. A quick success never does, even if it
/// pushes an older success out of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerRate {
    /// The sliding window; the last 100 calls by default.
    pub window: BreakerWindow,
    /// The fewest calls in the window that can open the breaker. 1 to 1,000,000, and at most the
    /// size of a window of calls; 20 by default.
    pub minimum_calls: u32,
    /// The share of failures that opens the breaker, in percent. 1 to 100; 50 by default.
    pub failure_percent: u32,
    /// The limit of slow calls. With `None`, the default, no call is slow, and a window of calls
    /// reads no clock.
    pub slow_calls: Option<SlowCalls>,
}

/// The window that slides over the calls of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerWindow {
    /// The last calls, in this number: 1 to 1,000,000.
    Calls(u32),
    /// The calls that ended within the last period of this duration: 1 ms to a year.
    ///
    /// The window slides in tenths: an outcome counts for nine to ten tenths of the duration.
    Time(Duration),
}

/// The limit of slow calls: a duration and a percentage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowCalls {
    /// The duration above which a call is slow, whether it succeeds or fails. A slow probe counts
    /// as failed. At most a year.
    pub longer_than: Duration,
    /// The share of slow calls that opens the breaker, in percent: 1 to 100.
    pub percent: u32,
}

/// The error of a setting that is out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerConfigError {
    setting: &'static str,
    expected: &'static str,
    found: String,
}

/// The longest duration of any setting: no use needs more, and adding it to a clock's time cannot
/// overflow.
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
    /// The default number of failures in a row that opens a breaker.
    pub const DEFAULT_FAILURES: u32 = 5;

    /// Checks that all settings are within their bounds.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its bounds.
    pub fn check(&self) -> Result<(), BreakerConfigError> {
        match &self.trip {
            BreakerTrip::ConsecutiveFailures(failures) => {
                million("failures", *failures)?;
            }
            BreakerTrip::Rate(rate) => rate.check()?,
        }
        year("open", self.open)?;
        year("open_most", self.open_most)?;
        year("probe_lease", self.probe_lease)?;
        within(
            "jitter_percent",
            "0 to 100",
            self.jitter_percent <= 100,
            self.jitter_percent,
        )?;
        within(
            "half_open_permits",
            "1 to 10000",
            (1..=10_000).contains(&self.half_open_permits),
            self.half_open_permits,
        )?;
        within(
            "half_open_successes",
            "1 to half_open_permits",
            (1..=self.half_open_permits).contains(&self.half_open_successes),
            self.half_open_successes,
        )?;
        positive("probe_lease", self.probe_lease)
    }
}

impl SlowCalls {
    /// Opens the breaker if at least `percent` percent of the calls take longer than `longer_than`.
    pub fn new(longer_than: Duration, percent: u32) -> Self {
        Self {
            longer_than,
            percent,
        }
    }
}

impl BreakerConfigError {
    /// The name of the invalid setting, as a path from [`BreakerConfig`].
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// The bounds of the invalid setting.
    pub fn expected(&self) -> &'static str {
        self.expected
    }

    /// The invalid value.
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl fmt::Display for BreakerConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            expected,
            found,
        } = self;
        write!(f, "{setting}: expected {expected}, found {found}")
    }
}

impl Error for BreakerConfigError {}

impl BreakerRate {
    fn check(&self) -> Result<(), BreakerConfigError> {
        million("minimum_calls", self.minimum_calls)?;
        match self.window {
            BreakerWindow::Calls(calls) => {
                let good = (1..=1_000_000).contains(&calls);
                within("window", "1 to 1000000 calls", good, calls)?;
                within(
                    "minimum_calls",
                    "no more than window",
                    self.minimum_calls <= calls,
                    self.minimum_calls,
                )?;
            }
            BreakerWindow::Time(time) => {
                let good = (Duration::from_millis(1)..=YEAR).contains(&time);
                let found = format_args!("{time:?}");
                within("window", "1 ms to 365 days", good, found)?;
            }
        }
        percent("failure_percent", self.failure_percent)?;
        match &self.slow_calls {
            Some(slow) => {
                year("slow_calls.longer_than", slow.longer_than)?;
                percent("slow_calls.percent", slow.percent)
            }
            None => Ok(()),
        }
    }
}

fn million(setting: &'static str, found: u32) -> Result<(), BreakerConfigError> {
    let good = (1..=1_000_000).contains(&found);
    within(setting, "1 to 1000000", good, found)
}

fn percent(setting: &'static str, found: u32) -> Result<(), BreakerConfigError> {
    within(setting, "1 to 100", (1..=100).contains(&found), found)
}

fn year(setting: &'static str, found: Duration) -> Result<(), BreakerConfigError> {
    let found_text = format_args!("{found:?}");
    within(setting, "365 days or less", found <= YEAR, found_text)
}

fn positive(setting: &'static str, found: Duration) -> Result<(), BreakerConfigError> {
    within(setting, "more than zero", !found.is_zero(), "0 s")
}

fn within(
    setting: &'static str,
    expected: &'static str,
    good: bool,
    found: impl fmt::Display,
) -> Result<(), BreakerConfigError> {
    match good {
        true => Ok(()),
        false => Err(BreakerConfigError {
            setting,
            expected,
            found: found.to_string(),
        }),
    }
}
