//! The home directory of a sandboxed test, and the variables that lead to a home directory.
//!
//! A sandboxed test has an empty home directory of its own. It cannot write to the user's home
//! directory, and can read only a part of it. Some programs find their own files by `HOME`:
//! toolchains, and managers of language versions. Their variables are set to the directories that
//! they had with the user's home directory.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The variables of programs that tests may use, and each directory's name in the home directory.
/// These directories contain programs and settings, but no secrets that tests could read.
const TOOLCHAINS: [(&str, &str); 2] = [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")];

/// The variables and directories of version managers. The shims of a version manager need its whole
/// directory.
const VERSION_MANAGERS: [(&str, &str); 4] = [
    ("PYENV_ROOT", ".pyenv"),
    ("RBENV_ROOT", ".rbenv"),
    ("NODENV_ROOT", ".nodenv"),
    ("GOENV_ROOT", ".goenv"),
];

/// The variables of the XDG specification, and their defaults in the home directory.
const XDG: [(&str, &str); 5] = [
    ("XDG_BIN_HOME", ".local/bin"),
    ("XDG_CACHE_HOME", ".cache"),
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_STATE_HOME", ".local/state"),
];

/// Git's settings for a test. They are Git's settings of the system, so that each setting of the
/// test's repository or home directory overrides them.
const GIT_IDENTITY: &str = "[user]\n\tname = chaos test\n\temail = chaos-test@localhost\n";

/// The new value of a variable; `None` to remove the variable.
pub(crate) type Variable = (OsString, Option<OsString>);

/// Returns the changes to the environment of a test whose home directory is `home`. Git reads
/// `git_settings` as the settings of the system.
pub(crate) fn variables(home: &Path, git_settings: &Path) -> Vec<Variable> {
    changes(
        &env::vars_os().collect(),
        env::home_dir().as_deref(),
        home,
        git_settings,
    )
}

/// Writes Git's settings: an identity, and the system's own settings.
pub(crate) fn write_git_settings(path: &Path) -> io::Result<()> {
    let mut settings = GIT_IDENTITY.to_owned();
    let is_off = env::var_os("GIT_CONFIG_NOSYSTEM").is_some_and(|value| !is_false(&value));
    let system = env::var_os("GIT_CONFIG_SYSTEM").unwrap_or_else(|| "/etc/gitconfig".into());
    if let (false, Some(system)) = (is_off, Path::new(&system).to_str()) {
        let quoted = system.replace('\\', r"\\").replace('"', "\\\"");
        settings.push_str(&format!("[include]\n\tpath = \"{quoted}\"\n"));
    }
    fs::write(path, settings)
}

/// Returns the directories of version managers. Some of them may not exist.
pub(super) fn version_managers() -> impl Iterator<Item = PathBuf> {
    let roots = VERSION_MANAGERS.into_iter();
    roots.filter_map(|(variable, default)| directory_of(variable, default))
}

/// Returns the directory that a program uses: the value of `variable`, or `default` in the home
/// directory.
pub(super) fn directory_of(variable: &str, default: &str) -> Option<PathBuf> {
    let given = env::var_os(variable).filter(|value| !value.is_empty());
    let given = given.map(PathBuf::from);
    given.or_else(|| Some(env::home_dir()?.join(default)))
}

fn changes(
    current: &BTreeMap<OsString, OsString>,
    old_home: Option<&Path>,
    home: &Path,
    git_settings: &Path,
) -> Vec<Variable> {
    let given = |name: &str| {
        let value = current.get(OsStr::new(name));
        value.filter(|value| !value.is_empty())
    };
    let mut changes: Vec<Variable> = Vec::new();
    let mut set = |name: &str, value: &Path| changes.push((name.into(), Some(value.into())));
    set("HOME", home);
    for (name, default) in TOOLCHAINS.into_iter().chain(VERSION_MANAGERS) {
        let Some(directory) = old_home.map(|old| old.join(default)) else {
            continue;
        };
        let is_toolchain = TOOLCHAINS.iter().any(|(toolchain, _)| *toolchain == name);
        if given(name).is_none() && (is_toolchain || directory.is_dir()) {
            set(name, &directory);
        }
    }
    for (name, default) in XDG {
        if given(name).is_some() {
            set(name, &home.join(default));
        }
    }
    if given("GIT_CONFIG_GLOBAL").is_some() {
        set("GIT_CONFIG_GLOBAL", &home.join(".gitconfig"));
    }
    set("GIT_CONFIG_SYSTEM", git_settings);
    if current.contains_key(OsStr::new("GIT_CONFIG_NOSYSTEM")) {
        changes.push(("GIT_CONFIG_NOSYSTEM".into(), None));
    }
    changes
}

/// Whether Git reads this value of a variable as "false".
fn is_false(value: &OsStr) -> bool {
    let value = value.to_string_lossy().to_lowercase();
    ["", "0", "no", "off", "false"].contains(&value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(old_home: &Path, current: &[(&str, &str)]) -> BTreeMap<String, Option<PathBuf>> {
        let current = current.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let changes = changes(
            &current.collect(),
            Some(old_home),
            Path::new("/new"),
            Path::new("/git"),
        );
        let changes = changes.into_iter();
        changes
            .map(|(name, value)| (name.into_string().unwrap(), value.map(PathBuf::from)))
            .collect()
    }

    #[test]
    fn variables_keep_toolchains_and_move_the_rest() {
        let old = tempfile::tempdir().unwrap();
        fs::create_dir(old.path().join(".pyenv")).unwrap();
        let plain = changed(old.path(), &[("RUSTUP_HOME", "/given"), ("CARGO_HOME", "")]);
        let path = |path: &str| Some(PathBuf::from(path));
        let expected = [
            ("CARGO_HOME", Some(old.path().join(".cargo"))),
            ("GIT_CONFIG_SYSTEM", path("/git")),
            ("HOME", path("/new")),
            ("PYENV_ROOT", Some(old.path().join(".pyenv"))),
        ];
        assert_eq!(plain, expected.map(|(k, v)| (k.to_owned(), v)).into());

        let current = [
            ("XDG_CONFIG_HOME", "/old/.config"),
            ("XDG_DATA_HOME", ""),
            ("GIT_CONFIG_GLOBAL", "/old/git"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ];
        let moved = changed(old.path(), &current);
        assert_eq!(moved["XDG_CONFIG_HOME"], path("/new/.config"));
        assert!(!moved.contains_key("XDG_DATA_HOME"));
        assert_eq!(moved["GIT_CONFIG_GLOBAL"], path("/new/.gitconfig"));
        assert_eq!(moved["GIT_CONFIG_NOSYSTEM"], None);
    }
}
