//! The evidence that the error of a broken exploration has.

use clarity_chaos::explore::{Crash, ExploreError, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Saves a file with the crate `tempfile`.
fn persist(dir: &Path) -> Result {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(b"new")?;
    file.persist(dir.join("current"))?;
    Ok(())
}

/// The call that breaks the invariant is in a dependency.
#[chaos(non_destructive)]
fn call_in_a_dependency(cx: Context) -> Result {
    cx.crash_everywhere(persist, |dir, _| match dir.join("current").exists() {
        true => Ok(()),
        false => Err("nothing is saved".into()),
    })?;
    Ok(())
}

/// The invariant removes the state that it finds broken. The copy has the state before.
#[chaos(non_destructive)]
fn state_that_the_check_changes(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            fs::create_dir(dir.join("store"))?;
            let mut options = File::options();
            let mut file = options
                .write(true)
                .create(true)
                .mode(0o400)
                .open(dir.join("store/secret"))?;
            file.write_all(b"first")?;
            file.write_all(b"second")?;
            Ok(())
        },
        |dir, crash| {
            let found = fs::read(dir.join("store/secret")).unwrap_or_default();
            let _ = fs::remove_dir_all(dir.join("store"));
            match found == b"first" && !crash.acknowledged() {
                true => Err("half of the secret".into()),
                false => Ok(()),
            }
        },
    )?;
    Ok(())
}

/// A state with more bytes than a copy may have.
#[chaos(non_destructive)]
fn large_state(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| Ok(File::create(dir.join("file"))?.set_len(65 << 20)?),
        |_, crash| match crash.acknowledged() {
            true => Err("never".into()),
            false => Ok(()),
        },
    )?;
    Ok(())
}

/// Overwrites in place, and does not sync.
fn overwrite(dir: &Path) -> Result {
    for name in ["a", "b", "c"] {
        fs::write(dir.join(name), "new text")?;
    }
    Ok(())
}

fn files_are_whole(dir: &Path, _: Crash) -> Result {
    for name in ["a", "b", "c"] {
        match fs::read_to_string(dir.join(name))?.as_str() {
            "old text" | "new text" => {}
            found => return Err(format!("{name} has {found:?}").into()),
        }
    }
    Ok(())
}

fn write_old(cx: &Context) -> Result {
    for name in ["a", "b", "c"] {
        fs::write(cx.dir().join(name), "old text")?;
    }
    Ok(())
}

/// A death breaks the invariant, and a loss of power does too.
#[chaos(non_destructive)]
fn death_and_loss_of_power(cx: Context) -> Result {
    write_old(&cx)?;
    cx.explore()
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(overwrite, files_are_whole)?;
    Ok(())
}

/// Each of three calls breaks the invariant.
#[chaos(non_destructive)]
fn every_broken_point_is_listed(cx: Context) -> Result {
    write_old(&cx)?;
    let first = cx.crash_everywhere(overwrite, files_are_whole);
    let Err(ExploreError::Broken(first)) = first else {
        panic!("not broken: {first:?}");
    };
    assert!(first.others.is_empty(), "{first}");
    let every = cx
        .explore()
        .every_broken_point()
        .crash_everywhere(overwrite, files_are_whole);
    let Err(ExploreError::Broken(every)) = every else {
        panic!("not broken: {every:?}");
    };
    let calls: Vec<usize> = [&*every]
        .into_iter()
        .chain(&every.others)
        .filter_map(|broken| Some(broken.call()?.number))
        .collect();
    // Each `write` finds the file empty.
    assert_eq!(calls, [2, 4, 6], "{every}");
    assert_eq!(every.omitted, 0);
    Ok(())
}
