//! What can be set about a server.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use thiserror::Error;

use crate::{BearerToken, BreakerConfig, ModelName, VersionPolicy};

/// No time is longer (a leap year): a moment beyond it might not be countable.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// More loads at a time only get in each other's way.
const MOST_LOADS: usize = 1024;

/// What can be set about a server. All times are those of Tokio's clock, which tests may drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The circuit breaker that each model has.
    pub breaker: BreakerConfig,
    /// How changes on disk are noticed and bad versions tried again.
    pub reload: ReloadConfig,
    /// Which versions of a model answer; the latest of those that are not here.
    pub versions: BTreeMap<ModelName, VersionPolicy>,
    /// How what is on disk is read again in the background.
    pub scrub: ScrubConfig,
    /// The largest body of a request, in bytes. 16 MiB by default.
    pub body_limit: usize,
    /// The memory that bodies, inputs and answers of all requests together may take, in bytes; what finds no room is
    /// refused as overloaded. It does not bound what a model takes while it runs. A request in JSON may take five times its
    /// body, so that it should be several times [`body_limit`](Self::body_limit), and no less. 256 MiB by default.
    pub memory_limit: usize,
    /// How long a body may take to arrive, and then how long a model may take to answer. More than zero, and shorter
    /// than [`BreakerConfig::probe_lease`]; 30 s by default.
    pub deadline: Duration,
    /// How long a shutdown waits for requests under way. No less than the deadline; twice that and more for the slowest
    /// of bodies to be answered too. 45 s by default.
    pub drain: Duration,
    /// So many connections at a time; more wait until one ends. 1 or more; 1024 by default.
    pub connections: usize,
    /// How long a connection may be without a request, from its start or its last answer to the end of the head of the
    /// next, and how long a client may take nothing of its answer; then the connection is closed. More than zero; 60 s by
    /// default, as nginx has it for [both](https://nginx.org/en/docs/http/ngx_http_core_module.html#client_header_timeout).
    pub idle: Duration,
    /// What a request to load or unload a model must bring; none, as by default, turns these off.
    pub admin_token: Option<BearerToken>,
}

/// How changes on disk are noticed, and bad versions tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadConfig {
    /// How often names, sizes and times on disk are looked at. More than zero; 1 s by default.
    pub poll: Duration,
    /// The delay before a bad version is tried again though nothing seems to have changed; doubled each time. 1 s by
    /// default.
    pub backoff_least: Duration,
    /// The longest such delay. 60 s by default.
    pub backoff_most: Duration,
    /// Whether versions without a manifest are served, each answer saying so; not by default. Those that have one must
    /// be what it promises all the same.
    pub allow_unverified: bool,
    /// How often a version that answers is probed again, if it has a probe. More than zero; 60 s by default.
    pub probe: Duration,
    /// How many versions may be read, vetted and loaded at a time, all models together. At least 1; 2 by default.
    pub parallel: usize,
    /// The seed of the random part of these delays; drawn anew by each server if there is none, as by default.
    pub seed: Option<u64>,
}

/// How what is on disk is read again in the background, to find rot before a restart does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubConfig {
    /// Bytes read in a second, all models together; none for no scrub at all. 4 MiB by default.
    pub rate: Option<NonZeroU64>,
    /// The pause before each round. More than zero; an hour by default.
    pub pause: Duration,
}

/// A setting out of its bounds.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{setting}: expected {expected}, found {found}")]
pub struct ConfigError {
    setting: &'static str,
    expected: &'static str,
    found: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            breaker: BreakerConfig::default(),
            reload: ReloadConfig::default(),
            versions: BTreeMap::new(),
            scrub: ScrubConfig::default(),
            body_limit: 16 << 20,
            memory_limit: 256 << 20,
            deadline: Duration::from_secs(30),
            drain: Duration::from_secs(45),
            connections: 1024,
            idle: Duration::from_secs(60),
            admin_token: None,
        }
    }
}

impl Default for ScrubConfig {
    fn default() -> Self {
        Self {
            rate: NonZeroU64::new(4 << 20),
            pause: Duration::from_secs(60 * 60),
        }
    }
}

impl Default for ReloadConfig {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            backoff_least: Duration::from_secs(1),
            backoff_most: Duration::from_secs(60),
            allow_unverified: false,
            probe: Duration::from_secs(60),
            parallel: 2,
            seed: None,
        }
    }
}

impl Config {
    /// Whether all settings are within their bounds, as a server asks before it starts.
    ///
    /// # Errors
    ///
    /// The first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.breaker.check()?;
        let positive = |setting, time: Duration| match time.is_zero() {
            true => Err(ConfigError::new(setting, "more than zero", "0 s")),
            false => Ok(()),
        };
        positive("deadline", self.deadline)?;
        positive("idle", self.idle)?;
        positive("reload.poll", self.reload.poll)?;
        positive("reload.probe", self.reload.probe)?;
        positive("scrub.pause", self.scrub.pause)?;
        positive("reload.backoff_least", self.reload.backoff_least)?;
        if self.drain < self.deadline {
            let found = format!("{:?}", self.drain);
            return Err(ConfigError::new("drain", "no less than deadline", found));
        }
        if self.breaker.probe_lease <= self.deadline {
            let (lease, deadline) = (self.breaker.probe_lease, self.deadline);
            let found = format!("{lease:?} with a deadline of {deadline:?}");
            return Err(ConfigError::new(
                "breaker.probe_lease",
                "longer than deadline",
                found,
            ));
        }
        if self.connections == 0 {
            return Err(ConfigError::new("connections", "1 or more", 0));
        }
        if self.memory_limit < self.body_limit {
            let found = format!("{} bytes", self.memory_limit);
            return Err(ConfigError::new(
                "memory_limit",
                "no less than body_limit",
                found,
            ));
        }
        if self.reload.parallel == 0 || self.reload.parallel > MOST_LOADS {
            let found = self.reload.parallel;
            return Err(ConfigError::new("reload.parallel", "1 to 1024", found));
        }
        let times = [
            ("deadline", self.deadline),
            ("drain", self.drain),
            ("idle", self.idle),
            ("reload.poll", self.reload.poll),
            ("reload.probe", self.reload.probe),
            ("scrub.pause", self.scrub.pause),
            ("reload.backoff_most", self.reload.backoff_most),
        ];
        for (setting, time) in times {
            if time > LONGEST {
                let found = format!("{time:?}");
                return Err(ConfigError::new(setting, "at most 366 days", found));
            }
        }
        if self.reload.backoff_most < self.reload.backoff_least {
            let found = format!("{:?}", self.reload.backoff_most);
            return Err(ConfigError::new(
                "reload.backoff_most",
                "no less than reload.backoff_least",
                found,
            ));
        }
        Ok(())
    }
}

impl ConfigError {
    pub(crate) fn new(
        setting: &'static str,
        expected: &'static str,
        found: impl fmt::Display,
    ) -> Self {
        Self {
            setting,
            expected,
            found: found.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_a_probe_can_outlive_names_both_times() {
        let mut config = Config::default();
        config.deadline = config.breaker.probe_lease;
        config.drain = config.deadline;
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "breaker.probe_lease: expected longer than deadline, found 120s with a deadline of 120s"
        );
        config.breaker.probe_lease += Duration::from_millis(1);
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn the_defaults_are_within_bounds_and_nonsense_is_not() {
        assert_eq!(Config::default().check(), Ok(()));
        let spoil: [fn(&mut Config); 19] = [
            |config| config.reload.probe = Duration::ZERO,
            |config| config.scrub.pause = Duration::ZERO,
            |config| config.reload.parallel = 0,
            |config| config.deadline = Duration::MAX,
            |config| config.drain = Duration::MAX,
            |config| config.reload.poll = Duration::MAX,
            |config| config.reload.backoff_most = Duration::MAX,
            |config| config.breaker.half_open_permits = 0,
            |config| config.deadline = Duration::ZERO,
            |config| config.drain = config.deadline - Duration::from_millis(1),
            |config| config.connections = 0,
            |config| config.idle = Duration::MAX,
            |config| config.breaker.probe_lease = config.deadline,
            |config| config.breaker.open_most = Duration::MAX,
            |config| config.idle = Duration::ZERO,
            |config| config.memory_limit = config.body_limit - 1,
            |config| config.reload.poll = Duration::ZERO,
            |config| config.reload.backoff_least = Duration::ZERO,
            |config| config.reload.backoff_most = Duration::from_millis(1),
        ];
        for (case, spoil) in spoil.into_iter().enumerate() {
            let mut config = Config::default();
            spoil(&mut config);
            assert!(config.check().is_err(), "case {case}");
        }
    }
}
