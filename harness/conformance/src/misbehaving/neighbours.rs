//! Tests that run one after the other in the same place.

use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// The folders that a test may write to. Shared memory is its own in the sandbox alone, and the caller says so.
fn writable(cx: &Context) -> Result<Vec<PathBuf>> {
    let case = cx.dir().parent().ok_or("it is in the case's folder")?;
    let shared = std::env::var_os("MISBEHAVING_SHARED_MEMORY").map(PathBuf::from);
    let own = [cx.dir().to_owned(), case.to_owned(), std::env::temp_dir()];
    Ok(own.into_iter().chain(shared).collect())
}

/// Leaves something in each, and takes all rights away.
#[chaos]
fn one_spoils_all(cx: Context) -> Result {
    for folder in writable(&cx)? {
        File::create(folder.join("left-behind"))?;
        fs::set_permissions(folder, Permissions::from_mode(0o000))?;
    }
    Ok(())
}

/// Finds nothing of that, in the same slot.
#[chaos]
fn two_finds_nothing_of_it(cx: Context) -> Result {
    for (entries, folder) in [0, 1, 0, 0].into_iter().zip(writable(&cx)?) {
        assert_eq!(folder.read_dir()?.count(), entries, "{}", folder.display());
        let file = folder.join("own");
        File::create(&file)?;
        fs::remove_file(file)?;
    }
    cx.note(cx.dir().display().to_string());
    Ok(())
}
