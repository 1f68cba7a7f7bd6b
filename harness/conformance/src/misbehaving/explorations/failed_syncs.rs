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

/// After a failed sync of a directory, the file system is read-only, so the next file is missing.
#[chaos(non_destructive)]
fn file_system_is_read_only_after_a_failed_sync(cx: Context) -> Result {
    fn save(dir: &Path, note: fn(&Path) -> Result) -> Result {
        fs::rename(dir.join("draft"), dir.join("file"))?;
        match File::open(dir)?.sync_all() {
            Ok(()) => Ok(()),
            Err(_failed) => note(&dir.join("error")),
        }
    }
    fn error_is_noted(dir: &Path, failure: InjectedFailure) -> Result {
        let is_synced = failure.errno() != Some(Errno::EIO);
        let is_noted = dir.join("error").exists() || !dir.join("file").exists();
        match is_synced || is_noted || !failure.acknowledged() {
            true => Ok(()),
            false => Err("neither synced nor noted".into()),
        }
    }
    fs::write(cx.dir().join("draft"), "new")?;
    let explore = || cx.explore();
    explore().fail_everywhere(
        [Errno::EIO],
        |dir| save(dir, |path| Ok(fs::write(path, "not synced")?)),
        error_is_noted,
    )?;
    let wrong = |dir: &Path| {
        save(dir, |path| {
            let _ = fs::write(path, "not synced");
            Ok(())
        })
    };
    match explore().fail_everywhere([Errno::EIO], wrong, error_is_noted) {
        Err(ExploreError::Broken(broken)) => {
            assert_eq!(broken.message, "neither synced nor noted");
            let text = broken.to_string();
            assert!(text.contains("fsync of the directory ("), "{text}");
            assert!(!text.contains("so did later calls"), "{text}");
            Ok(())
        }
        other => panic!("the wrong program is not broken: {other:?}"),
    }
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
