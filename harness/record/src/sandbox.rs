//! What a test cannot do, and what it could.

use serde::{Deserialize, Serialize};

/// What the harness enforced, part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sandbox {
    /// Writing is possible only below the test's directory, reading not in the user's home.
    pub files: Enforcement,
    /// Modes, owners, times and attributes of other files cannot be changed.
    pub metadata: Enforcement,
    /// Nothing but the test's own loopback can be reached.
    pub network: Enforcement,
    /// No process outside can be signalled, traced or seen.
    pub processes: Enforcement,
    /// The powers of root are gone.
    pub capabilities: Enforcement,
    /// Every process that the test starts ends with it.
    pub containment: Enforcement,
}

impl Sandbox {
    /// Nothing but, where the system can, the containment.
    pub fn open(containment: Result<&str, &str>) -> Self {
        Self::without(
            "not asked for (--sandbox all shuts in tests that are not `non_destructive`, too)",
            containment,
        )
    }

    /// Nothing at all, for that reason, but, where the system can, the containment.
    pub fn without(reason: &str, containment: Result<&str, &str>) -> Self {
        Self {
            files: Enforcement::not(reason),
            metadata: Enforcement::not(reason),
            network: Enforcement::not(reason),
            processes: Enforcement::not(reason),
            capabilities: Enforcement::not(reason),
            containment: containment.map_or_else(Enforcement::not, Enforcement::enforced),
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
            .map(|(part, enforcement)| (part, enforcement.how.as_str()))
    }
}

/// Whether a part of the sandbox is enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Enforcement {
    /// Whether it is.
    pub enforced: bool,
    /// By what, or why not.
    pub how: String,
}

impl Enforcement {
    /// Enforced, by this.
    pub fn enforced(by: impl Into<String>) -> Self {
        Self {
            enforced: true,
            how: by.into(),
        }
    }

    /// Not enforced, for this reason.
    pub fn not(reason: impl Into<String>) -> Self {
        Self {
            enforced: false,
            how: reason.into(),
        }
    }
}
