//! Attempts to regain privileges.

use super::{only_inside, refused, victim};
use clarity_chaos::{Context, Result, chaos};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::thread::capabilities;
use std::fs;
use std::process::Command;

/// Tries to read a file of mode 000. Root's capabilities would allow the read.
#[chaos(non_destructive)]
fn a_locked_file(cx: Context) -> Result {
    refused(
        &cx,
        "read a file of mode 000",
        fs::read(victim()?.join("locked")),
    )
}

/// The test and its child processes have no capabilities.
#[chaos(non_destructive)]
fn capabilities_are_gone(cx: Context) -> Result {
    let sets = capabilities(None)?;
    if !(sets.permitted | sets.effective | sets.inheritable).is_empty() {
        return Err(format!("escaped: there are capabilities: {sets:?}").into());
    }
    let status = Command::new("grep")
        .args(["^CapEff", "/proc/self/status"])
        .output()?;
    let printed = String::from_utf8(status.stdout)?;
    if printed.trim_start_matches("CapEff:").trim() != "0000000000000000" {
        return Err(format!("escaped: a child has {printed}").into());
    }
    cx.note("capabilities: none");
    Ok(())
}

/// Tries to create a user namespace, in which the process would have all capabilities.
#[chaos(non_destructive)]
fn a_new_user_namespace(cx: Context) -> Result {
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "cat"])
        .arg(victim()?.join("locked"))
        .output()?;
    if ran.status.success() {
        return Err("escaped: a new user namespace has read the file of mode 000".into());
    }
    let bare = Command::new("unshare").args(["--user", "true"]).output()?;
    if bare.status.success() {
        return Err("escaped: a new user namespace was made".into());
    }
    let printed = String::from_utf8_lossy(&bare.stderr).into_owned();
    let known = ["Operation not permitted", "No space left on device"];
    if !known.iter().any(|reason| printed.contains(reason)) {
        return Err(format!("refused in an unknown way: {printed}").into());
    }
    cx.note(format!("user namespace: {}", printed.trim()));
    Ok(())
}

/// Tries to mount, unmount and remount file systems.
#[chaos(non_destructive, harmful)]
fn mounts(cx: Context) -> Result {
    only_inside(&cx)?;
    let dir = cx.dir();
    refused(
        &cx,
        "mount",
        mount("none", dir, "tmpfs", MountFlags::empty(), None),
    )?;
    refused(&cx, "umount", unmount("/proc", UnmountFlags::DETACH))?;
    let remount = rustix::mount::mount_remount("/", MountFlags::BIND, "");
    refused(&cx, "remount", remount)
}
