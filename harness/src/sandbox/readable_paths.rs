//! The paths that tests may read: the system, and the needed parts of the user's home directory.
//!
//! A home directory contains keys and private files. In a home directory, tests may read only the
//! repository, the target directory, the toolchain, version managers, and directories in `PATH` or
//! `LD_LIBRARY_PATH`. The target directory is needed because it contains the test binary. Cargo's
//! credentials are not readable.

use super::home::{directory_of, version_managers};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Gives the paths that tests may read. A directory stands for everything below it.
pub(super) fn roots() -> Vec<PathBuf> {
    let home = env::home_dir().and_then(|home| fs::canonicalize(home).ok());
    match home {
        Some(home) if home.parent().is_some() => {
            let needed = needed().filter(|path| path.starts_with(&home));
            outermost(all_but(&home).into_iter().chain(needed))
        }
        // The home directory is missing, or is `/`.
        _ => vec![PathBuf::from("/")],
    }
}

/// Gives the reason why tests may read the user's whole home directory. Gives none if tests may not
/// read the whole home directory.
pub(super) fn home_exposure() -> Option<&'static str> {
    let Some(home) = env::home_dir().and_then(|home| fs::canonicalize(home).ok()) else {
        return Some("the home is unknown, so all files are readable");
    };
    let exposed = home.parent().is_none() || needed().any(|path| home.starts_with(path));
    exposed.then_some(
        "the home is readable, since it is or is in the repository, the target directory or PATH",
    )
}

/// Drops each path that is below another path. Each remaining path becomes a Landlock rule, and
/// each rule costs each test some time.
fn outermost(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    // Compares canonical paths: many of the system's directories are symlinks into /usr.
    let mut paths: Vec<PathBuf> = paths
        .filter_map(|path| fs::canonicalize(path).ok())
        .collect();
    paths.sort();
    let mut outermost: Vec<PathBuf> = Vec::new();
    for path in paths {
        // In sorted order, the ancestors of a path come before the path.
        if !outermost.iter().any(|above| path.starts_with(above)) {
            outermost.push(path);
        }
    }
    outermost
}

/// Gives the siblings of this directory, and the siblings of each of its ancestors.
// A rule for a directory applies to everything below it. The result therefore contains no ancestor
// of `directory`.
fn all_but(directory: &Path) -> Vec<PathBuf> {
    directory
        .ancestors()
        .skip(1)
        .flat_map(|above| fs::read_dir(above).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| !directory.starts_with(path))
        .collect()
}

/// Gives the existing paths that tests need, in the home directory or elsewhere.
pub(super) fn needed() -> impl Iterator<Item = PathBuf> {
    let listed = |variable| {
        let value = env::var_os(variable).unwrap_or_default();
        env::split_paths(&value).collect::<Vec<_>>()
    };
    let toolchain = directory_of("RUSTUP_HOME", ".rustup").into_iter();
    let cargo = directory_of("CARGO_HOME", ".cargo").into_iter();
    // Cargo fails if its settings exist but are not readable.
    let parts = ["bin", "registry", "git", "config.toml", "config"];
    let packages = cargo.flat_map(move |cargo| parts.map(|part| cargo.join(part)));
    repository()
        .into_iter()
        .chain(target())
        .chain(toolchain)
        .chain(packages)
        .chain(version_managers())
        .chain(listed("PATH"))
        .chain(listed("LD_LIBRARY_PATH"))
        .filter_map(|path| fs::canonicalize(path).ok())
}

/// Gives the repository of the working directory. Searches for a `.git`, from the working directory
/// upwards. Gives the working directory itself if there is no `.git`.
fn repository() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    let marked = here
        .ancestors()
        .find(|directory| directory.join(".git").exists());
    Some(marked.unwrap_or(&here).to_owned())
}

/// Gives Cargo's target directory: the test binary's nearest ancestor that contains a
/// `CACHEDIR.TAG`. Without such a file, gives the directory of the test binary.
fn target() -> Option<PathBuf> {
    let binary = env::current_exe().ok()?;
    let directory = binary.parent()?;
    let marked = directory
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").exists());
    Some(marked.unwrap_or(directory).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_leaves_out_exactly_one_directory() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for directory in ["a", "b/home", "b/other"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let below: Vec<_> = all_but(&root.join("b/home"))
            .into_iter()
            .filter(|path| path.starts_with(&root))
            .collect();
        assert_eq!(below.len(), 2, "{below:?}");
        assert!(below.contains(&root.join("a")));
        assert!(below.contains(&root.join("b/other")));
        let elsewhere = all_but(&root.join("b/home"));
        assert!(elsewhere.iter().any(|path| path == Path::new("/usr")));
        assert!(!elsewhere.iter().any(|path| root.starts_with(path)));
    }

    #[test]
    fn path_below_another_needs_no_rule() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::create_dir_all(root.join("usr-local")).unwrap();
        std::os::unix::fs::symlink(root.join("usr/bin"), root.join("bin")).unwrap();
        let given = ["usr/bin", "bin", "usr-local", "gone", "usr"].map(|name| root.join(name));
        let kept = outermost(given.into_iter());
        assert_eq!(kept, [root.join("usr"), root.join("usr-local")]);
    }

    #[test]
    fn test_binary_is_always_needed() {
        let binary = env::current_exe().unwrap().canonicalize().unwrap();
        assert!(needed().any(|path| binary.starts_with(path)));
    }
}
