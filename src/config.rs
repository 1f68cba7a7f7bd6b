//! The configuration of a server.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clarity_breaker::{BreakerConfig, BreakerConfigError};
use thiserror::Error;

use crate::{BearerToken, ModelName, ReadyWhen, VersionPolicy};

/// The longest time that a setting allows: a leap year. The present time plus a leap year does not
/// overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// The largest number of concurrent loads. More concurrent loads would only slow each other down.
const MOST_LOADS: usize = 1024;

/// The maximum size of a request head in bytes, and of the buffer that each connection reads into.
pub(crate) const HEAD_LIMIT: usize = 32 << 10;
/// The maximum number of open connections of an admin listener.
pub(crate) const ADMIN_CONNECTIONS: usize = 64;

/// The configuration of a server. Tokio's clock, which tests can control, measures all times.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The configuration of each model's circuit breaker.
    ///
    /// The breaker of each model derives its own seed from [`BreakerConfig::seed`].
    /// [`BreakerConfig::probe_lease`] must be longer than [`deadline`](Self::deadline).
    pub breaker: BreakerConfig,
    /// The settings for polls of the disk, for retries of bad versions, and for probes.
    pub reload: ReloadConfig,
    /// The versions that each model serves. A model without an entry serves only its latest good
    /// version.
    pub versions: BTreeMap<ModelName, VersionPolicy>,
    /// The settings of the scrub, which re-reads the files on disk in the background.
    pub scrub: ScrubConfig,
    /// The largest request body, in bytes. 16 MiB by default.
    pub body_limit: usize,
    /// The memory for the heads, bodies, inputs and answers of all requests together, in bytes.
    /// 256 MiB by default. No less than [`body_limit`](Self::body_limit) and
    /// [`connection_memory`](Self::connection_memory) together.
    ///
    /// A request that does not fit in the free part is refused as overloaded. A JSON request can
    /// need five times the size of its body. The memory of running models is not included.
    pub memory_limit: usize,
    /// The time limit for a request body to arrive. The same limit applies separately to the
    /// model's answer (the wait in the model's queue and the run together), and to a run that
    /// judges whose fault a failure is. More than zero, and shorter than
    /// [`BreakerConfig::probe_lease`]; 30 s by default.
    ///
    /// A request that is still in the queue then is refused as overloaded. It is refused earlier if
    /// the time that is left is shorter than the model's last runs. A run that takes too long is a
    /// failure of the model. [`with_deadline`](Self::with_deadline) sets a longer deadline.
    pub deadline: Duration,
    /// The longest time that a shutdown waits for running requests. No less than
    /// [`deadline`](Self::deadline); 45 s by default. If this time is more than twice the deadline,
    /// even the slowest request can finish, unless it waits for a judging run.
    pub drain: Duration,
    /// The maximum number of open connections. At least 1; 1024 by default. An admin listener has a
    /// limit of its own, 64.
    ///
    /// At the limit, a new connection replaces the connection that has been idle for the longest
    /// time, if that time is at least a second. A connection with a running request is not
    /// replaced. So if all connections have requests, new connections wait.
    pub connections: usize,
    /// The idle timeout of a connection. More than zero; 60 s by default, as in
    /// [nginx](https://nginx.org/en/docs/http/ngx_http_core_module.html#client_header_timeout).
    ///
    /// The timeout bounds the time without a request. This time starts when the connection is
    /// opened or the last answer is sent. It ends when the head of the next request has arrived.
    /// The timeout also bounds each period in which a client reads nothing of its answer.
    pub idle: Duration,
    /// The directories inside of which symlinks are followed: see [`Store::follow_links_under`].
    /// Empty by default: no symlink below the models directory is followed.
    ///
    /// [`Store::follow_links_under`]: crate::Store::follow_links_under
    pub follow_links_under: Vec<PathBuf>,
    /// The condition under which the server is ready. [`ReadyWhen::Any`] by default.
    pub ready_when: ReadyWhen,
    /// The token that authorizes requests to load and unload models. `None`, the default, disables
    /// such requests.
    pub admin_token: Option<BearerToken>,
}

/// The settings for polls of the disk, for retries of bad versions, and for probes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadConfig {
    /// The interval between polls of the disk. A poll compares the names, sizes and times of the
    /// files. At most 80 models are polled in a second, so with more models the interval is longer.
    /// More than zero; 1 s by default.
    pub poll: Duration,
    /// The delay before the first retry of a bad version whose files did not change. The delay
    /// doubles with each retry. 1 s by default.
    pub backoff_least: Duration,
    /// The longest delay between retries. 60 s by default.
    pub backoff_most: Duration,
    /// The time without any change after which an incomplete or differing version is bad. Until
    /// then the version is arriving: see [`VersionStatus::Arriving`](crate::VersionStatus). 10 s
    /// by default; zero means that such a version is bad at once.
    pub settle: Duration,
    /// Whether versions without a manifest are served; their answers are marked as unverified.
    /// False by default. Versions with a manifest are still verified.
    pub allow_unverified: bool,
    /// The interval between probes of the loaded versions that have a probe. More than zero; 60 s
    /// by default.
    pub probe: Duration,
    /// The maximum number of versions of all models that are read, vetted and loaded at the same
    /// time. At least 1, and at most 1024; 2 by default.
    pub parallel: usize,
    /// The seed from which the jitter of the retry delays is drawn. `None`, the default, means a
    /// random seed.
    pub seed: Option<u64>,
}

/// The settings of the scrub, which re-reads the files on disk in the background. The scrub finds
/// damage earlier than a restart would find it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubConfig {
    /// The number of bytes that the scrub reads per second, over all models. `None` disables the
    /// scrub. 4 MiB by default.
    pub rate: Option<NonZeroU64>,
    /// The pause before each round of the scrub. More than zero; an hour by default.
    pub pause: Duration,
}

/// The error of a setting that is out of its bounds.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{setting}: expected {expected}, found {found}")]
pub struct ConfigError {
    setting: Cow<'static, str>,
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
            follow_links_under: Vec::new(),
            ready_when: ReadyWhen::Any,
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
            settle: Duration::from_secs(10),
            allow_unverified: false,
            probe: Duration::from_secs(60),
            parallel: 2,
            seed: None,
        }
    }
}

impl Config {
    /// The part of [`memory_limit`](Self::memory_limit) for request heads, in bytes.
    ///
    /// It is 32 KiB for each connection, and for 64 connections of an admin listener. A longer head
    /// is refused with 431.
    pub fn connection_memory(&self) -> usize {
        let connections = self.connections.saturating_add(ADMIN_CONNECTIONS);
        connections.saturating_mul(HEAD_LIMIT)
    }

    /// The default configuration with this deadline. If the defaults of [`drain`](Self::drain) and
    /// [`BreakerConfig::probe_lease`] are too short for it, they become one and a half times and
    /// twice the deadline.
    ///
    /// ```
    /// use std::time::Duration;
    /// use clarity::Config;
    ///
    /// let config = Config::with_deadline(Duration::from_secs(120));
    /// assert_eq!(config.drain, Duration::from_secs(180));
    /// assert_eq!(config.breaker.probe_lease, Duration::from_secs(240));
    /// assert!(config.check().is_ok());
    /// ```
    pub fn with_deadline(deadline: Duration) -> Self {
        let mut config = Self {
            deadline,
            ..Self::default()
        };
        // A deadline that `check` refuses must not overflow here.
        let longer = |time: Duration, more: Duration| time.saturating_add(more).min(LONGEST);
        if config.drain < deadline {
            config.drain = longer(deadline, deadline / 2);
        }
        if config.breaker.probe_lease <= deadline {
            config.breaker.probe_lease = longer(deadline, deadline);
        }
        config
    }

    /// Checks that all settings are within their bounds. A server calls this method before it
    /// starts.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its bounds.
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
        let least = self.body_limit.saturating_add(self.connection_memory());
        if self.memory_limit < least {
            let Self {
                memory_limit,
                connections,
                ..
            } = self;
            let found = format!("{memory_limit} bytes, of {least} for {connections} connections");
            return Err(ConfigError::new(
                "memory_limit",
                "no less than body_limit and 32 KiB for each connection",
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
            ("reload.settle", self.reload.settle),
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
            setting: Cow::Borrowed(setting),
            expected,
            found: found.to_string(),
        }
    }
}

impl From<BreakerConfigError> for ConfigError {
    fn from(error: BreakerConfigError) -> Self {
        Self {
            setting: format!("breaker.{}", error.setting()).into(),
            expected: error.expected(),
            found: error.found().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_of_a_short_probe_lease_names_both_times() {
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
    fn with_deadline_makes_the_dependent_defaults_follow() {
        let seconds = Duration::from_secs;
        for (deadline, drain, lease) in [
            (1, 45, 120),
            (30, 45, 120),
            (45, 45, 120),
            (46, 69, 120),
            (119, 178, 120),
            (120, 180, 240),
            (100_000_000, 31_622_400, 31_622_400),
        ] {
            let config = Config::with_deadline(seconds(deadline));
            let follows = (config.drain.as_secs(), config.breaker.probe_lease.as_secs());
            assert_eq!(follows, (drain, lease), "{deadline} s");
            assert_eq!(config.check().is_ok(), deadline < 1000, "{deadline} s");
        }
        assert!(Config::with_deadline(Duration::MAX).check().is_err());
    }

    #[test]
    fn check_accepts_defaults_and_refuses_each_bad_setting() {
        assert_eq!(Config::default().check(), Ok(()));
        let spoil: [fn(&mut Config); 21] = [
            |config| config.reload.probe = Duration::ZERO,
            |config| config.scrub.pause = Duration::ZERO,
            |config| config.reload.settle = Duration::MAX,
            |config| config.reload.parallel = 0,
            |config| config.deadline = Duration::MAX,
            |config| config.drain = Duration::MAX,
            |config| config.reload.poll = Duration::MAX,
            |config| config.reload.backoff_most = Duration::MAX,
            |config| config.breaker.half_open_permits = 0,
            |config| config.deadline = Duration::ZERO,
            |config| config.drain = config.deadline - Duration::from_millis(1),
            |config| config.connections = 0,
            |config| config.connections = usize::MAX,
            |config| config.idle = Duration::MAX,
            |config| config.breaker.probe_lease = config.deadline,
            |config| config.breaker.open_most = Duration::MAX,
            |config| config.idle = Duration::ZERO,
            |config| config.memory_limit = config.body_limit + config.connection_memory() - 1,
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
