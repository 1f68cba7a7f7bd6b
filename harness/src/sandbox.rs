//! What a test cannot do, and what it could.

use crate::isolation::Isolation;
use crate::supervisor::CONTAINMENT;
use serde::{Deserialize, Serialize};

/// What the harness enforced, part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sandbox {
    /// Writing is possible only below the test's directory.
    pub files: Enforcement,
    /// Modes, owners, times and attributes of other files cannot be changed.
    pub metadata: Enforcement,
    /// Nothing but the test's own loopback can be reached.
    pub network: Enforcement,
    /// No process outside can be signalled, traced or read.
    pub processes: Enforcement,
    /// Every process that the test starts ends with it.
    pub containment: Enforcement,
}

impl Sandbox {
    /// What is enforced under this isolation.
    pub(crate) fn of(isolation: Isolation) -> Self {
        let none = || Enforcement::not(format!("the {isolation} isolation does not restrict it"));
        Self {
            files: none(),
            metadata: none(),
            network: none(),
            processes: none(),
            containment: match CONTAINMENT {
                Ok(()) => Enforcement::enforced("subreaper"),
                Err(reason) => Enforcement::not(reason),
            },
        }
    }

    /// The parts with their names, in the order of headers and reports.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, &Enforcement); 5] {
        [
            ("files", &self.files),
            ("metadata", &self.metadata),
            ("network", &self.network),
            ("processes", &self.processes),
            ("containment", &self.containment),
        ]
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
    fn enforced(by: impl Into<String>) -> Self {
        Self {
            enforced: true,
            how: by.into(),
        }
    }

    fn not(reason: impl Into<String>) -> Self {
        Self {
            enforced: false,
            how: reason.into(),
        }
    }
}
