//! The restrictions of a test, and which of them were enforced.

use serde::{Deserialize, Serialize};

/// The parts of the sandbox, each with its [`Enforcement`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sandbox {
    /// The test can write only below its directory, and cannot read the user's home.
    pub files: Enforcement,
    /// Modes, owners, times and attributes of other files cannot be changed.
    pub metadata: Enforcement,
    /// Only the test's own loopback can be reached.
    pub network: Enforcement,
    /// No process outside can be signalled, traced or seen.
    pub processes: Enforcement,
    /// The test has none of root's capabilities.
    pub capabilities: Enforcement,
    /// Every process that the test starts ends with it.
    pub containment: Enforcement,
}

impl Sandbox {
    /// The sandbox of a test that runs without one: no part but, where possible, the containment.
    ///
    /// `containment` is its mechanism, or the reason why it is missing.
    #[must_use]
    pub fn not_requested(containment: Result<&str, &str>) -> Self {
        Self::without(
            "not asked for (--sandbox all shuts in tests that are not `non_destructive`, too)",
            containment,
        )
    }

    /// No part for this reason but, where possible, the containment.
    ///
    /// `containment` is its mechanism, or the reason why it is missing.
    #[must_use]
    pub fn without(reason: &str, containment: Result<&str, &str>) -> Self {
        Self {
            files: Enforcement::missing(reason),
            metadata: Enforcement::missing(reason),
            network: Enforcement::missing(reason),
            processes: Enforcement::missing(reason),
            capabilities: Enforcement::missing(reason),
            containment: containment.map_or_else(Enforcement::missing, Enforcement::enforced),
        }
    }

    /// The parts with their names, in the order of headers and reports.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, &Enforcement); 6] {
        [
            ("files", &self.files),
            ("metadata", &self.metadata),
            ("network", &self.network),
            ("processes", &self.processes),
            ("capabilities", &self.capabilities),
            ("containment", &self.containment),
        ]
    }

    /// The parts that are not enforced, each with the reason.
    pub fn missing(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.parts()
            .into_iter()
            .filter(|(_, enforcement)| !enforcement.enforced)
            .map(|(part, enforcement)| (part, enforcement.detail.as_str()))
    }
}

/// Whether a part of the sandbox is enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Enforcement {
    /// Whether it is enforced.
    pub enforced: bool,
    /// The mechanism that enforces it, or the reason why none does.
    pub detail: String,
}

impl Enforcement {
    /// Enforced by this mechanism.
    pub fn enforced(mechanism: impl Into<String>) -> Self {
        Self {
            enforced: true,
            detail: mechanism.into(),
        }
    }

    /// Not enforced, for this reason.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self {
            enforced: false,
            detail: reason.into(),
        }
    }
}
