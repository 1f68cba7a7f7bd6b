//! The store, explored everywhere: at each of its system calls the process dies, the call fails, or the power does.
//!
//! Beside the scenarios that damage a store from outside these are those that show that it does not damage itself.

#![cfg(target_os = "linux")]

use crate::support::{MODEL, MODEL_BYTES, Repository};
use clarity::{ModelName, QuarantineCause, Store, Version};
use clarity_chaos::explore::{Crash, Errno, InjectedFailure, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::path::Path;

/// What can go wrong with a call and be told.
const ERRNOS: [Errno; 5] = [
    Errno::EIO,
    Errno::ENOSPC,
    Errno::EINTR,
    Errno::EMFILE,
    Errno::EACCES,
];

/// The bytes of another version: comments of a model are not read, and must be verified all the same.
fn other_bytes() -> Vec<u8> {
    [MODEL_BYTES, b"\x7a\x00"].concat()
}

fn model() -> ModelName {
    MODEL.parse().expect("a plain name")
}

fn version(number: u64) -> Version {
    Version::new(number).expect("a number from 1 on")
}

/// The store in the directory that is explored.
fn repository(dir: &Path) -> Repository {
    Repository::at(dir.join("models"))
}

/// The versions in the store. All that it shows must be whole: it opens, every byte verified, and is what was published.
fn whole_versions(dir: &Path) -> Result<Vec<u64>> {
    let store = Store::new(dir.join("models"));
    let mut numbers = Vec::new();
    for version in store.versions(&model())?.entries {
        let opened = store.open(&model(), version)?;
        let bytes = opened
            .files()
            .values()
            .next()
            .ok_or("a version without files")?;
        let expected = match version.get() {
            1 => MODEL_BYTES.to_vec(),
            _ => other_bytes(),
        };
        assert!(*bytes == expected, "version {version} has other bytes");
        numbers.push(version.get());
    }
    Ok(numbers)
}

/// What is left in the folder of the store by whatever was cut off, after the next command has cleaned up.
fn without_debris(dir: &Path) -> Result {
    let root = dir.join("models");
    Store::new(&root).clean()?;
    for entry in root.read_dir()? {
        let name = entry?.file_name();
        assert_eq!(name, MODEL, "debris is left");
    }
    Ok(())
}

/// With a file in a folder, which has to reach the disk as well.
fn publish(dir: &Path) -> Result {
    let bytes = other_bytes();
    let files: [(&str, &[u8]); 2] = [("model.onnx", &bytes), ("weights/first.bin", b"weights")];
    repository(dir).publish_files(MODEL, &files)?;
    Ok(())
}

/// Wherever publishing is cut off, by its death or by the power, the old version is there and whole, the new one whole or not there; it is there once
/// the store has said so.
#[chaos(non_destructive, timeout = "120s")]
fn publishing_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    Repository::with_model(&cx)?;
    let explored =
        cx.explore()
            .power_loss(PowerLoss::Posix)
            .crash_everywhere(publish, |dir, crash| {
                let versions = whole_versions(dir)?;
                assert!(
                    versions == [1, 2] || (versions == [1] && !crash.acknowledged()),
                    "{versions:?}"
                );
                without_debris(dir)
            })?;
    assert!(explored.points > 5 && explored.states > 5, "{explored:?}");
    Ok(())
}

/// The first version of a model makes its folder, too.
#[chaos(non_destructive, timeout = "120s")]
fn the_first_version_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    cx.explore().power_loss(PowerLoss::Posix).crash_everywhere(
        |dir| {
            repository(dir).publish_bytes(MODEL, MODEL_BYTES)?;
            Ok(())
        },
        |dir, crash| {
            let versions = whole_versions(dir).unwrap_or_default();
            assert!(versions == [1] || !crash.acknowledged(), "{versions:?}");
            // Whatever is left, the next publication succeeds.
            repository(dir).publish_bytes(MODEL, &other_bytes())?;
            without_debris(dir)
        },
    )?;
    Ok(())
}

/// Whichever call of a publication fails, and however: it says so and the new version is not there, or it goes on and is whole. The old one stays.
#[chaos(non_destructive, timeout = "120s")]
fn publishing_survives_every_failure_of_a_call(cx: Context) -> Result {
    Repository::with_model(&cx)?;
    cx.fail_everywhere(ERRNOS, publish, |dir, failure| {
        let versions = whole_versions(dir)?;
        // An error after the rename is told, and the version is there: it could not be proven durable.
        assert!(
            versions == [1, 2] || (versions == [1] && !failure.acknowledged()),
            "{versions:?}"
        );
        without_debris(dir)
    })?;
    Ok(())
}

/// Holding a version back: the marker is there and whole, or not there; the version itself stays.
#[chaos(non_destructive, timeout = "120s")]
fn quarantine_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    Repository::with_model(&cx)?;
    let hold = |dir: &Path| {
        Store::new(dir.join("models")).quarantine(&model(), version(1), "withdrawn")?;
        Ok(())
    };
    cx.explore()
        .power_loss(PowerLoss::Posix)
        .crash_everywhere(hold, |dir, crash| {
            assert_eq!(whole_versions(dir)?, [1]);
            is_held_whole(dir, crash)?;
            without_debris(dir)
        })?;
    Ok(())
}

fn is_held_whole(dir: &Path, crash: Crash) -> Result {
    let held = Store::new(dir.join("models")).quarantined(&model(), version(1));
    match held {
        Some(marker) => {
            assert_eq!(marker.cause(), QuarantineCause::Operator);
            assert_eq!(marker.detail(), "withdrawn");
        }
        None => assert!(!crash.acknowledged()),
    }
    Ok(())
}

fn remove(dir: &Path) -> Result {
    Ok(Store::new(dir.join("models")).remove(&model(), version(2))?)
}

/// Removing a version: it is there and whole, or gone; once that is said it stays gone, and holds no other version of its number back.
#[chaos(non_destructive, timeout = "120s")]
fn removal_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    let before = Repository::with_model(&cx)?;
    before.publish_bytes(MODEL, &other_bytes())?;
    Store::new(before.root()).quarantine(&model(), version(2), "withdrawn")?;
    cx.explore()
        .power_loss(PowerLoss::Posix)
        .crash_everywhere(remove, |dir, crash| {
            let versions = whole_versions(dir)?;
            assert!(
                versions == [1] || (versions == [1, 2] && !crash.acknowledged()),
                "{versions:?}"
            );
            if versions == [1] {
                publish(dir)?;
                let held = Store::new(dir.join("models")).quarantined(&model(), version(2));
                assert!(
                    held.is_none(),
                    "the next version of that number is held back"
                );
            }
            without_debris(dir)
        })?;
    Ok(())
}

/// The same of a version that nobody held back.
#[chaos(non_destructive, timeout = "120s")]
fn removal_of_a_version_in_use_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    let before = Repository::with_model(&cx)?;
    before.publish_bytes(MODEL, &other_bytes())?;
    cx.explore()
        .power_loss(PowerLoss::Posix)
        .crash_everywhere(remove, |dir, crash| {
            let versions = whole_versions(dir)?;
            assert!(
                versions == [1] || (versions == [1, 2] && !crash.acknowledged()),
                "{versions:?}"
            );
            without_debris(dir)
        })?;
    Ok(())
}

/// Removal and quarantine with each of their calls failing.
#[chaos(non_destructive, timeout = "120s")]
fn removal_survives_every_failure_of_a_call(cx: Context) -> Result {
    let before = Repository::with_model(&cx)?;
    before.publish_bytes(MODEL, &other_bytes())?;
    let change = |dir: &Path| {
        let store = Store::new(dir.join("models"));
        store.quarantine(&model(), version(2), "withdrawn")?;
        store.remove(&model(), version(2))?;
        Ok(())
    };
    cx.fail_everywhere(ERRNOS, change, |dir, failure: InjectedFailure| {
        let versions = whole_versions(dir)?;
        assert!(
            versions == [1] || (versions == [1, 2] && !failure.acknowledged()),
            "{versions:?}"
        );
        without_debris(dir)
    })?;
    Ok(())
}
