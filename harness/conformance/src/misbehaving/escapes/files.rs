//! Attempts to read or change files outside the sandbox.

use super::{only_inside, refused, victim};
use clarity_chaos::{Context, Result, chaos};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn append(path: PathBuf) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(b"harm")
}

/// Tries to write to a file, to truncate the file, and to create another file.
#[chaos(non_destructive)]
fn write(cx: Context) -> Result {
    let victim = victim()?;
    refused(&cx, "write", append(victim.join("file")))?;
    refused(&cx, "create", File::create_new(victim.join("new")))?;
    let open = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(victim.join("file"));
    refused(&cx, "truncate", open)?;
    let truncated = rustix::fs::open(
        victim.join("file"),
        rustix::fs::OFlags::RDONLY,
        Mode::empty(),
    )
    .and_then(|file| rustix::fs::ftruncate(file, 0));
    // Even without a sandbox, a read-only descriptor cannot truncate a file.
    assert!(truncated.is_err());
    Ok(())
}

/// Tries to rename files, to remove a file, and to remove a directory.
#[chaos(non_destructive)]
fn remove(cx: Context) -> Result {
    let victim = victim()?;
    let (file, directory) = (victim.join("file"), victim.join("folder"));
    refused(&cx, "rename", fs::rename(&file, victim.join("renamed")))?;
    refused(&cx, "rename over", fs::rename(victim.join("other"), &file))?;
    refused(&cx, "unlink", fs::remove_file(&file))?;
    refused(&cx, "rmdir", fs::remove_dir(&directory))
}

/// Tries to create a directory, a hard link, a symlink and a pipe.
#[chaos(non_destructive)]
fn make(cx: Context) -> Result {
    let victim = victim()?;
    let own = cx.dir().join("own");
    fs::write(&own, "own")?;
    refused(&cx, "mkdir", fs::create_dir(victim.join("new-folder")))?;
    refused(&cx, "link out", fs::hard_link(&own, victim.join("linked")))?;
    refused(&cx, "symlink", symlink(&own, victim.join("symlinked")))?;
    let pipe = mknodat(CWD, victim.join("pipe"), FileType::Fifo, Mode::RUSR, 0);
    refused(&cx, "mknod", pipe)
}

/// Tries to hard-link a file outside the sandbox into the test's directory.
#[chaos(non_destructive)]
fn link_in(cx: Context) -> Result {
    // A link from one mount to another fails with EXDEV, even within one file system.
    const EXDEV: i32 = 18;
    match fs::hard_link(victim()?.join("file"), cx.dir().join("linked")) {
        Err(error) if error.raw_os_error() == Some(EXDEV) => {
            cx.note("link in: EXDEV");
            Ok(())
        }
        attempt => refused(&cx, "link in", attempt),
    }
}

/// Creates a symlink to a file outside the sandbox, and tries to write through the symlink.
#[chaos(non_destructive)]
fn through_a_symlink(cx: Context) -> Result {
    let link = cx.dir().join("link");
    symlink(victim()?.join("file"), &link)?;
    refused(&cx, "write through a symlink", append(link))
}

/// Tries to write to a file outside the sandbox, through `/proc` paths to the root directory.
#[chaos(non_destructive)]
fn through_proc(cx: Context) -> Result {
    let victim = victim()?;
    let below = victim.strip_prefix("/")?;
    for door in [
        "/proc/self/root",
        "/proc/1/root",
        "/proc/self/cwd/../../../../../../..",
    ] {
        let file = PathBuf::from(door).join(below).join("file");
        refused(&cx, door, append(file))?;
    }
    Ok(())
}

/// Starts a child process that tries to write to a file outside of the sandbox.
#[chaos(non_destructive)]
fn through_a_child(cx: Context) -> Result {
    let status = Command::new("sh")
        .args(["-c", "echo harm >> \"$MISBEHAVING_VICTIM/file\""])
        .status()?;
    if status.success() {
        return Err("escaped: a child has written".into());
    }
    cx.note("child: refused");
    Ok(())
}

/// Tries to change files of the harness and of the run.
#[chaos(non_destructive, harmful)]
fn the_harness(cx: Context) -> Result {
    only_inside(&cx)?;
    let slot = cx
        .dir()
        .ancestors()
        .nth(3)
        .ok_or("the directory has no such ancestor")?;
    let run = slot.parent().ok_or("the directory has no such ancestor")?;
    refused(&cx, "timeline", append(slot.join("timeline.jsonl")))?;
    refused(&cx, "output", append(slot.join("output")))?;
    refused(&cx, "slot", File::create_new(slot.join("new")))?;
    refused(&cx, "run", File::create_new(run.join("new")))?;
    refused(&cx, "mark of the run", fs::remove_file(run.join("running")))
}

/// Tries to open kernel settings and disks for writing.
#[chaos(non_destructive, harmful)]
fn the_system(cx: Context) -> Result {
    only_inside(&cx)?;
    refused(
        &cx,
        "sysctl",
        OpenOptions::new()
            .write(true)
            .open("/proc/sys/kernel/hostname"),
    )?;
    let limit = OpenOptions::new()
        .write(true)
        .open("/proc/sys/user/max_user_namespaces");
    refused(&cx, "limit of namespaces", limit)?;
    refused(
        &cx,
        "sysfs",
        OpenOptions::new().write(true).open("/sys/power/state"),
    )?;
    for entry in fs::read_dir("/sys/class/block")
        .into_iter()
        .flatten()
        .flatten()
    {
        let disk = PathBuf::from("/dev").join(entry.file_name());
        if disk.exists() {
            let opened = OpenOptions::new().write(true).open(&disk);
            refused(&cx, &disk.display().to_string(), opened)?;
        }
    }
    Ok(())
}

/// Only descriptors of the test and of the harness are open.
#[chaos(non_destructive)]
fn through_a_descriptor(cx: Context) -> Result {
    let slot = cx
        .dir()
        .ancestors()
        .nth(3)
        .ok_or("the directory has no such ancestor")?;
    for entry in fs::read_dir("/proc/self/fd")? {
        let target = fs::read_link(entry?.path()).unwrap_or_default();
        let known = target.starts_with(slot)
            || target.starts_with("/proc")
            || target == Path::new("/dev/null")
            || !target.starts_with("/"); // pipes and sockets of the harness
        if !known {
            return Err(format!("escaped: {} is open", target.display()).into());
        }
    }
    cx.note("descriptors: none");
    Ok(())
}

/// Tries to list the user's home directory, and to read a file in it.
#[chaos(non_destructive)]
fn the_home(cx: Context) -> Result {
    let home = std::env::var_os("MISBEHAVING_HOME").ok_or("MISBEHAVING_HOME is not set")?;
    let home = PathBuf::from(home);
    refused(&cx, "list the home", fs::read_dir(&home))?;
    refused(&cx, "read the home", fs::read(home.join("secret")))
}

/// Tries to list `/run`, which contains the sockets of services.
#[chaos(non_destructive)]
fn services(cx: Context) -> Result {
    match fs::read_dir("/run").map(Iterator::count) {
        Ok(0) | Err(_) => cx.note("services: none"),
        Ok(entries) => return Err(format!("escaped: {entries} entries in /run").into()),
    }
    Ok(())
}
