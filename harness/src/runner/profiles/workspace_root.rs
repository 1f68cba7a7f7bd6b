//! Finds the root of the workspace, as Cargo does, without running Cargo.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The root of a workspace.
#[derive(Debug)]
pub(crate) struct WorkspaceRoot {
    /// The directory with the workspace's manifest.
    pub(crate) path: PathBuf,
    /// The first manifest that could not be read, with the reason. The root may then be wrong.
    pub(crate) unreadable: Option<String>,
}

impl WorkspaceRoot {
    /// Finds the root of the workspace of the package in the directory `package`. A package outside
    /// of a workspace is its own root.
    pub(crate) fn of(package: &Path) -> Self {
        let mut unreadable = None;
        for directory in package.ancestors() {
            let path = directory.join("Cargo.toml");
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => {
                    let is_absent = matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    );
                    if !is_absent {
                        unreadable.get_or_insert(format!("{}: {error}", path.display()));
                    }
                    continue;
                }
            };
            // Cargo has refused a manifest that is no TOML.
            let Ok(manifest) = DeTable::parse(&text) else {
                continue;
            };
            let manifest = manifest.get_ref();
            if directory == package
                && let Some(named) = named_root(manifest)
            {
                let named = package.join(named);
                let path = fs::canonicalize(&named).unwrap_or(named);
                return Self { path, unreadable };
            }
            let workspace = table(manifest, "workspace");
            if workspace.is_some_and(|workspace| !excludes(workspace, directory, package)) {
                let path = directory.to_owned();
                return Self { path, unreadable };
            }
        }
        let path = package.to_owned();
        Self { path, unreadable }
    }
}

fn table<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<&'a DeTable<'i>> {
    table.get(key)?.get_ref().as_table()
}

/// Returns `package.workspace` of a manifest.
fn named_root<'a>(manifest: &'a DeTable<'_>) -> Option<&'a str> {
    let workspace = table(manifest, "package")?.get("workspace")?;
    workspace.get_ref().as_str()
}

/// Whether the workspace in `root` excludes the package. A path in `members` wins over a path in
/// `exclude`.
fn excludes(workspace: &DeTable<'_>, root: &Path, package: &Path) -> bool {
    let contains = |key: &str| {
        let paths = workspace.get(key).map(|paths| paths.get_ref());
        let paths = paths.and_then(DeValue::as_array).into_iter().flatten();
        paths
            .filter_map(|path| path.get_ref().as_str())
            .any(|path| package.starts_with(root.join(path)))
    };
    contains("exclude") && !contains("members")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)], package: &str) -> PathBuf {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let base = fs::canonicalize(dir.path()).unwrap();
        let found = WorkspaceRoot::of(&base.join(package));
        assert_eq!(found.unreadable, None);
        found.path.strip_prefix(&base).unwrap().to_owned()
    }

    #[test]
    fn root_is_found_as_cargo_finds_it() {
        let package = "[package]\nname = \"a\"\n";
        let workspace = "[workspace]\nmembers = [\"x/*\"]\n";
        let excluding = "[workspace]\nexclude = [\"x\"]\n";
        let both = "[workspace]\nmembers = [\"x/a\"]\nexclude = [\"x\"]\n";
        let own = "[package]\nname = \"a\"\n[workspace]\n";
        let named = "[package]\nname = \"a\"\nworkspace = \"../../y\"\n";
        for (outer, inner, expected) in [
            (workspace, package, ""),
            (workspace, own, "x/a"),
            (package, package, "x/a"),
            (excluding, package, "x/a"),
            (both, package, ""),
            ("no TOML", package, "x/a"),
            (workspace, named, "y"),
        ] {
            let files = [
                ("Cargo.toml", outer),
                ("x/a/Cargo.toml", inner),
                ("y/Cargo.toml", workspace),
            ];
            assert_eq!(root(&files, "x/a"), Path::new(expected), "{outer}{inner}");
        }
    }

    #[test]
    fn manifest_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("Cargo.toml")).unwrap();
        let found = WorkspaceRoot::of(dir.path());
        assert!(found.unreadable.unwrap().contains("Cargo.toml: "));
    }
}
