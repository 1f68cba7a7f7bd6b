//! Operations that are run with injected errors. In each run, one call fails with one error.

use super::{NEW, OLD, publish, rightly};
use clarity_chaos::explore::{Errno, InjectedFailure};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
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
fn errors_are_told(cx: Context) -> Result {
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
