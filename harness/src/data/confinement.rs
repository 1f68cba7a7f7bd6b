//! The confinement that the runner requests from a supervisor. The kinds range from the strictest
//! confinement to none.

use serde::{Deserialize, Serialize};

/// The confinement that a supervisor enforces on itself and its tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Confinement {
    /// No confinement: the tests have all permissions of the user.
    Open,
    /// The strictest confinement that is possible with `namespaces`.
    Closed {
        namespaces: Namespaces,
        /// The reasons for which supervisors refused stricter confinements.
        refusals: Vec<String>,
    },
}

/// The namespaces around a supervisor. The variants are ordered from the strictest set to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Namespaces {
    /// User, PID, mount, network and IPC namespaces.
    All,
    /// PID, mount, network and IPC namespaces. Used where user namespaces are disabled. Root can
    /// create these namespaces without a user namespace.
    WithoutUsers,
    /// User, mount, network and IPC namespaces. Used in containers that hide parts of `/proc`.
    WithoutProcesses,
    /// No namespaces.
    None,
}

impl Confinement {
    /// The strictest confinement.
    pub(crate) fn tightest() -> Self {
        Self::Closed {
            namespaces: Namespaces::All,
            refusals: Vec::new(),
        }
    }

    /// Returns the next weaker confinement, with `refusal` added to the reasons. Returns `None` for
    /// the weakest closed confinement and for `Open`.
    pub(crate) fn looser(&self, refusal: String) -> Option<Self> {
        let Self::Closed {
            namespaces,
            refusals,
        } = self
        else {
            return None;
        };
        let namespaces = match namespaces {
            Namespaces::All => Namespaces::WithoutUsers,
            Namespaces::WithoutUsers => Namespaces::WithoutProcesses,
            Namespaces::WithoutProcesses => Namespaces::None,
            Namespaces::None => return None,
        };
        let mut refusals = refusals.clone();
        if !refusals.contains(&refusal) {
            refusals.push(refusal);
        }
        Some(Self::Closed {
            namespaces,
            refusals,
        })
    }
}
