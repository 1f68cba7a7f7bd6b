//! Explorations whose extent is reported.

use super::{NEW, OLD, draft, old_or_new, publish, rightly};
use clarity_chaos::explore::PowerLoss;
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// All states are tried, and the invariant holds under `posix` too.
#[chaos(non_destructive)]
fn all_states(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    let explored = cx
        .explore()
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(rightly, old_or_new)?;
    assert!(explored.all_states, "{explored:?}");
    assert_eq!(explored.power_loss, Some(PowerLoss::Journaled));
    assert_eq!(explored.possible_states, explored.states as u64);
    assert!(explored.breaks_under_posix.is_none(), "{explored:?}");
    Ok(())
}

/// Many unsynced writes have more states than the exploration tries.
#[chaos(non_destructive)]
fn some_states(cx: Context) -> Result {
    let explored = cx
        .explore()
        .power_loss(PowerLoss::Journaled)
        .states(50)
        .crash_everywhere(
            |dir| {
                let mut file = File::create(dir.join("log"))?;
                for _ in 0..6 {
                    file.write_all(&[b'x'; 1024])?;
                }
                Ok(())
            },
            |_, _| Ok(()),
        )?;
    assert!(!explored.all_states, "{explored:?}");
    assert!(explored.possible_states > 1000, "{explored:?}");
    Ok(())
}

/// `fsync` of a new file brings its name on the three file systems, but POSIX does not say so.
#[chaos(non_destructive)]
fn names_that_posix_loses(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    let explored = cx
        .explore()
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(
            |dir| {
                draft(dir)?.sync_all()?;
                publish(dir)?;
                File::open(dir.join("current"))?.sync_all()?;
                Ok(())
            },
            old_or_new,
        )?;
    let broken = explored.breaks_under_posix.expect("the rename can be lost");
    assert_eq!(broken.message, format!("found {OLD:?}"));
    let text = broken.to_string();
    assert!(text.contains("rename of draft to current ("), "{text}");
    Ok(())
}

/// A check of the invariant never ends.
#[chaos(non_destructive, timeout = "4s")]
fn check_that_hangs(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    let save = |dir: &Path| {
        fs::write(dir.join("other"), NEW)?;
        fs::remove_file(dir.join("current"))?;
        Ok(())
    };
    cx.crash_everywhere(save, |dir, crash| {
        if dir.join("other").exists() && !crash.acknowledged() {
            thread::sleep(Duration::from_secs(1000));
        }
        Ok(())
    })?;
    Ok(())
}

/// The operation itself never ends.
#[chaos(non_destructive, timeout = "1s")]
fn operation_that_hangs(cx: Context) -> Result {
    let hang = |_: &Path| -> Result {
        thread::sleep(Duration::from_secs(1000));
        Ok(())
    };
    cx.crash_everywhere(hang, |_, _| Ok(()))?;
    Ok(())
}
