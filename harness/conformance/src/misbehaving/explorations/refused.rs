//! Operations that cannot be explored, and invariants that panic.

use super::{explore, rightly};
use clarity_chaos::explore::{Crash, Errno};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread;

/// Writes only outside the explored directory.
#[chaos(non_destructive)]
fn elsewhere(cx: Context) -> Result {
    let other = tempfile::tempdir()?;
    let other = other.path();
    cx.crash_everywhere(|_| Ok(fs::write(other.join("file"), "")?), |_, _| Ok(()))?;
    Ok(())
}

/// The operation returns an error even without a crash.
#[chaos(non_destructive)]
fn it_fails_anyway(cx: Context) -> Result {
    explore(&cx, |_| Err("no such luck".into()))
}

/// Explores while another thread of the test is running.
#[chaos(non_destructive)]
fn beside_a_thread(cx: Context) -> Result {
    explore_beside(&cx, "busy")
}

/// Runs `explore` while a thread with this name is running.
fn explore_beside(cx: &Context, name: &str) -> Result {
    let (begin, begun) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _ = begin.send(());
            stopped.recv()
        })?;
    begun.recv()?;
    let explored = explore(cx, rightly);
    drop(stop);
    let _ = thread.join();
    explored
}

/// Explores while a thread runs that has the name of the harness's own thread.
#[chaos(non_destructive)]
fn beside_a_thread_with_the_name_of_ours(cx: Context) -> Result {
    explore_beside(&cx, "clarity-chaos")
}

/// Explores while a thread runs whose name the kernel cuts inside a character.
#[chaos(non_destructive)]
fn beside_a_thread_with_a_cut_name(cx: Context) -> Result {
    explore_beside(&cx, "fourteen bytes\u{e9}")
}

/// The first run of the operation makes calls that later runs do not make.
#[chaos(non_destructive)]
fn another_way_each_time(cx: Context) -> Result {
    // Each run is a fork of this process, so a counter in memory would not survive the run. Files
    // outside the explored directory count the runs.
    let runs = tempfile::tempdir()?;
    let runs = runs.path();
    cx.fail_everywhere(
        [Errno::EIO],
        |dir| {
            let number = fs::read_dir(runs)?.count();
            File::create(runs.join(number.to_string()))?;
            if number == 0 {
                fs::write(dir.join("file"), "")?;
            }
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// The invariant panics, as a failed assertion does.
#[chaos(non_destructive)]
fn its_check_panics(cx: Context) -> Result {
    explore_with(&cx, |_, _| {
        let never = fs::exists("/")?;
        assert!(!never, "assertion failed: never true");
        Ok(())
    })
}

/// A crash leaves a lock file, and the next start waits for its removal.
#[chaos(non_destructive, timeout = "60s")]
fn its_check_never_ends(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            fs::write(dir.join("lock"), "")?;
            fs::write(dir.join("file"), "")?;
            fs::remove_file(dir.join("lock"))?;
            Ok(())
        },
        |dir, _| {
            while dir.join("lock").exists() {
                thread::sleep(std::time::Duration::from_millis(10));
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// The operation repeats a failed call for ever.
#[chaos(non_destructive, timeout = "60s")]
fn it_never_ends_after_an_error(cx: Context) -> Result {
    cx.fail_everywhere(
        [Errno::EIO],
        |dir| {
            while fs::write(dir.join("file"), "text").is_err() {}
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

fn explore_with(cx: &Context, invariant: fn(&Path, Crash) -> Result) -> Result {
    cx.crash_everywhere(rightly, invariant)?;
    Ok(())
}

/// Explores the operation `rightly`. `where_calls_are_watched_already` runs this test in a second
/// runner.
#[chaos(non_destructive)]
fn inside(cx: Context) -> Result {
    explore(&cx, rightly)
}

/// The explored operation starts a second runner, whose test tries to explore as well. The kernel
/// refuses this inner exploration.
#[chaos]
fn where_calls_are_watched_already(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            fs::write(dir.join("file"), "")?;
            let inner = Command::new(std::env::current_exe()?)
                .args([
                    "--exact",
                    "explorations::refused::inside",
                    "--sandbox",
                    "none",
                ])
                .output()?;
            let printed = String::from_utf8_lossy(&inner.stdout);
            let skipped = printed.contains("is already notified of this process's system calls");
            match inner.status.success() && skipped && printed.contains("0 failed") {
                true => Ok(()),
                false => Err(printed.into_owned().into()),
            }
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// A crash leaves the socket of the operation, which no state can have.
#[chaos(non_destructive)]
fn with_a_socket(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            fs::write(dir.join("file"), "")?;
            std::os::unix::net::UnixListener::bind(dir.join("socket"))?;
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// A file of a terabyte has no content in memory.
#[chaos(non_destructive)]
fn with_a_huge_file(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| Ok(File::create(dir.join("file"))?.set_len(1 << 40)?),
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// Sets an extended attribute, which no state has.
#[chaos(non_destructive)]
fn with_extended_attributes(cx: Context) -> Result {
    explore(&cx, |dir| {
        let flags = rustix::fs::XattrFlags::empty();
        let _ = rustix::fs::setxattr(dir.join("current"), "user.sum", b"1", flags);
        rightly(dir)
    })
}

/// Gives a file a name that the exploration does not see.
#[chaos(non_destructive)]
fn with_a_name_outside(cx: Context) -> Result {
    explore(&cx, |dir| {
        let outside = dir.parent().ok_or("no parent")?.join("outside");
        fs::hard_link(dir.join("current"), &outside)?;
        fs::remove_file(outside)?;
        Ok(())
    })
}
