//! Tests that close the descriptors of the harness.

use clarity_chaos::{Context, Result, chaos};
use nix::libc;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};

/// Closes all descriptors from this number on, as programs do before they become daemons.
fn close_from(first: libc::c_uint) -> Result {
    // SAFETY: on purpose, the call closes descriptors of other owners.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if closed != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(())
}

/// Closes all descriptors, and passes.
#[chaos]
fn closes_all() -> Result {
    close_from(3)
}

/// Closes all descriptors, and fails.
#[chaos]
fn closes_all_and_fails() -> Result {
    close_from(3)?;
    Err("another failure".into())
}

/// Closes all descriptors, and opens files of its own. They get the numbers of closed descriptors.
#[chaos]
fn reuses_the_numbers(cx: Context) -> Result {
    close_from(3)?;
    let mut files = Vec::new();
    for index in 0..16 {
        let path = cx.dir().join(index.to_string());
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(path)?;
        file.write_all(b"own")?;
        files.push(file);
    }
    cx.note("an event after the descriptors were closed");
    for mut file in files {
        let mut content = String::new();
        file.rewind()?;
        file.read_to_string(&mut content)?;
        assert_eq!(content, "own");
    }
    Ok(())
}

/// Closes all descriptors in an async test, and awaits a timer.
#[chaos(timeout = "20s")]
async fn closes_all_of_a_runtime(cx: Context) -> Result {
    fs::write(cx.dir().join("file"), "")?;
    close_from(3)?;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    Ok(())
}

/// Exits with the code of such a test, and has closed nothing.
#[chaos]
fn exits_like_it() {
    std::process::exit(102);
}
