//! What a supervisor is asked to enforce, from the most to the least.

use serde::{Deserialize, Serialize};

/// What a supervisor is to put up around itself and its tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Confinement {
    /// Nothing: its tests can do what the user can.
    Open,
    /// As much as is possible with these namespaces.
    Closed {
        namespaces: Namespaces,
        /// Why there are not more.
        refusals: Vec<String>,
    },
}

/// The namespaces around a supervisor, from the most to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Namespaces {
    /// User, PID, mount, network, IPC.
    All,
    /// The same without that for users, which root needs the least: where they are switched off.
    WithoutUsers,
    /// All but that for processes: in containers that hide parts of `/proc`.
    WithoutProcesses,
    /// None.
    None,
}

impl Confinement {
    /// The tightest.
    pub(crate) fn tightest() -> Self {
        Self::Closed {
            namespaces: Namespaces::All,
            refusals: Vec::new(),
        }
    }

    /// What to try when this was refused for that reason; nothing is left to try when the last resort was.
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
