//! A file that may not be read, or a folder that may not be written: a deployment by the wrong user, a mask that was forgotten.

use super::repair::Repair;
use super::{Fault, FaultError, Undo, UndoOutcome};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Changes the mode of a file or a folder.
///
/// Who may do everything, as root outside of the sandbox, is not hindered by it: then there is no such fault, and the test is skipped. On Unix alone.
#[derive(Clone, Debug)]
pub struct Permissions {
    path: PathBuf,
    mode: u32,
}

/// The new mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionsPlan {
    /// The lowest nine bits of the mode, as `chmod` takes them.
    pub mode: u32,
}

impl Permissions {
    /// Takes all rights: nobody may read, write, execute or list it.
    pub fn none(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            mode: 0,
        }
    }

    /// Leaves the right to read, and in a folder to look files up.
    pub fn read_only(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            mode: 0o555,
        }
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
        Ok(PermissionsPlan { mode: self.mode })
    }

    fn apply(&self, plan: &PermissionsPlan, scratch: &Path) -> Result<Undo, FaultError> {
        let path = fs::canonicalize(&self.path).map_err(FaultError::file("find", &self.path))?;
        let kept = Kept {
            before: mode(&path)?,
            to: plan.mode,
            path,
        };
        if kept.before == kept.to {
            return Err(FaultError::unfit(
                format!("a mode other than {:03o}", kept.to),
                "that one",
            ));
        }
        let is_kept = Repair::is_needed(&kept.path, scratch);
        if is_kept {
            Repair::Rights(kept.clone()).keep(scratch)?;
        }
        set_mode(&kept.path, kept.to)?;
        if is_without_effect(&kept.path, kept.to) {
            set_mode(&kept.path, kept.before)?;
            Repair::forget(scratch);
            return Err(FaultError::Unavailable(
                "who runs this test may do everything, whatever the mode of a file".to_owned(),
            ));
        }
        let scratch = scratch.to_owned();
        Ok(Undo::new(move || {
            let undone = kept.take_back()?;
            if is_kept {
                Repair::forget(&scratch);
            }
            Ok(undone)
        }))
    }
}

/// What it takes to give the rights back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    path: PathBuf,
    before: u32,
    to: u32,
}

impl Kept {
    pub(super) fn take_back(&self) -> Result<UndoOutcome, FaultError> {
        let found = match fs::metadata(&self.path) {
            Err(_) => "nothing in its place".to_owned(),
            Ok(_) => match mode(&self.path)? {
                now if now == self.to => {
                    set_mode(&self.path, self.before)?;
                    return Ok(UndoOutcome::Restored);
                }
                now => format!("the mode {now:03o}"),
            },
        };
        Ok(UndoOutcome::Superseded { found })
    }
}

/// Which bits of a mode are rights.
#[cfg(unix)]
const RIGHTS: u32 = 0o777;

#[cfg(unix)]
fn mode(path: &Path) -> Result<u32, FaultError> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = fs::metadata(path).map_err(FaultError::file("look at", path))?;
    Ok(found.permissions().mode() & RIGHTS)
}

#[cfg(unix)]
fn set_mode(path: &Path, rights: u32) -> Result<(), FaultError> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = fs::metadata(path).map_err(FaultError::file("look at", path))?;
    let others = found.permissions().mode() & !RIGHTS;
    fs::set_permissions(path, fs::Permissions::from_mode(others | rights))
        .map_err(FaultError::file("change the mode of", path))
}

/// Whether this process may do what the mode forbids.
#[cfg(unix)]
fn is_without_effect(path: &Path, rights: u32) -> bool {
    use rustix::fs::{Access, access};
    let forbidden = match rights & 0o444 {
        0 => Access::READ_OK,
        _ => Access::WRITE_OK,
    };
    access(path, forbidden).is_ok()
}

#[cfg(not(unix))]
fn mode(_path: &Path) -> Result<u32, FaultError> {
    Err(FaultError::Unavailable(
        "files have modes on Unix only".to_owned(),
    ))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _rights: u32) -> Result<(), FaultError> {
    Ok(())
}

#[cfg(not(unix))]
fn is_without_effect(_path: &Path, _rights: u32) -> bool {
    true
}
