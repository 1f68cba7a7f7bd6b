//! Attempts to change the metadata of files outside the sandbox. Changes of metadata need no write
//! permission.

use super::{refused, victim};
use clarity_chaos::{Context, Result, chaos};
use rustix::fs::AtFlags;
use rustix::fs::{CWD, Mode, Timespec, Timestamps, XattrFlags, chmodat, setxattr, utimensat};
use std::os::unix::fs::chown;
use std::process::Command;

/// Tries to change a file's mode, owner, times and extended attributes.
#[chaos(non_destructive)]
fn change(cx: Context) -> Result {
    let file = victim()?.join("file");
    refused(
        &cx,
        "chmod",
        chmodat(CWD, &file, Mode::RWXU, AtFlags::empty()),
    )?;
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    refused(
        &cx,
        "chown",
        chown(&file, Some(user.as_raw()), Some(group.as_raw())),
    )?;
    let long_ago = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: long_ago,
        last_modification: long_ago,
    };
    refused(
        &cx,
        "utimes",
        utimensat(CWD, &file, &times, AtFlags::empty()),
    )?;
    let attribute = setxattr(&file, c"user.harm", b"done", XattrFlags::empty());
    refused(&cx, "setxattr", attribute)
}

/// Starts a child process that tries to change a file's mode.
#[chaos(non_destructive)]
fn change_by_a_child(cx: Context) -> Result {
    let status = Command::new("chmod")
        .arg("777")
        .arg(victim()?.join("other"))
        .status()?;
    if status.success() {
        return Err("escaped: a child has changed the permissions".into());
    }
    cx.note("child: refused");
    Ok(())
}
