//! Explores the store. At each of its system calls, the process dies, the call fails, or the power
//! fails.
//!
//! The scenarios in other modules damage a store from outside. The scenarios here show that the
//! store does not damage itself.

#![cfg(target_os = "linux")]

use clarity::{ModelName, Probe, QuarantineCause, Store, Version};
use clarity_chaos::explore::{Crash, Errno, InjectedFailure, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{MODEL, MODEL_BYTES, Repository};
use std::path::Path;

/// The errors that are injected into system calls.
const ERRNOS: [Errno; 5] = [
    Errno::EIO,
    Errno::ENOSPC,
    Errno::EINTR,
    Errno::EMFILE,
    Errno::EACCES,
];

/// Returns the bytes of a second version: the bytes of the model, and then a field that no reader
/// uses. The store verifies that field too.
fn other_bytes() -> Vec<u8> {
    [MODEL_BYTES, b"\x7a\x00"].concat()
}

fn model() -> ModelName {
    MODEL.parse().expect("it is a valid name")
}

fn version(number: u64) -> Version {
    Version::new(number).expect("versions are numbered from 1 on")
}

/// Returns the store in the explored directory.
fn repository(dir: &Path) -> Repository {
    Repository::at(dir.join("models"))
}

/// Returns the versions in the store. Asserts that each listed version opens and holds the
/// published bytes.
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

/// Cleans the store, and asserts that no leftover files remain.
fn assert_no_debris(dir: &Path) -> Result {
    let root = dir.join("models");
    Store::new(&root).clean()?;
    for entry in root.read_dir()? {
        let name = entry?.file_name();
        assert_eq!(name, MODEL, "debris is left");
    }
    Ok(())
}

/// Publishes a version with a file in a subdirectory. The subdirectory must reach the disk as well.
fn publish(dir: &Path) -> Result {
    let bytes = other_bytes();
    let files: [(&str, &[u8]); 2] = [("model.onnx", &bytes), ("weights/first.bin", b"weights")];
    repository(dir).publish_files(MODEL, &files)?;
    Ok(())
}

/// A version is published many times. Each publication has another crash point, where the
/// publishing process dies or the power fails. The old version must be whole. The new version must
/// be whole or absent. Once the store has acknowledged the new version, that version must be whole.
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
                assert_no_debris(dir)
            })?;
    assert!(explored.points > 5 && explored.states > 5, "{explored:?}");
    Ok(())
}

/// Publishes the files of version 1 again, with a probe, as `clarity probe` does.
fn publish_with_probe(dir: &Path) -> Result {
    let store = Store::new(dir.join("models"));
    let mut staged = store.stage_again(&model(), version(1))?;
    let request = Probe::parse(br#"{"inputs": []}"#)?;
    staged.add_probe(&request)?;
    // The recorded answer replaces the request.
    staged.add_probe(&request)?;
    staged.publish()?;
    Ok(())
}

/// A version gets a probe many times. Each time has another crash point. The old version must be
/// whole, and the version with the probe must be whole or absent.
#[chaos(non_destructive, timeout = "120s")]
fn a_probe_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    Repository::with_model(&cx)?;
    let explored = cx.explore().power_loss(PowerLoss::Posix).crash_everywhere(
        publish_with_probe,
        |dir, crash| {
            let store = Store::new(dir.join("models"));
            let versions = store.versions(&model())?.entries;
            for version in &versions {
                let opened = store.open(&model(), *version)?;
                let bytes = opened.files().values().next();
                assert_eq!(bytes.map(Vec::as_slice), Some(MODEL_BYTES), "{version}");
                assert_eq!(opened.probe()?.is_some(), version.get() == 2);
            }
            let count = versions.len();
            assert!(count == 2 || (count == 1 && !crash.acknowledged()));
            assert_no_debris(dir)
        },
    )?;
    assert!(explored.points > 5 && explored.states > 5, "{explored:?}");
    Ok(())
}

/// The first version of a model is published many times. Each publication has another crash point,
/// where the publishing process dies or the power fails. The publication also creates the model's
/// directory.
#[chaos(non_destructive, timeout = "120s")]
fn the_first_version_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    let explored = cx.explore().power_loss(PowerLoss::Posix).crash_everywhere(
        |dir| {
            repository(dir).publish_bytes(MODEL, MODEL_BYTES)?;
            Ok(())
        },
        |dir, crash| {
            let exists = dir.join("models").join(MODEL).exists();
            let versions = if exists {
                whole_versions(dir)?
            } else {
                Vec::new()
            };
            assert!(
                versions == [1] || (versions.is_empty() && !crash.acknowledged()),
                "{versions:?}"
            );
            // The next publication succeeds.
            repository(dir).publish_bytes(MODEL, &other_bytes())?;
            assert_no_debris(dir)
        },
    )?;
    assert!(explored.points >= 5, "{explored:?}");
    Ok(())
}

/// A version is published many times. In each publication, another system call fails, or the same
/// call fails with another error. The new version must be whole or absent. If it is absent, the
/// publication must return an error. The old version must stay.
#[chaos(non_destructive, timeout = "120s")]
fn publishing_survives_every_failure_of_a_call(cx: Context) -> Result {
    Repository::with_model(&cx)?;
    let explored = cx.fail_everywhere(ERRNOS, publish, |dir, failure| {
        let versions = whole_versions(dir)?;
        // The publication can also fail after the rename, when the version is present but might not
        // be durable. The publication then returns an error.
        assert!(
            versions == [1, 2] || (versions == [1] && !failure.acknowledged()),
            "{versions:?}"
        );
        assert_no_debris(dir)
    })?;
    assert!(explored.points >= 5, "{explored:?}");
    Ok(())
}

/// A version is quarantined many times. Each quarantine has another crash point, where the process
/// dies or the power fails. The quarantine marker must be whole or absent, and the version must
/// stay.
#[chaos(non_destructive, timeout = "120s")]
fn quarantine_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    Repository::with_model(&cx)?;
    let hold = |dir: &Path| {
        Store::new(dir.join("models")).quarantine(&model(), version(1), "withdrawn")?;
        Ok(())
    };
    let explored =
        cx.explore()
            .power_loss(PowerLoss::Posix)
            .crash_everywhere(hold, |dir, crash| {
                assert_eq!(whole_versions(dir)?, [1]);
                assert_marker_whole(dir, crash)?;
                assert_no_debris(dir)
            })?;
    assert!(explored.points >= 5, "{explored:?}");
    Ok(())
}

/// Asserts that the quarantine marker is whole. Before the quarantine is acknowledged, the marker
/// can also be absent.
fn assert_marker_whole(dir: &Path, crash: Crash) -> Result {
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

/// A quarantined version is removed many times. Each removal has another crash point, where the
/// process dies or the power fails. The version must be whole or gone. Once the removal is
/// acknowledged, the version must be gone. The next version with the same number must not be
/// quarantined.
#[chaos(non_destructive, timeout = "120s")]
fn removal_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    let before = Repository::with_model(&cx)?;
    before.publish_bytes(MODEL, &other_bytes())?;
    Store::new(before.root()).quarantine(&model(), version(2), "withdrawn")?;
    let explored =
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
                        "the next version of that number is quarantined"
                    );
                }
                assert_no_debris(dir)
            })?;
    assert!(explored.points >= 5, "{explored:?}");
    Ok(())
}

/// A version that is not quarantined is removed many times. Each removal has another crash point,
/// where the process dies or the power fails.
#[chaos(
    non_destructive,
    timeout = "120s",
    seed_name = "exploration::removal_of_a_version_in_use_survives_every_crash_and_loss_of_power"
)]
fn removal_in_use_survives_every_crash_and_loss_of_power(cx: Context) -> Result {
    let before = Repository::with_model(&cx)?;
    before.publish_bytes(MODEL, &other_bytes())?;
    let explored =
        cx.explore()
            .power_loss(PowerLoss::Posix)
            .crash_everywhere(remove, |dir, crash| {
                let versions = whole_versions(dir)?;
                assert!(
                    versions == [1] || (versions == [1, 2] && !crash.acknowledged()),
                    "{versions:?}"
                );
                assert_no_debris(dir)
            })?;
    assert!(explored.points >= 5, "{explored:?}");
    Ok(())
}

/// A version is quarantined and then removed, many times. In each run, another system call fails,
/// or the same call fails with another error.
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
    let explored = cx.fail_everywhere(ERRNOS, change, |dir, failure: InjectedFailure| {
        let versions = whole_versions(dir)?;
        assert!(
            versions == [1] || (versions == [1, 2] && !failure.acknowledged()),
            "{versions:?}"
        );
        assert_no_debris(dir)
    })?;
    assert!(explored.points >= 5, "{explored:?}");
    Ok(())
}
