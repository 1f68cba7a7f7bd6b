//! Operations that are run with injected errors. In each run, one call fails with one error.

use super::{NEW, OLD, publish, rightly};
use clarity_chaos::explore::{Errno, InjectedFailure};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Ignores the error of a write.
#[chaos(non_destructive)]
fn errors_are_overlooked(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    cx.fail_everywhere(
        [Errno::EIO, Errno::ENOSPC],
        |dir| {
            let mut file = File::create(dir.join("draft"))?;
            let _ = file.write_all(NEW.as_bytes());
            file.sync_all()?;
            publish(dir)
        },
        reported_or_old,
    )?;
    Ok(())
}

/// Returns the error of each failed call, and never leaves a damaged file.
#[chaos(non_destructive)]
fn errors_are_reported(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    let explored = cx.fail_everywhere([Errno::EIO, Errno::ENOSPC], rightly, reported_or_old)?;
    assert!(explored.points > explored.calls, "{explored:?}");
    Ok(())
}

/// Requires the old or the new text in `current`. Requires the new text if the operation returned
/// success.
fn reported_or_old(dir: &Path, failure: InjectedFailure) -> Result {
    match fs::read_to_string(dir.join("current"))?.as_str() {
        NEW => Ok(()),
        OLD if !failure.acknowledged() => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

/// The standard library repeats calls that fail with EINTR, so the operation succeeds.
#[chaos(non_destructive)]
fn interrupted_calls_are_made_again(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    let explored = cx.fail_everywhere(
        [Errno::EINTR],
        |dir| {
            let text = fs::read(dir.join("current"))?;
            let mut file = File::create(dir.join("draft"))?;
            file.write_all(&text)?;
            Ok(())
        },
        |dir, failure| {
            assert!(failure.acknowledged());
            assert_eq!(fs::read_to_string(dir.join("draft"))?, OLD);
            Ok(())
        },
    )?;
    assert!(explored.points > 0, "{explored:?}");
    Ok(())
}

/// Appends to an existing log, and calls `retry` if the write fails.
fn append(dir: &Path, retry: fn(&mut File) -> io::Result<()>) -> Result {
    let mut log = File::options().append(true).open(dir.join("log"))?;
    if log.write_all(NEW.as_bytes()).is_err() {
        retry(&mut log)?;
    }
    Ok(())
}

/// Requires the new text in the log if the operation returned success.
fn acknowledged_text_is_logged(dir: &Path, failure: InjectedFailure) -> Result {
    let log = fs::read_to_string(dir.join("log"))?;
    match failure.acknowledged() && !log.ends_with(NEW) {
        true => Err(format!("found {log:?}").into()),
        false => Ok(()),
    }
}

/// Tries a failed write once more, and ignores the second error. The second write succeeds if only
/// one call fails, but not on a full disk.
#[chaos(non_destructive)]
fn second_error_is_ignored(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), OLD)?;
    let ignore = |log: &mut File| {
        let _ = log.write_all(NEW.as_bytes());
        Ok(())
    };
    cx.fail_everywhere(
        [Errno::ENOSPC],
        |dir| append(dir, ignore),
        acknowledged_text_is_logged,
    )?;
    Ok(())
}

/// Returns the second error.
#[chaos(non_destructive)]
fn second_error_is_returned(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), OLD)?;
    cx.fail_everywhere(
        [Errno::ENOSPC, Errno::EIO],
        |dir| append(dir, |log| log.write_all(NEW.as_bytes())),
        acknowledged_text_is_logged,
    )?;
    Ok(())
}

/// Removes a cache when the disk is full, and then has space for the write.
#[chaos(non_destructive)]
fn space_comes_from_a_removed_file(cx: Context) -> Result {
    fs::write(cx.dir().join("cache"), "bytes")?;
    cx.fail_everywhere(
        [Errno::ENOSPC],
        |dir| {
            let write = || -> Result {
                let mut file = File::create(dir.join("file"))?;
                Ok(file.write_all(b"text")?)
            };
            if write().is_err() {
                fs::remove_file(dir.join("cache"))?;
                write()?;
            }
            Ok(())
        },
        |dir, failure| {
            // Without a failure at the removal itself, the operation always succeeds.
            if failure.acknowledged() {
                assert_eq!(fs::read_to_string(dir.join("file"))?, "text");
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// Opens a second file while one is open, and tries again after it has closed the first.
#[chaos(non_destructive)]
fn descriptor_comes_from_a_closed_file(cx: Context) -> Result {
    cx.fail_everywhere(
        [Errno::EMFILE],
        |dir| {
            let first = File::create(dir.join("first"))?;
            if File::create(dir.join("second")).is_err() {
                drop(first);
                File::create(dir.join("second"))?;
            }
            Ok(())
        },
        |dir, failure| {
            assert!(failure.acknowledged() || !dir.join("first").exists());
            assert!(!failure.acknowledged() || dir.join("second").exists());
            Ok(())
        },
    )?;
    Ok(())
}

/// A fault of the test holds while the operation ends a child, and itself, with `SIGTERM`. Only the
/// test's own `SIGTERM` undoes faults.
#[chaos(non_destructive)]
fn termination_of_the_operation_undoes_no_fault(cx: Context) -> Result {
    use clarity_chaos::fault::Delete;
    let victim = cx.dir().join("victim");
    fs::write(&victim, "")?;
    let _deleted = cx.inject(Delete::new(&victim))?;
    let before = tempfile::tempdir()?;
    let explored = cx.explore().starting_from(before.path()).crash_everywhere(
        |dir| {
            fs::write(dir.join("file"), "")?;
            rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::TERM,
            )?;
            Ok(())
        },
        |_, _| Ok(()),
    );
    let text = explored.map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("ended by signal 15"), "{text}");
    assert!(!victim.exists(), "the fault was undone");
    Ok(())
}
