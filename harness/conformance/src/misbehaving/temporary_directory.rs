//! Tests that fill the file system of their directories.

use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Fills the file system that holds this directory. Returns the path of the file.
fn fill(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("filler");
    let mut file = File::create(&path)?;
    // Writes less and less at a time, until no byte is left.
    for chunk in [&[0; 1 << 16][..], &[0; 64], &[0]] {
        // A file system without a limit must not be filled.
        let full = (0..1 << 12).find_map(|_| file.write_all(chunk).err());
        let full = full.ok_or("the file system is not small")?;
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }
    Ok(path)
}

/// More characters than the last page of any file has space for.
const LONG: usize = 1 << 15;

/// Fills the file system, and notes something.
#[chaos]
fn fills_it(cx: Context) -> Result {
    fill(cx.dir())?;
    cx.note("x".repeat(LONG));
    Ok(())
}

/// Fills the file system, notes something, and removes the file.
#[chaos]
fn fills_it_for_a_while(cx: Context) -> Result {
    let filler = fill(cx.dir())?;
    cx.note(format!("{:LONG$}", "there was no space for this"));
    fs::remove_file(filler)?;
    cx.note("there is space again");
    Ok(())
}

/// Fills the file system, and times out.
#[chaos(timeout = "1s")]
fn fills_it_and_hangs(cx: Context) -> Result {
    fill(cx.dir())?;
    cx.note("x".repeat(LONG));
    loop {
        std::thread::park();
    }
}
