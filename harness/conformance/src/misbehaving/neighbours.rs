//! Tests that run one after the other in the same directory.

use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Returns the directories that a test may write to.
///
/// Only a sandboxed test has its own shared memory. `MISBEHAVING_SHARED_MEMORY` names the directory
/// of the shared memory, and is set only for runs in the sandbox.
fn writable(cx: &Context) -> Result<Vec<PathBuf>> {
    let case = cx.dir().parent().ok_or("the directory has no parent")?;
    let shared = std::env::var_os("MISBEHAVING_SHARED_MEMORY").map(PathBuf::from);
    let own = [cx.dir().to_owned(), case.to_owned(), std::env::temp_dir()];
    Ok(own.into_iter().chain(shared).collect())
}

/// Leaves a file in each writable directory, and removes all permissions from these directories.
#[chaos]
fn one_spoils_all(cx: Context) -> Result {
    for directory in writable(&cx)? {
        File::create(directory.join("left-behind"))?;
        fs::set_permissions(directory, Permissions::from_mode(0o000))?;
    }
    Ok(())
}

/// Finds no file that `one_spoils_all` left in the same directories.
#[chaos]
fn two_finds_nothing_of_it(cx: Context) -> Result {
    for (entries, directory) in [0, 2, 0, 0].into_iter().zip(writable(&cx)?) {
        let count = directory.read_dir()?.count();
        assert_eq!(count, entries, "{}", directory.display());
        let file = directory.join("own");
        File::create(&file)?;
        fs::remove_file(file)?;
    }
    cx.note(cx.dir().display().to_string());
    Ok(())
}
