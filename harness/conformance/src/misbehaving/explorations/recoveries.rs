//! Pairs of stores that recover in a wrong and in a right order. Only a crash during the recovery
//! shows the difference.

use clarity_chaos::explore::{Crash, Errno, Exploration, ExploreError, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

const SNAPSHOT: &str = "snapshot";
const LOG: &str = "log";
const DRAFT: &str = "draft";

/// Fills the directory with a snapshot of one record and a log of another one.
fn prepare(cx: &Context) -> Result {
    fs::write(cx.dir().join(SNAPSHOT), "first ")?;
    fs::write(cx.dir().join(LOG), "second ")?;
    Ok(())
}

fn sync(path: &Path) -> Result {
    File::open(path)?.sync_all()?;
    Ok(())
}

/// An operation that has nothing to do with the recovery.
fn touch(dir: &Path) -> Result {
    fs::write(dir.join("other"), "text")?;
    Ok(())
}

/// Returns the records of the snapshot and of the log. Records that are in both count once.
fn records(dir: &Path) -> Result<String> {
    let mut text = fs::read_to_string(dir.join(SNAPSHOT))?;
    let log = fs::read_to_string(dir.join(LOG))?;
    if !text.ends_with(&log) {
        text.push_str(&log);
    }
    Ok(text)
}

fn write_snapshot(dir: &Path, text: &str, is_synced: bool) -> Result {
    fs::write(dir.join(DRAFT), text)?;
    if is_synced {
        sync(&dir.join(DRAFT))?;
    }
    fs::rename(dir.join(DRAFT), dir.join(SNAPSHOT))?;
    if is_synced {
        sync(dir)?;
    }
    Ok(())
}

fn truncate_log(dir: &Path) -> Result {
    let log = File::options().write(true).open(dir.join(LOG))?;
    if log.metadata()?.len() > 0 {
        log.set_len(0)?;
        log.sync_all()?;
    }
    Ok(())
}

/// Requires both records after the recovery.
fn require_both(dir: &Path) -> Result {
    match records(dir)?.as_str() {
        "first second " => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

fn truncating_first(dir: &Path, _: Crash) -> Result {
    let text = records(dir)?;
    truncate_log(dir)?;
    write_snapshot(dir, &text, true)?;
    require_both(dir)
}

fn truncating_last(dir: &Path, _: Crash) -> Result {
    let text = records(dir)?;
    write_snapshot(dir, &text, true)?;
    truncate_log(dir)?;
    require_both(dir)
}

fn truncating_last_without_sync(dir: &Path, _: Crash) -> Result {
    let text = records(dir)?;
    write_snapshot(dir, &text, false)?;
    truncate_log(dir)?;
    require_both(dir)
}

type Recovery = fn(&Path, Crash) -> Result;

/// Explores both recoveries. The wrong one must break the invariant, and the error must contain all
/// `words`. Without a crash during recovery, it must pass.
fn compare<'a>(
    explore: &dyn Fn() -> Exploration<'a>,
    operation: fn(&Path) -> Result,
    words: &[&str],
    wrong: Recovery,
    right: Recovery,
) -> Result {
    explore().crash_everywhere(operation, wrong)?;
    let explored = explore()
        .crash_during_recovery()
        .crash_everywhere(operation, right)?;
    assert!(explored.recoveries > 0);
    match explore()
        .crash_during_recovery()
        .crash_everywhere(operation, wrong)
    {
        Err(ExploreError::Broken(broken)) => {
            assert!(broken.recovery.is_some(), "{broken:?}");
            let text = broken.to_string();
            for word in words {
                assert!(text.contains(word), "no {word:?} in: {text}");
            }
            Ok(())
        }
        other => panic!("the wrong recovery is not broken: {other:?}"),
    }
}

/// The log is truncated before the snapshot has its records.
#[chaos(non_destructive)]
fn log_truncated_before_the_snapshot(cx: Context) -> Result {
    prepare(&cx)?;
    compare(
        &|| cx.explore(),
        touch,
        &[
            "the invariant broke when the process died in the place of call 1 of",
            "then the recovery died in the place of its call",
            "draft",
            "explorations/recoveries.rs",
            "found \"first \"",
        ],
        truncating_first,
        truncating_last,
    )
}

/// The log is truncated when the snapshot has its records, but not surely on the disk.
#[chaos(non_destructive)]
fn snapshot_without_sync_during_recovery(cx: Context) -> Result {
    prepare(&cx)?;
    for model in [
        PowerLoss::Posix,
        PowerLoss::Journaled,
        PowerLoss::Ext4Ordered,
    ] {
        compare(
            &|| cx.explore().power_loss(model),
            touch,
            &["then the power failed", "the recovery", "draft"],
            truncating_last_without_sync,
            truncating_last,
        )?;
    }
    Ok(())
}

/// Appends a record to the log without a sync, and acknowledges nothing.
fn append(dir: &Path) -> Result {
    let mut log = File::options().append(true).open(dir.join(LOG))?;
    log.write_all(b"third ")?;
    Ok(())
}

/// Notes the log's records as seen, after a sync of the log or without one. Requires those that
/// were seen earlier.
fn note_seen(dir: &Path, is_synced: bool) -> Result {
    let log = fs::read_to_string(dir.join(LOG))?;
    let seen = fs::read_to_string(dir.join("seen")).unwrap_or_default();
    if !log.starts_with(&seen) {
        return Err(format!("saw {seen:?}, found {log:?}").into());
    }
    if seen != log {
        if is_synced {
            sync(&dir.join(LOG))?;
        }
        fs::write(dir.join(DRAFT), log)?;
        sync(&dir.join(DRAFT))?;
        fs::rename(dir.join(DRAFT), dir.join("seen"))?;
        sync(dir)?;
    }
    Ok(())
}

/// The process dies, the recovery relies on a record that only the page cache has, and the power
/// fails.
#[chaos(non_destructive)]
fn unsynced_record_after_the_death_of_the_process(cx: Context) -> Result {
    prepare(&cx)?;
    compare(
        &|| cx.explore().power_loss(PowerLoss::Ext4Ordered),
        append,
        &[
            "the invariant broke when the process died",
            "then the power failed",
            "with this not on the disk: call 1 of 1, write of 6 bytes",
            "saw \"second third \"",
        ],
        |dir, _| note_seen(dir, false),
        |dir, _| note_seen(dir, true),
    )
}

/// `during_recovery` is true in the second check alone.
#[chaos(non_destructive)]
fn crash_during_recovery_is_reported(cx: Context) -> Result {
    let invariant = |dir: &Path, crash: Crash| {
        let marker = dir.join("recovered");
        assert!(crash.during_recovery() || !marker.exists());
        assert!(!crash.during_recovery() || marker.exists());
        fs::write(marker, "")?;
        Ok(())
    };
    let explored = cx
        .explore()
        .crash_during_recovery()
        .crash_everywhere(touch, invariant)?;
    assert!(explored.recoveries > 0);
    Ok(())
}

/// An invariant that only reads needs no second check.
#[chaos(non_destructive)]
fn reading_invariant_has_no_recovery(cx: Context) -> Result {
    prepare(&cx)?;
    let explored = cx
        .explore()
        .power_loss(PowerLoss::Posix)
        .crash_during_recovery()
        .crash_everywhere(touch, |dir, _| require_both(dir))?;
    assert_eq!(explored.recoveries, 0);
    Ok(())
}

/// An injected failure is no crash, so the setting is refused.
#[chaos(non_destructive)]
fn crash_during_recovery_after_a_failure(cx: Context) -> Result {
    let explored =
        cx.explore()
            .crash_during_recovery()
            .fail_everywhere([Errno::EIO], touch, |_, _| Ok(()));
    let error = explored.unwrap_err().to_string();
    assert!(
        error.contains("crash_during_recovery applies to"),
        "{error}"
    );
    Ok(())
}
