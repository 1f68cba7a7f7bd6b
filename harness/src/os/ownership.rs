//! Checks that no other user can have written to a path.

use std::io;
use std::path::Path;

/// Checks that this process's user owns the directory `root`, and every path from there down to
/// `path`, and that no other user can write to them. Follows no symlinks.
///
/// # Errors
///
/// When a path does not exist, is a symlink, has another owner, or is writable by others.
#[cfg(unix)]
pub(crate) fn is_only_ours(root: &Path, path: &Path) -> io::Result<()> {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    let refuse = |path: &Path, reason: &str| {
        let text = format!("{} {reason}", path.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    };
    let mut is_reachable = true;
    let mut current = root.to_owned();
    let inside = path.strip_prefix(root).map_err(io::Error::other)?;
    for name in [None].into_iter().chain(inside.iter().map(Some)) {
        if let Some(name) = name {
            current.push(name);
        }
        let found = fs::symlink_metadata(&current)?;
        if found.is_symlink() {
            return refuse(&current, "is a symlink");
        }
        if found.uid() != user {
            return refuse(&current, "belongs to another user");
        }
        // Below a directory that others cannot search, modes are without effect for others.
        if is_reachable && found.mode() & 0o022 != 0 {
            return refuse(&current, "is writable by other users");
        }
        is_reachable &= found.mode() & 0o011 != 0;
    }
    Ok(())
}

/// Returns an error: this system has no owners and modes to check.
#[cfg(not(unix))]
pub(crate) fn is_only_ours(_root: &Path, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn is_only_ours_refuses_symlinks_and_writable_paths() {
        let dir = tempfile::tempdir().unwrap();
        let (root, below) = (dir.path().join("root"), dir.path().join("root/a/b"));
        fs::create_dir_all(&below).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        for (root_mode, below_mode, is_ours) in [
            (0o700, 0o755, true),
            (0o700, 0o777, true),
            (0o755, 0o755, true),
            (0o755, 0o777, false),
            (0o770, 0o755, false),
            (0o1777, 0o755, false),
        ] {
            mode(&root, root_mode);
            mode(&root.join("a"), 0o755);
            mode(&below, below_mode);
            let found = is_only_ours(&root, &below);
            assert_eq!(found.is_ok(), is_ours, "{root_mode:o} {below_mode:o}");
        }
        mode(&root, 0o700);
        symlink("a", root.join("link")).unwrap();
        assert!(is_only_ours(&root, &root.join("link/b")).is_err());
        assert!(is_only_ours(&root, &root.join("missing")).is_err());
    }

    #[test]
    fn is_only_ours_refuses_another_owner() {
        if rustix::process::geteuid().is_root() {
            let dir = tempfile::tempdir().unwrap();
            std::os::unix::fs::chown(dir.path(), Some(65534), None).unwrap();
            assert!(is_only_ours(dir.path(), dir.path()).is_err());
        }
    }
}
