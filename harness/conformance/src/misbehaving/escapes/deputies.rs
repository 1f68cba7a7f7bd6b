//! Confused-deputy attacks: traps for the runner, which removes or keeps a test's files.
//!
//! The tests that set traps fail if `MISBEHAVING_FAILS` is set. With some values of `--keep-dirs`,
//! the runner keeps the files of failed tests.

use super::victim;
use clarity_chaos::{Context, Result, chaos};
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Returns the case's directory, and the parent of that directory. The case's directory contains
/// `cx.dir()`.
fn case_directories(cx: &Context) -> Result<(PathBuf, PathBuf)> {
    let own = cx.dir().parent().ok_or("the directory has no parent")?;
    let all = own.parent().ok_or("the case has no parent")?;
    Ok((own.to_owned(), all.to_owned()))
}

fn end() -> Result {
    match env::var_os("MISBEHAVING_FAILS") {
        Some(_) => Err("as it should".into()),
        None => Ok(()),
    }
}

/// Leaves symlinks at paths that the runner writes to.
#[chaos]
fn links_for_files(cx: Context) -> Result {
    let (own, _) = case_directories(&cx)?;
    let victim = victim()?;
    for (name, target) in [
        ("output", "file"),
        ("timeline.jsonl", "other"),
        ("tmp", "folder"),
        ("undo", "folder"),
    ] {
        symlink(victim.join(target), own.join(name))?;
    }
    fs::write(env::temp_dir().join("left-behind"), "")?;
    end()
}

/// Leaves symlinks in place of directories that the runner empties and lists.
#[chaos]
fn links_for_folders(cx: Context) -> Result {
    let (own, all) = case_directories(&cx)?;
    let victim = victim()?;
    fs::rename(&own, all.join("moved-away"))?;
    symlink(&victim, &own)?;
    let tmp = env::temp_dir();
    fs::remove_dir(&tmp)?;
    symlink(victim.join("shut"), tmp)?;
    end()
}

/// Leaves a symlink in place of the home directory, and removes all permissions from three
/// directories.
#[chaos]
fn obstacles(cx: Context) -> Result {
    let (own, all) = case_directories(&cx)?;
    let home = own.join("home");
    fs::remove_dir(&home)?;
    symlink(victim()?, home)?;
    let shut = |directory: &Path| fs::set_permissions(directory, Permissions::from_mode(0o000));
    shut(&own)?;
    shut(&env::temp_dir())?;
    shut(&all)?;
    end()
}

/// Runs last. This test's directories must contain no files of the earlier tests.
#[chaos]
fn they_are_gone(cx: Context) -> Result {
    let (own, all) = case_directories(&cx)?;
    let names = |directory: &Path| -> Result<Vec<_>> {
        let entries = fs::read_dir(directory)?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        Ok(names)
    };
    assert_eq!(names(&all)?.len(), 2, "{:?}", names(&all)?);
    assert_eq!(names(&own)?, ["dir", "home"]);
    assert!(names(&env::temp_dir())?.is_empty());
    fs::write(env::temp_dir().join("own"), "")?;
    fs::write(cx.dir().join("own"), "")?;
    Ok(())
}
