//! The file of profiles: `.config/chaos.toml` at the root of the workspace.
//!
//! ```toml
//! [profile.default]
//! timeout = "1m"
//!
//! [profile.ci]
//! retries = 2
//! junit = "target/chaos/{package}-{target}.xml"
//!
//! [[profile.ci.overrides]]
//! filter = "slow and not model"
//! timeout = "5m"
//! ```

mod file;
mod keys;
mod placeholders;
mod position;
mod workspace_root;

pub(crate) use self::file::{DEFAULT, ProfileFile, Setting};
#[cfg(test)]
pub(crate) use self::keys::NOT_IN_PROFILES;
pub(crate) use self::keys::{KEYS, SettingType};
pub(crate) use self::placeholders::fill;
pub(crate) use self::position::PlacedError;
pub(crate) use self::workspace_root::WorkspaceRoot;
