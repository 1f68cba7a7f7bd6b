//! Command-line arguments of the circuit breakers.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::duration::parse_duration;
use crate::{BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow, SlowCalls};

#[derive(Args, Debug)]
pub(super) struct BreakerArgs {
    /// The number of consecutive failures that opens a model's circuit breaker
    #[arg(
        long = "breaker-failures",
        value_name = "N",
        default_value_t = BreakerConfig::DEFAULT_FAILURES,
        conflicts_with = "window"
    )]
    failures: u32,
    /// Open the circuit breaker by failure rate, not by consecutive failures. The rate covers a
    /// number of calls (`100`) or a period (`60s`)
    #[arg(id = "window", long = "breaker-window", value_name = "CALLS|TIME")]
    window: Option<Window>,
    /// The failure rate that opens the circuit breaker, in percent
    #[arg(
        long = "breaker-failure-percent",
        value_name = "PERCENT",
        default_value_t = BreakerRate::default().failure_percent,
        requires = "window"
    )]
    failure_percent: u32,
    /// The minimum number of calls in the window before the rate is evaluated
    #[arg(
        long = "breaker-minimum-calls",
        value_name = "N",
        default_value_t = BreakerRate::default().minimum_calls,
        requires = "window"
    )]
    minimum_calls: u32,
    /// The duration beyond which a call is slow; a high rate of slow calls opens the circuit
    /// breaker too
    #[arg(id = "slow-after", long = "breaker-slow-after", value_name = "TIME", value_parser = parse_duration, requires = "window")]
    slow_after: Option<Duration>,
    /// The rate of slow calls that opens the circuit breaker, in percent
    #[arg(
        long = "breaker-slow-percent",
        value_name = "PERCENT",
        default_value_t = 50,
        requires = "slow-after"
    )]
    slow_percent: u32,
    /// How long the circuit breaker stays open; doubled after each failed half-open period
    #[arg(long = "breaker-open", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    open: Duration,
    /// The maximum open time
    #[arg(long = "breaker-open-most", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    open_most: Duration,
    /// Shorten each open time at random by up to this share, in percent
    #[arg(
        long = "breaker-jitter",
        value_name = "PERCENT",
        default_value_t = BreakerConfig::default().jitter_percent
    )]
    jitter_percent: u32,
    /// The number of trial calls after the open time
    #[arg(
        long = "breaker-probes",
        value_name = "N",
        default_value_t = BreakerConfig::default().half_open_permits
    )]
    probes: usize,
    /// The number of successful trial calls that closes the circuit breaker [default: all]
    #[arg(long = "breaker-successes", value_name = "N")]
    successes: Option<usize>,
    /// The time after which an unfinished trial call frees its slot; must exceed `--deadline`
    /// [default: 120s, or twice a deadline of that length]
    #[arg(long = "breaker-probe-lease", value_name = "TIME", value_parser = parse_duration)]
    probe_lease: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Window(BreakerWindow);

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(calls) = text.parse() {
            return Ok(Self(BreakerWindow::Calls(calls)));
        }
        let window = parse_duration(text).map(BreakerWindow::Time);
        window
            .map(Self)
            .map_err(|error| format!("expected a number of calls or a duration: {error}"))
    }
}

impl BreakerArgs {
    /// The configuration. `probe_lease` is the default of that flag.
    pub(super) fn config(&self, probe_lease: Duration) -> BreakerConfig {
        let mut config = BreakerConfig::default();
        config.trip = self.trip();
        config.open = self.open;
        config.open_most = self.open_most;
        config.jitter_percent = self.jitter_percent;
        config.half_open_permits = self.probes;
        config.half_open_successes = self.successes.unwrap_or(self.probes);
        config.probe_lease = self.probe_lease.unwrap_or(probe_lease);
        config
    }

    fn trip(&self) -> BreakerTrip {
        let Some(Window(window)) = self.window else {
            return BreakerTrip::ConsecutiveFailures(self.failures);
        };
        let slow_calls = |longer_than| SlowCalls::new(longer_than, self.slow_percent);
        let mut rate = BreakerRate::default();
        rate.window = window;
        rate.minimum_calls = self.minimum_calls;
        rate.failure_percent = self.failure_percent;
        rate.slow_calls = self.slow_after.map(slow_calls);
        BreakerTrip::Rate(rate)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct TestCommand {
        #[command(flatten)]
        breaker: BreakerArgs,
    }

    fn config(line: &str) -> Result<BreakerConfig, String> {
        let words = std::iter::once("serve").chain(line.split_whitespace());
        let command = TestCommand::try_parse_from(words).map_err(|error| error.to_string())?;
        let probe_lease = BreakerConfig::default().probe_lease;
        Ok(command.breaker.config(probe_lease))
    }

    #[test]
    fn breaker_args_without_flags_are_the_default() {
        assert_eq!(config(""), Ok(BreakerConfig::default()));
    }

    #[test]
    fn breaker_args_with_every_flag_set_every_setting() {
        let line = "--breaker-window 10m --breaker-failure-percent 30 --breaker-minimum-calls 7 \
            --breaker-slow-after 250ms --breaker-slow-percent 80 --breaker-open 5s --breaker-open-most 2m \
            --breaker-jitter 10 --breaker-probes 4 --breaker-successes 3 --breaker-probe-lease 45s";
        let mut rate = BreakerRate::default();
        rate.window = BreakerWindow::Time(Duration::from_secs(600));
        rate.minimum_calls = 7;
        rate.failure_percent = 30;
        rate.slow_calls = Some(SlowCalls::new(Duration::from_millis(250), 80));
        let mut expected = BreakerConfig::default();
        expected.trip = BreakerTrip::Rate(rate);
        expected.open = Duration::from_secs(5);
        expected.open_most = Duration::from_secs(120);
        expected.jitter_percent = 10;
        expected.half_open_permits = 4;
        expected.half_open_successes = 3;
        expected.probe_lease = Duration::from_secs(45);
        assert_eq!(config(line), Ok(expected));
    }

    #[test]
    fn breaker_window_of_a_bare_number_counts_calls() {
        let config = config("--breaker-window 50 --breaker-probes 3").unwrap();
        let mut rate = BreakerRate::default();
        rate.window = BreakerWindow::Calls(50);
        assert_eq!(config.trip, BreakerTrip::Rate(rate));
        assert_eq!(config.half_open_successes, 3);
    }

    #[test]
    fn breaker_args_that_conflict_are_refused() {
        for line in [
            "--breaker-failures 3 --breaker-window 50",
            "--breaker-failure-percent 30",
            "--breaker-minimum-calls 30",
            "--breaker-slow-after 1s",
            "--breaker-window 50 --breaker-slow-percent 30",
            "--breaker-window soon",
        ] {
            assert!(config(line).is_err(), "{line}");
        }
    }
}
