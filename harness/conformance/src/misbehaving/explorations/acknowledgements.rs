//! Operations with several acknowledgements.

use clarity_chaos::explore::{Crash, ExploreError, PowerLoss, acknowledge};
use clarity_chaos::{Context, Result, chaos};
use std::fs::File;
use std::path::Path;

/// Creates files, and acknowledges each one after `sync`.
fn create(dir: &Path, sync: fn(&Path) -> Result) -> Result {
    for name in ["first", "second"] {
        File::create(dir.join(name))?;
        sync(dir)?;
        acknowledge();
    }
    // After the last acknowledgement, losses do not count.
    File::create(dir.join("closed"))?;
    Ok(())
}

fn acknowledged_files_are_there(dir: &Path, crash: Crash) -> Result {
    for name in ["first", "second"].iter().take(crash.acknowledgements()) {
        if !dir.join(name).exists() {
            return Err(format!("{name} was acknowledged, but is missing").into());
        }
    }
    Ok(())
}

/// Acknowledges the second file before it is synced.
#[chaos(non_destructive)]
fn acknowledgement_before_the_sync(cx: Context) -> Result {
    let explore = || cx.explore().power_loss(PowerLoss::Journaled);
    let explored = explore().crash_everywhere(
        |dir| create(dir, |dir| Ok(File::open(dir)?.sync_all()?)),
        acknowledged_files_are_there,
    )?;
    assert!(explored.all_states, "{explored:?}");
    let wrong = |dir: &Path| create(dir, |_| Ok(()));
    match explore().crash_everywhere(wrong, acknowledged_files_are_there) {
        Err(ExploreError::Broken(broken)) => {
            assert_eq!(broken.message, "first was acknowledged, but is missing");
            let call = broken.call().map(|call| call.path.clone());
            assert_eq!(call, Some("second".into()), "{broken}");
            Ok(())
        }
        other => panic!("the wrong program is not broken: {other:?}"),
    }
}

/// A process can die after its last call, before it acknowledges. A second attempt then finds the
/// effects of the first.
#[chaos(non_destructive)]
fn death_before_the_acknowledgement(cx: Context) -> Result {
    let explored = cx.crash_everywhere(
        |dir| {
            File::create(dir.join("order"))?.sync_all()?;
            acknowledge();
            Ok(())
        },
        |dir, crash| {
            // This program would repeat the order.
            match dir.join("order").exists() && crash.acknowledgements() == 0 {
                true => Err("an order without an acknowledgement".into()),
                false => Ok(()),
            }
        },
    );
    match explored {
        Err(ExploreError::Broken(broken)) => {
            assert_eq!(broken.message, "an order without an acknowledgement");
            Ok(())
        }
        other => panic!("the state was not tried: {other:?}"),
    }
}
