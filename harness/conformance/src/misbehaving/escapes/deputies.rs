//! Making the runner do, when it cleans up or keeps what a test left, what the test may not.
//!
//! Each of these fails besides, if `MISBEHAVING_FAILS` is set: what a failed test left is kept.

use super::victim;
use clarity_chaos::{Context, Result, chaos};
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// The test's own folder, with `dir()` in it, and the one that the slot's tests have it in.
fn folders(cx: &Context) -> Result<(PathBuf, PathBuf)> {
    let own = cx.dir().parent().ok_or("it is in the case's folder")?;
    let all = own.parent().ok_or("it is in the slot's folder")?;
    Ok((own.to_owned(), all.to_owned()))
}

fn end() -> Result {
    match env::var_os("MISBEHAVING_FAILS") {
        Some(_) => Err("as it should".into()),
        None => Ok(()),
    }
}

/// Links in the places of files that the runner may write.
#[chaos]
fn links_for_files(cx: Context) -> Result {
    let (own, _) = folders(&cx)?;
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

/// Links in the places of folders that the runner empties, lists and takes back.
#[chaos]
fn links_for_folders(cx: Context) -> Result {
    let (own, all) = folders(&cx)?;
    let victim = victim()?;
    fs::rename(&own, all.join("moved-away"))?;
    symlink(&victim, &own)?;
    let tmp = env::temp_dir();
    fs::remove_dir(&tmp)?;
    symlink(victim.join("shut"), tmp)?;
    end()
}

/// Something in the place of the next test's folder, and no rights to any folder.
#[chaos]
fn obstacles(cx: Context) -> Result {
    let (own, all) = folders(&cx)?;
    symlink(victim()?, all.join("escapes.deputies.they_are_gone"))?;
    let shut = |folder: &Path| fs::set_permissions(folder, Permissions::from_mode(0o000));
    shut(&own)?;
    shut(&env::temp_dir())?;
    shut(&all)?;
    end()
}

/// Runs last, where the others have run.
#[chaos]
fn they_are_gone(cx: Context) -> Result {
    let (own, all) = folders(&cx)?;
    let names = |folder: &Path| -> Result<Vec<_>> {
        let entries = fs::read_dir(folder)?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        Ok(names)
    };
    assert_eq!(names(&all)?.len(), 2, "{:?}", names(&all)?);
    assert_eq!(names(&own)?, ["dir"]);
    assert!(names(&env::temp_dir())?.is_empty());
    fs::write(env::temp_dir().join("own"), "")?;
    fs::write(cx.dir().join("own"), "")?;
    Ok(())
}
