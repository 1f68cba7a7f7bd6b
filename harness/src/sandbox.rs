//! Confines tests that must not change or reach anything outside of their directory.
//!
//! A supervisor confines itself before its first test, so its tests inherit the confinement at no
//! cost. The confinement consists of namespaces (user, PID, network, mount, IPC), read-only mounts,
//! Landlock, dropped capabilities and denied system calls. A test's process adds rules of its own
//! ([`TestRules`]): for example, the process cannot change its own record.
//!
//! Some kernels and containers refuse parts of the confinement. A supervisor then reports the
//! refusal and ends, since it cannot undo a partial confinement. The runner starts another
//! supervisor with a looser confinement ([`Confinement::looser`]). The runner's reports show the
//! resulting confinement as a [`Sandbox`].
//!
//! [`Confinement::looser`]: crate::data::confinement::Confinement::looser

#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod denied_calls;
#[cfg(target_os = "linux")]
mod exposed_paths;
#[cfg(target_os = "linux")]
mod forwarding;
#[cfg(target_os = "linux")]
pub(crate) mod home;
#[cfg(target_os = "linux")]
mod landlock_rules;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
pub(crate) mod name_socket;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(target_os = "linux")]
mod readable_paths;
pub(crate) mod remedy;
pub(crate) mod tool_settings;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use portable as platform;

use clarity_chaos_record::Sandbox;

pub(crate) use platform::{Confined, TestRules, confine, prepare_test};

/// Describes a supervisor without confinement.
pub(crate) fn unconfined() -> Sandbox {
    Sandbox::not_requested(platform::CONTAINMENT)
}
