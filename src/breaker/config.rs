//! What a breaker bears.

use std::time::Duration;

use crate::ConfigError;

/// What a circuit breaker bears, and for how long it stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// So many failures in a row open it: 1 to 1,000,000. 5 by default.
    pub failures: u32,
    /// How long it stays open before a call may probe the model. 60 s by default.
    pub open: Duration,
    /// So many probes may be under way while half-open, and so many successes close it again; one failure opens it.
    /// 1 or more; 1 by default.
    pub half_open_permits: usize,
    /// A probe whose outcome is unknown after this gives its place to another. It should be longer than the deadline of
    /// a request, which ends most probes that hang. 120 s by default.
    pub probe_lease: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            open: Duration::from_secs(60),
            half_open_permits: 1,
            probe_lease: Duration::from_secs(120),
        }
    }
}

impl BreakerConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=1_000_000).contains(&self.failures) {
            return Err(ConfigError::new(
                "breaker.failures",
                "1 to 1000000",
                self.failures,
            ));
        }
        if self.half_open_permits == 0 {
            return Err(ConfigError::new(
                "breaker.half_open_permits",
                "1 or more",
                0,
            ));
        }
        Ok(())
    }
}
