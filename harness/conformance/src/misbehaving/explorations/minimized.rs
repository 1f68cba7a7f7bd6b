//! Broken states with many lost calls.

use clarity_chaos::explore::{Crash, ExploreError, ExploredState, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Overwrites ten files, without a sync.
fn overwrite(dir: &Path) -> Result {
    for number in 0..10 {
        let file = OpenOptions::new()
            .write(true)
            .open(dir.join(number.to_string()))?;
        file.write_all_at(b"new", 0)?;
    }
    Ok(())
}

/// Breaks if the third and the seventh file are both old.
fn one_of_two_is_new(dir: &Path, crash: Crash) -> Result {
    let is_old = |name: &str| fs::read(dir.join(name)).map(|bytes| bytes == b"old");
    match crash.acknowledged() && is_old("2")? && is_old("6")? {
        true => Err("both are old".into()),
        false => Ok(()),
    }
}

/// Two of ten lost writes break the invariant. The error names these two.
#[chaos(non_destructive)]
fn lost_calls_that_matter_are_named(cx: Context) -> Result {
    for number in 0..10 {
        fs::write(cx.dir().join(number.to_string()), "old")?;
    }
    let explored = cx
        .explore()
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(overwrite, one_of_two_is_new);
    let Err(ExploreError::Broken(broken)) = explored else {
        panic!("not broken: {explored:?}");
    };
    let ExploredState::PowerLost { lost, .. } = &broken.state else {
        panic!("{broken:?}");
    };
    let lost: Vec<&Path> = lost.iter().map(|call| call.path.as_path()).collect();
    assert_eq!(lost, [Path::new("2"), Path::new("6")], "{broken}");
    Ok(())
}
