//! Pairs of programs that react to a failed sync. The wrong one tries the same sync again.

use clarity_chaos::explore::{Errno, ExploreError, InjectedFailure, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Lets each call fail with `EIO`, and then the power. The right program must pass. The wrong one
/// must be broken at `call` after a loss of power.
fn compare(
    cx: &Context,
    call: &str,
    wrong: fn(&Path) -> Result,
    right: fn(&Path) -> Result,
    invariant: fn(&Path, InjectedFailure) -> Result,
) -> Result {
    let explore = || cx.explore().power_loss(PowerLoss::Journaled);
    explore().fail_everywhere([Errno::EIO], right, invariant)?;
    match explore().fail_everywhere([Errno::EIO], wrong, invariant) {
        Err(ExploreError::Broken(broken)) => {
            let text = broken.to_string();
            let expected = format!("{call} (");
            assert!(text.contains(&expected), "no {expected:?} in: {text}");
            assert!(text.contains("then the power failed"), "{text}");
            Ok(())
        }
        other => panic!("the wrong program is not broken: {other:?}"),
    }
}

/// Overwrites a file, and calls `retry` if the sync fails.
fn overwrite(dir: &Path, retry: fn(&File) -> Result) -> Result {
    let file = File::options().write(true).open(dir.join("file"))?;
    file.write_all_at(b"new", 0)?;
    if file.sync_all().is_err() {
        retry(&file)?;
    }
    Ok(())
}

/// A second sync succeeds without writing the lost bytes. Written again, they can be synced.
#[chaos(non_destructive)]
fn sync_of_a_file_is_tried_again(cx: Context) -> Result {
    fs::write(cx.dir().join("file"), "old")?;
    compare(
        &cx,
        "fsync of file",
        |dir| overwrite(dir, |file| Ok(file.sync_all()?)),
        |dir| {
            overwrite(dir, |file| {
                file.write_all_at(b"new", 0)?;
                Ok(file.sync_all()?)
            })
        },
        |dir, failure| {
            let text = fs::read_to_string(dir.join("file"))?;
            match text == "new" || !failure.acknowledged() {
                true => Ok(()),
                false => Err(format!("found {text:?}").into()),
            }
        },
    )
}

/// Renames a draft over a file, and calls `retry` if the sync of the directory fails.
fn replace(dir: &Path, retry: fn(&File) -> Result) -> Result {
    fs::rename(dir.join("draft"), dir.join("file"))?;
    let directory = File::open(dir)?;
    match directory.sync_all() {
        Ok(()) => Ok(()),
        Err(_failed) => retry(&directory),
    }
}

/// A second sync of a directory succeeds, but brings nothing. So the operation has to give up.
#[chaos(non_destructive)]
fn sync_of_a_directory_is_tried_again(cx: Context) -> Result {
    fs::write(cx.dir().join("file"), "old")?;
    fs::write(cx.dir().join("draft"), "new")?;
    compare(
        &cx,
        "fsync of the directory",
        |dir| replace(dir, |directory| Ok(directory.sync_all()?)),
        |dir| replace(dir, |_| Err("the directory cannot be synced".into())),
        |dir, failure| {
            let text = fs::read_to_string(dir.join("file"))?;
            match text == "new" || !failure.acknowledged() {
                true => Ok(()),
                false => Err(format!("found {text:?}").into()),
            }
        },
    )
}

/// An interrupted sync loses nothing, so the standard library may repeat it.
#[chaos(non_destructive)]
fn sync_is_interrupted(cx: Context) -> Result {
    fs::write(cx.dir().join("file"), "old")?;
    let explore = cx.explore().power_loss(PowerLoss::Journaled);
    explore.fail_everywhere(
        [Errno::EINTR],
        |dir| overwrite(dir, |_| Err("the sync failed".into())),
        |dir, failure| {
            assert!(!failure.acknowledged() || fs::read_to_string(dir.join("file"))? == "new");
            Ok(())
        },
    )?;
    Ok(())
}
