//! The walls around tests that must not change or reach anything outside.
//!
//! A supervisor shuts itself in before its first test, so that all of its tests find themselves inside and pay nothing for it: namespaces of its
//! own (user, PID, network, mount, IPC), read-only mounts, Landlock, no capabilities. What only a test must not do, such as
//! to change its own record, its process gives up itself ([`TestRules`]).
//!
//! Kernels and containers refuse some of this. A supervisor that cannot put up what it was told says so and ends, and the runner starts another that
//! tries less ([`Confinement::looser`]): half-made walls cannot be taken down again. What stands in the end is the [`Sandbox`] of the reports.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(target_os = "linux")]
mod readable;
#[cfg(target_os = "linux")]
mod rules;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use portable as platform;

use crate::data::sandbox::Sandbox;
use serde::{Deserialize, Serialize};

pub(crate) use platform::{Enclosed, TestRules, enclose, prepare_test};

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

/// What stands around an open supervisor.
pub(crate) fn open() -> Sandbox {
    Sandbox::open(platform::CONTAINMENT)
}
