//! The bounds of the settings.

use super::*;

fn error(spoil: impl Fn(&mut BreakerConfig, &mut BreakerRate)) -> String {
    let mut config = BreakerConfig::default();
    let mut rate = BreakerRate::default();
    spoil(&mut config, &mut rate);
    if config.trip == BreakerConfig::default().trip {
        config.trip = BreakerTrip::Rate(rate);
    }
    config.check().unwrap_err().to_string()
}

#[test]
fn defaults_are_five_failures_and_60_seconds() {
    let config = BreakerConfig::default();
    assert_eq!(config.check(), Ok(()));
    assert_eq!(config.trip, BreakerTrip::ConsecutiveFailures(5));
    assert_eq!(config.open, Duration::from_secs(60));
    let trip = BreakerTrip::Rate(BreakerRate::default());
    assert_eq!(BreakerConfig { trip, ..config }.check(), Ok(()));
}

#[test]
fn check_names_setting_bounds_and_value() {
    let slow = |percent| {
        let longer_than = Duration::from_secs(1);
        Some(SlowCalls {
            longer_than,
            percent,
        })
    };
    let slow_after = |longer_than| {
        let percent = 50;
        Some(SlowCalls {
            longer_than,
            percent,
        })
    };
    let two_years = Duration::from_secs(2 * 365 * 24 * 3600);
    let errors = [
        error(|config, _| config.trip = BreakerTrip::ConsecutiveFailures(0)),
        error(|config, _| config.trip = BreakerTrip::ConsecutiveFailures(1_000_001)),
        error(|config, _| config.open = two_years),
        error(|config, _| config.open_most = two_years),
        error(|config, _| config.jitter_percent = 101),
        error(|config, _| config.half_open_permits = 0),
        error(|config, _| config.half_open_permits = 10_001),
        error(|config, _| config.half_open_successes = 0),
        error(|config, _| config.half_open_successes = 2),
        error(|config, _| config.probe_lease = Duration::ZERO),
        error(|config, _| config.probe_lease = two_years),
        error(|_, rate| rate.window = BreakerWindow::Calls(0)),
        error(|_, rate| rate.window = BreakerWindow::Calls(1_000_001)),
        error(|_, rate| rate.window = BreakerWindow::Time(Duration::from_micros(999))),
        error(|_, rate| rate.window = BreakerWindow::Time(two_years)),
        error(|_, rate| rate.minimum_calls = 0),
        error(|_, rate| rate.minimum_calls = 101),
        error(|_, rate| rate.failure_percent = 0),
        error(|_, rate| rate.failure_percent = 101),
        error(|_, rate| rate.slow_calls = slow(0)),
        error(|_, rate| rate.slow_calls = slow(101)),
        error(|_, rate| rate.slow_calls = slow_after(two_years)),
    ];
    let expected = [
        "failures: expected 1 to 1000000, found 0",
        "failures: expected 1 to 1000000, found 1000001",
        "open: expected 365 days or less, found 63072000s",
        "open_most: expected 365 days or less, found 63072000s",
        "jitter_percent: expected 0 to 100, found 101",
        "half_open_permits: expected 1 to 10000, found 0",
        "half_open_permits: expected 1 to 10000, found 10001",
        "half_open_successes: expected 1 to half_open_permits, found 0",
        "half_open_successes: expected 1 to half_open_permits, found 2",
        "probe_lease: expected more than zero, found 0 s",
        "probe_lease: expected 365 days or less, found 63072000s",
        "window: expected 1 to 1000000 calls, found 0",
        "window: expected 1 to 1000000 calls, found 1000001",
        "window: expected 1 ms to 365 days, found 999µs",
        "window: expected 1 ms to 365 days, found 63072000s",
        "minimum_calls: expected 1 to 1000000, found 0",
        "minimum_calls: expected no more than window, found 101",
        "failure_percent: expected 1 to 100, found 0",
        "failure_percent: expected 1 to 100, found 101",
        "slow_calls.percent: expected 1 to 100, found 0",
        "slow_calls.percent: expected 1 to 100, found 101",
        "slow_calls.longer_than: expected 365 days or less, found 63072000s",
    ];
    assert_eq!(errors, expected);
}

#[tokio::test(start_paused = true)]
async fn breaker_with_times_of_a_year_does_not_overflow() {
    let year = Duration::from_secs(365 * 24 * 3600);
    let config = BreakerConfig {
        open: year,
        open_most: year,
        probe_lease: year,
        ..BreakerConfig::default()
    };
    assert_eq!(config.check(), Ok(()));
    let (breaker, _) = breaker(config);
    fail(&breaker, 5);
    tokio::time::advance(year).await;
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Closed);
}
