//! The resource limits of a vetting process.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::runtime::DEFAULT_WARM_UP;

/// The number of copies of a version's files that the child holds in memory, for each runtime.
/// Vetting adds their size to [`VettingLimits::address_space`].
// One copy is the received bytes. The runtime makes the other two copies while it converts the
// model.
const COPIES: u64 = 3;

/// The resource limits of a vetting process.
///
/// On Unix the child applies `address_space` and `cpu` to itself as resource limits
/// ([getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html)). Elsewhere only `time`
/// is limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VettingLimits {
    /// The limit on the child's address space, in bytes. At least 64 MiB; 1 GiB by default. Vetting
    /// adds three times the size of the version's files to this limit, for each runtime that can
    /// load the version.
    pub address_space: u64,
    /// The limit on the total CPU time of the child's threads, rounded up to whole seconds. More
    /// than zero, at most a day; 30 s by default.
    pub cpu: Duration,
    /// The limit on the wall-clock time from the child's start to its verdict. More than zero, at
    /// most a day; 120 s by default. Pausing Tokio's clock does not affect this limit.
    pub time: Duration,
    /// The time after which no run on a generated input begins. More than zero, at most a day; 5 s
    /// by default. A run that is going on is limited by `cpu` and `time` only.
    pub warm_up: Duration,
}

impl Default for VettingLimits {
    fn default() -> Self {
        Self {
            address_space: 1 << 30,
            cpu: Duration::from_secs(30),
            time: Duration::from_secs(120),
            warm_up: DEFAULT_WARM_UP,
        }
    }
}

impl VettingLimits {
    /// Checks that the limits are within their bounds.
    ///
    /// # Errors
    ///
    /// When a limit is out of its bounds. The error names the first such limit.
    pub fn check(&self) -> Result<(), ConfigError> {
        let day = Duration::from_secs(24 * 60 * 60);
        if self.address_space < 64 << 20 {
            let (expected, found) = ("at least 67108864 bytes", self.address_space);
            return Err(ConfigError::new("vetting.address_space", expected, found));
        }
        for (setting, time) in [
            ("vetting.cpu", self.cpu),
            ("vetting.time", self.time),
            ("vetting.warm_up", self.warm_up),
        ] {
            if time.is_zero() || time > day {
                let expected = "more than zero and at most a day";
                return Err(ConfigError::new(setting, expected, format!("{time:?}")));
            }
        }
        Ok(())
    }

    /// The CPU time limit, rounded up to whole seconds, the unit of the operating system.
    pub(super) fn cpu_seconds(&self) -> u64 {
        self.cpu.as_secs() + u64::from(self.cpu.subsec_nanos() > 0)
    }

    /// The limit on the address space for a version of `bytes` bytes.
    pub(super) fn address_space_for(&self, bytes: u64, runtimes: u64) -> u64 {
        let copies = COPIES.saturating_mul(runtimes);
        self.address_space
            .saturating_add(bytes.saturating_mul(copies))
    }

    #[cfg(unix)]
    pub(super) fn apply_to_this_process(&self, bytes: u64, runtimes: u64) -> io::Result<()> {
        use rustix::process::{Resource, Rlimit, setrlimit};

        let limit = |resource, current: u64, maximum: u64| {
            let limit = Rlimit {
                current: Some(current),
                maximum: Some(maximum),
            };
            setrlimit(resource, limit).map_err(io::Error::from)
        };
        let (space, seconds) = (self.address_space_for(bytes, runtimes), self.cpu_seconds());
        limit(Resource::As, space, space)?;
        // At the soft limit, the kernel sends SIGXCPU. This signal tells the server why the child
        // ended. So the hard limit, which causes SIGKILL, is higher.
        limit(Resource::Cpu, seconds, seconds + 1)?;
        // A model may crash this process, and a core dump must not fill the disk. This process must
        // not write any other file either.
        limit(Resource::Core, 0, 0)?;
        limit(Resource::Fsize, 0, 0)
    }

    #[cfg(not(unix))]
    pub(super) fn apply_to_this_process(&self, _bytes: u64, _runtimes: u64) -> io::Result<()> {
        Ok(())
    }
}
