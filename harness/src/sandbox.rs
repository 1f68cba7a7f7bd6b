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

use clarity_chaos_record::Sandbox;

pub(crate) use platform::{Enclosed, TestRules, enclose, prepare_test};

/// What stands around an open supervisor.
pub(crate) fn open() -> Sandbox {
    Sandbox::not_requested(platform::CONTAINMENT)
}
