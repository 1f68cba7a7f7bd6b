//! Checks that leave a process behind, which has a file of the directory open.

use clarity_chaos::{Context, Result, chaos};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::NamedTempFile;

/// A file that no call of the operation changes.
const KEPT: &str = "kept";

/// Starts a process that has `file` open, and returns the process's number.
type Leave = fn(file: File) -> Result<i32>;

/// Explores an operation whose checks each leave a process behind. No two of these processes may
/// have the same file open: one could change the directory of a later check.
fn explore(cx: &Context, leave: Leave) -> Result {
    fs::write(cx.dir().join(KEPT), "the text")?;
    let left = NamedTempFile::new()?;
    let explored = cx.crash_everywhere(
        |dir| {
            for name in ["a", "b", "c"] {
                fs::write(dir.join(name), "")?;
            }
            Ok(())
        },
        |dir, _| check(dir, left.path(), leave),
    );
    let left = processes(left.path())?;
    for (process, _) in &left {
        end(*process)?;
    }
    explored?;
    assert!(left.len() > 3, "{left:?}");
    Ok(())
}

/// Checks that no process of an earlier check can change the directory. Then leaves one behind.
fn check(dir: &Path, left: &Path, leave: Leave) -> Result {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(dir.join(KEPT))?;
    let inode = file.metadata()?.ino();
    for (process, other) in processes(left)? {
        // The number of a file that nobody has open any more can be used again.
        assert!(
            !is_alive(process) || inode != other,
            "process {process} of an earlier check has the file open"
        );
    }
    let process = leave(file)?;
    assert!(is_alive(process), "process {process} has ended");
    let mut left = OpenOptions::new().append(true).open(left)?;
    writeln!(left, "{process} {inode}")?;
    Ok(())
}

/// Returns the processes that the checks have left behind, and the inodes that these have open.
fn processes(left: &Path) -> Result<Vec<(i32, u64)>> {
    let mut found = Vec::new();
    for line in fs::read_to_string(left)?.lines() {
        let (process, inode) = line.split_once(' ').ok_or("an incomplete line")?;
        found.push((process.parse()?, inode.parse()?));
    }
    Ok(found)
}

/// The program of the processes that the checks leave behind.
const SLEEP: [&str; 2] = ["sleep", "600"];

/// Whether the process has not ended.
fn is_alive(process: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses.
    let state = stat.rsplit(')').next().and_then(|rest| rest.chars().nth(1));
    state.is_some_and(|state| !['Z', 'X'].contains(&state))
}

/// Ends a process whose parent has ended, so that it is a child of this process.
fn end(process: i32) -> Result {
    let process = Pid::from_raw(process);
    match nix::sys::signal::kill(process, nix::sys::signal::SIGKILL) {
        // The exploration has ended the process.
        Err(nix::errno::Errno::ESRCH) => return Ok(()),
        sent => sent?,
    }
    waitpid(process, None)?;
    Ok(())
}

/// The process has left the session and the group of the check.
#[chaos(non_destructive)]
fn child_in_a_session_of_its_own(cx: Context) -> Result {
    explore(&cx, |file| {
        let child = Command::new("setsid").args(SLEEP).stdin(file).spawn()?;
        Ok(i32::try_from(child.id())?)
    })
}

/// The process that has started the process has ended before the check.
#[chaos(non_destructive)]
fn orphan_of_a_shell(cx: Context) -> Result {
    explore(&cx, |file| {
        let script = format!("exec 3<&0; setsid {} >&2 & echo $!", SLEEP.join(" "));
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stdin(file);
        let started = shell.stderr(Stdio::null()).output()?;
        Ok(String::from_utf8(started.stdout)?.trim().parse()?)
    })
}

/// The end of the process sends no signal to its parent, which must ask for such children.
#[chaos(non_destructive)]
fn child_without_an_exit_signal(cx: Context) -> Result {
    explore(&cx, |_file| {
        // SAFETY: without flags, the call is a fork. The child makes system calls only.
        let child = unsafe { nix::libc::syscall(nix::libc::SYS_clone, 0, 0, 0, 0, 0) };
        if child == 0 {
            loop {
                // SAFETY: the call touches no memory.
                unsafe { nix::libc::pause() };
            }
        }
        match child {
            -1 => Err(io::Error::last_os_error().into()),
            child => Ok(i32::try_from(child)?),
        }
    })
}
