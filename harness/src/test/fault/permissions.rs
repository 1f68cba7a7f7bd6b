//! A fault that changes permissions. Real causes are deployments by the wrong user, or with the
//! wrong umask.

use super::{Fault, FaultError, Injection, Undo, UndoCondition, UndoStep};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Changes the permissions of a file or directory. On Unix only.
///
/// Outside of the sandbox, permissions do not restrict root. So if root runs a test without the
/// sandbox, the injection returns an error. A test that returns this error is skipped.
#[derive(Clone, Debug)]
pub struct Permissions {
    path: PathBuf,
    mode: u32,
}

/// The plan of a [`Permissions`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PermissionsPlan {
    /// The lowest nine bits of the new mode, 0 to 0o777, as in `chmod`.
    pub mode: u32,
}

impl Permissions {
    /// Removes all permissions. If `path` is a file, nobody may read, write or execute it. If
    /// `path` is a directory, nobody may list it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            mode: 0,
        }
    }

    /// Sets the mode 555. All users may read and execute a file. They may list and search a
    /// directory. Nobody may write.
    #[must_use]
    pub fn read_only(self) -> Self {
        self.with_mode(0o555)
    }

    /// Sets the permissions to this mode, 0 to 0o777.
    #[must_use]
    pub fn with_mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }
}

impl Fault for Permissions {
    type Plan = PermissionsPlan;
    const KIND: &'static str = "permissions";

    fn describe(plan: &PermissionsPlan, target: &str) -> String {
        format!("the mode of {target} changed to {:03o}", plan.mode)
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<PermissionsPlan, FaultError> {
        fs::metadata(&self.path).map_err(FaultError::file("look at", &self.path))?;
        match self.mode {
            0..=PERMISSIONS => Ok(PermissionsPlan { mode: self.mode }),
            mode => Err(FaultError::unfit("a mode up to 777", format!("{mode:o}"))),
        }
    }

    fn apply(&self, plan: &PermissionsPlan, injection: &Injection) -> Result<Undo, FaultError> {
        let path = fs::canonicalize(&self.path).map_err(FaultError::file("find", &self.path))?;
        let (before, mode) = (mode(&path)?, plan.mode);
        if before == mode {
            return Err(FaultError::unfit(
                format!("a mode other than {mode:03o}"),
                "that one",
            ));
        }
        let changed = UndoCondition::Mode {
            path: path.clone(),
            mode,
        };
        injection.record(UndoStep::set_mode(&path, before).only_if(changed))?;
        set_mode(&path, mode)?;
        if is_without_effect(&path, mode) {
            return Err(FaultError::Unavailable(
                "permissions do not hinder the user that runs this test".to_owned(),
            ));
        }
        Ok(Undo::steps())
    }
}

/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o777;

#[cfg(unix)]
fn mode(path: &Path) -> Result<u32, FaultError> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = fs::metadata(path).map_err(FaultError::file("look at", path))?;
    Ok(found.permissions().mode() & PERMISSIONS)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<(), FaultError> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = fs::metadata(path).map_err(FaultError::file("look at", path))?;
    let others = found.permissions().mode() & !PERMISSIONS;
    fs::set_permissions(path, fs::Permissions::from_mode(others | mode))
        .map_err(FaultError::file("change the mode of", path))
}

/// Whether this process still has each access (read, write) that `mode` denies to all users. False
/// if `mode` allows some user to read, and some user to write.
#[cfg(unix)]
fn is_without_effect(path: &Path, mode: u32) -> bool {
    use rustix::fs::{Access, access};
    let mut forbidden = Access::empty();
    forbidden.set(Access::READ_OK, mode & 0o444 == 0);
    forbidden.set(Access::WRITE_OK, mode & 0o222 == 0);
    !forbidden.is_empty() && access(path, forbidden).is_ok()
}

#[cfg(not(unix))]
fn mode(_path: &Path) -> Result<u32, FaultError> {
    Err(FaultError::Unavailable(
        "files have modes on Unix only".to_owned(),
    ))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> Result<(), FaultError> {
    Ok(())
}

#[cfg(not(unix))]
fn is_without_effect(_path: &Path, _mode: u32) -> bool {
    true
}
