//! The restrictions on a test, each with its enforcement.

use serde::{Deserialize, Serialize};

/// The parts of the sandbox, each with its [`Enforcement`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sandbox {
    /// The test can write only below its own directory, and cannot read the user's home directory.
    pub files: Enforcement,
    /// The test cannot change the mode, owner, times or attributes of a file outside its directory.
    pub metadata: Enforcement,
    /// The test can reach only its own loopback interface.
    pub network: Enforcement,
    /// The test cannot signal, trace or see processes outside the sandbox.
    pub processes: Enforcement,
    /// The test has none of root's capabilities.
    pub capabilities: Enforcement,
    /// Every process that the test starts is ended when the test ends.
    pub containment: Enforcement,
}

impl Sandbox {
    /// Describes a test for which no sandbox was requested. Of all parts, only the containment can
    /// be enforced.
    ///
    /// `containment` is `Ok` with the mechanism, or `Err` with the reason why containment is
    /// missing.
    #[must_use]
    pub fn not_requested(containment: Result<&str, &str>) -> Self {
        Self::without(
            "not asked for (--sandbox all shuts in tests that are not `non_destructive`, too)",
            containment,
        )
    }

    /// Describes a test that has no sandbox because of `reason`. Of all parts, only the containment
    /// can be enforced.
    ///
    /// `containment` is `Ok` with the mechanism, or `Err` with the reason why containment is
    /// missing.
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

    /// Returns the sandbox's parts with their names. Headers and reports list the parts in this
    /// order.
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

    /// Returns the parts that are not enforced, each with the reason.
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
    /// Whether the part is enforced.
    pub enforced: bool,
    /// The mechanism that enforces the part, or the reason why the part is not enforced.
    pub detail: String,
}

impl Enforcement {
    /// Describes a part that `mechanism` enforces.
    pub fn enforced(mechanism: impl Into<String>) -> Self {
        Self {
            enforced: true,
            detail: mechanism.into(),
        }
    }

    /// Describes a part that is not enforced because of `reason`.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self {
            enforced: false,
            detail: reason.into(),
        }
    }
}
