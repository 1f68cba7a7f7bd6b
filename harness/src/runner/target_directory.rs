//! Finds Cargo's target directory, in which the history is.
//!
//! While a test target is compiled, `CARGO_TARGET_TMPDIR` names a directory in Cargo's *build
//! directory*. By default that is the target directory. Two things can differ when the tests run:
//!
//! - `build.build-dir` (`CARGO_BUILD_BUILD_DIR`) separates the build directory from the target
//!   directory.
//! - The tests can run in another checkout than they were compiled in, as from an archive of
//!   nextest. The package's directory, `CARGO_MANIFEST_DIR`, then shows how the paths have changed.

use crate::registration::origin::Origin;
use serde::Deserialize;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The file in each target directory that Cargo has created. A directory that existed before has no
/// such file.
const TAG: &str = "CACHEDIR.TAG";

/// The environment variables that name the target directory.
const VARIABLES: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];

/// Finds Cargo's target directory. Returns `None` if there is no such directory.
pub(crate) fn target_directory(origin: &Origin) -> Option<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.unwrap_or_else(|| PathBuf::from(origin.package_dir));
    let default = workspace(&package).map(|workspace| workspace.join("target"));
    let Some(built) = origin
        .target_tmpdir
        .and_then(|tmpdir| Path::new(tmpdir).parent())
    else {
        return of_binary();
    };
    let built = match moved(built, Path::new(origin.package_dir), &package) {
        Some(built) => built,
        // The build's directory belongs to another checkout.
        None => return default.or_else(of_binary),
    };
    if default.as_ref() == Some(&built) && built.parent().is_some_and(Path::exists) {
        return Some(built);
    }
    let named = VARIABLES.iter().filter_map(env::var_os).map(PathBuf::from);
    let mut named = named.filter(|directory| directory.is_absolute() && directory.is_dir());
    if let Some(named) = named.next() {
        return Some(named);
    }
    // Two directories are possible: the default one is not that of the build.
    if default.as_deref().is_some_and(Path::is_dir)
        && let Some(asked) = ask_cargo(&package)
    {
        return Some(asked);
    }
    [Some(built), default]
        .into_iter()
        .flatten()
        .find(|directory| directory.is_dir())
        .or_else(of_binary)
}

/// Finds the nearest ancestor of the binary that Cargo has tagged.
fn of_binary() -> Option<PathBuf> {
    let binary = env::current_exe().ok()?;
    let mut directories = binary.ancestors().skip(1);
    directories
        .find(|directory| directory.join(TAG).exists())
        .map(Path::to_owned)
}

/// Finds the workspace of a package: the nearest directory with a `Cargo.lock`.
fn workspace(package: &Path) -> Option<&Path> {
    package
        .ancestors()
        .find(|directory| directory.join("Cargo.lock").exists())
}

/// Returns the path that `directory` has after the package has moved from `before` to `after`.
/// Returns `None` if the directory is outside of the part that has moved.
fn moved(directory: &Path, before: &Path, after: &Path) -> Option<PathBuf> {
    if before == after {
        return Some(directory.to_owned());
    }
    let (mut old, mut new) = (before, after);
    while old.file_name().is_some() && old.file_name() == new.file_name() {
        let (Some(old_parent), Some(new_parent)) = (old.parent(), new.parent()) else {
            break;
        };
        (old, new) = (old_parent, new_parent);
    }
    let rest = directory.strip_prefix(old).ok()?;
    Some(new.join(rest))
}

/// Asks Cargo for the target directory of a package. Returns `None` if Cargo does not answer.
fn ask_cargo(package: &Path) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(package)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).ok()?;
    Some(metadata.target_directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_follows_the_checkout_and_knows_no_other_path() {
        let paths = [
            // Directory, package before and after, moved directory.
            ("/shared", "/a/ws/x", "/a/ws/x", Some("/shared")),
            ("/a/ws/target", "/a/ws/x", "/b/w/x", Some("/b/w/target")),
            ("/a/ws/target", "/a/ws", "/b/w", Some("/b/w/target")),
            ("/a/ws/target", "/a/ws/c/x", "/ws/c/x", Some("/ws/target")),
            ("/shared", "/a/ws/x", "/b/ws/x", None),
        ];
        for (directory, before, after, expected) in paths {
            let moved = moved(Path::new(directory), Path::new(before), Path::new(after));
            assert_eq!(moved.as_deref(), expected.map(Path::new), "{after}");
        }
    }
}
