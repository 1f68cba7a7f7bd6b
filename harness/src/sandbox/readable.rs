//! What tests may read: the system, and of the user's home what they need to run.
//!
//! A home holds keys and letters, and a test has no business there. What it needs of it is the repository, the target folder with the test binary,
//! the programs of `PATH`, and the toolchain; credentials of the toolchain are not part of that.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files that tests may read, each with all below it.
pub(super) fn roots() -> Vec<PathBuf> {
    let home = env::home_dir().and_then(|home| fs::canonicalize(home).ok());
    match home {
        Some(home) if home.parent().is_some() => {
            let needed = needed().filter(|path| path.starts_with(&home));
            outermost(all_but(&home).into_iter().chain(needed))
        }
        // Nobody's home, or all there is.
        _ => vec![PathBuf::from("/")],
    }
}

/// Why tests may read the user's whole home, if they may.
pub(super) fn why_home() -> Option<&'static str> {
    let Some(home) = env::home_dir().and_then(|home| fs::canonicalize(home).ok()) else {
        return Some("the home is not known, so nothing is kept from being read");
    };
    let exposed = home.parent().is_none() || needed().any(|path| home.starts_with(path));
    exposed.then_some(
        "the home is readable, since it is or is in the repository, the target folder or PATH",
    )
}

/// The paths without those that are below another of them: each test pays for each rule.
fn outermost(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    // Many of the system's folders are links into /usr.
    let mut paths: Vec<PathBuf> = paths
        .filter_map(|path| fs::canonicalize(path).ok())
        .collect();
    paths.sort();
    let mut outermost: Vec<PathBuf> = Vec::new();
    for path in paths {
        // What is above a path comes before it in this order.
        if !outermost.iter().any(|above| path.starts_with(above)) {
            outermost.push(path);
        }
    }
    outermost
}

/// Everything that stands beside the path from the root to this folder: a rule for a folder holds for all below it, so it cannot be
/// said of the root.
fn all_but(folder: &Path) -> Vec<PathBuf> {
    folder
        .ancestors()
        .skip(1)
        .flat_map(|above| fs::read_dir(above).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| !folder.starts_with(path))
        .collect()
}

/// What tests need, wherever it is.
pub(super) fn needed() -> impl Iterator<Item = PathBuf> {
    let listed = |variable| {
        let value = env::var_os(variable).unwrap_or_default();
        env::split_paths(&value).collect::<Vec<_>>()
    };
    let home_of = |variable, default| {
        let given = env::var_os(variable).map(PathBuf::from);
        given.or_else(|| Some(env::home_dir()?.join(default)))
    };
    let toolchain = home_of("RUSTUP_HOME", ".rustup").into_iter();
    let cargo = home_of("CARGO_HOME", ".cargo").into_iter();
    let packages = cargo.flat_map(|cargo| ["bin", "registry", "git"].map(|part| cargo.join(part)));
    repository()
        .into_iter()
        .chain(target())
        .chain(toolchain)
        .chain(packages)
        .chain(listed("PATH"))
        .chain(listed("LD_LIBRARY_PATH"))
        .filter_map(|path| fs::canonicalize(path).ok())
}

/// The repository that the tests are run in: the nearest folder above with a `.git`, or else the working directory.
fn repository() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    let marked = here.ancestors().find(|folder| folder.join(".git").exists());
    Some(marked.unwrap_or(&here).to_owned())
}

/// Cargo's target folder, by its mark above the test binary, or else the binary's own folder.
fn target() -> Option<PathBuf> {
    let binary = env::current_exe().ok()?;
    let folder = binary.parent()?;
    let marked = folder
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists());
    Some(marked.unwrap_or(folder).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_a_folder_leaves_out_exactly_that_folder() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in ["a", "b/home", "b/other"] {
            fs::create_dir_all(root.join(folder)).unwrap();
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
    fn what_is_below_another_needs_no_rule_of_its_own() {
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
    fn the_test_binary_is_always_among_what_is_needed() {
        let binary = env::current_exe().unwrap().canonicalize().unwrap();
        assert!(needed().any(|path| binary.starts_with(path)));
    }
}
