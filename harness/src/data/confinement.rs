//! The confinement that the runner requests of a supervisor, from the strictest to none.

use serde::{Deserialize, Serialize};

/// The confinement that a supervisor enforces on itself and its tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Confinement {
    /// None: its tests can do everything that the user can.
    Open,
    /// The strictest that is possible with these namespaces.
    Closed {
        namespaces: Namespaces,
        /// The reasons for which stricter confinements were refused.
        refusals: Vec<String>,
    },
}

/// The namespaces around a supervisor, from the strictest set to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Namespaces {
    /// User, PID, mount, network, IPC.
    All,
    /// PID, mount, network, IPC: where user namespaces are disabled. Root needs none.
    WithoutUsers,
    /// User, mount, network, IPC: in containers that hide parts of `/proc`.
    WithoutProcesses,
    /// None.
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

    /// The next weaker confinement, after this one was refused; `None` after the weakest.
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
