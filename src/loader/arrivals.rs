//! Decides whether a version is bad or still arriving, from one look to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Inventory, Look, ModelFingerprint};
use crate::{Manifest, VerifyError, Version};

/// A poll interval contains this number of looks at an arriving version. So the look that finds
/// the last byte, and the next one, which finds no change, fall into one poll interval.
const LOOKS_PER_POLL: u32 = 4;

/// The versions that the loader looked at and did not load.
///
/// Only the first look at a version compares the system's clock with the times of the files. Later
/// looks compare the files with those of the look before, and measure time with Tokio's clock.
// The system's clock can jump, and the times of files can lie in the future.
#[derive(Debug)]
pub(super) struct Arrivals {
    settle: Duration,
    watched: BTreeMap<Version, Watched>,
}

#[derive(Debug)]
struct Watched {
    inventory: Inventory,
    /// The version has settled at this time, unless it changes before.
    settles_at: Instant,
    is_arriving: bool,
    /// The files that the last verification refused, and its error as text.
    refused: Option<(Inventory, String)>,
    /// No verification begins before this time.
    rests_until: Instant,
}

/// The conclusion from one look at a version that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArrivalVerdict {
    /// The version is still arriving, for this reason. A load would fail, or read a changing file.
    Arriving(String),
    /// The version can be loaded. If the load fails for a reason that may pass, the version is
    /// still arriving.
    Complete,
    /// Nothing has moved for the settle time. The version is good or bad.
    Settled,
}

impl Arrivals {
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            settle,
            watched: BTreeMap::new(),
        }
    }

    /// Concludes from a look at a version. `forced` permits a verification of files that a
    /// verification has already refused, or that have just changed.
    pub(super) fn judge(
        &mut self,
        version: Version,
        look: Look,
        now: Instant,
        forced: bool,
    ) -> ArrivalVerdict {
        let Look {
            inventory,
            shortfall,
        } = look;
        let settle = self.settle;
        let watched = self.watched.get_mut(&version);
        let was_arriving = watched.as_ref().is_some_and(|known| known.is_arriving);
        let has_moved = watched
            .as_ref()
            .is_some_and(|known| known.inventory != inventory);
        let watched = match watched {
            Some(known) => known,
            None => {
                // A change in the future counts as a change at this moment.
                let age = inventory.age().unwrap_or_default();
                let known = Watched {
                    inventory: inventory.clone(),
                    settles_at: now + settle.saturating_sub(age),
                    is_arriving: false,
                    refused: None,
                    rests_until: now,
                };
                self.watched.entry(version).or_insert(known)
            }
        };
        if has_moved {
            watched.inventory = inventory;
            watched.settles_at = now + settle;
        }
        let verdict = watched.verdict(shortfall, now, forced, was_arriving && has_moved);
        watched.is_arriving = matches!(verdict, ArrivalVerdict::Arriving(_));
        verdict
    }

    /// Records that the verification of a complete version failed for a reason that may pass.
    ///
    /// The next verification begins after a change, after a pause as long as this one took.
    // So a copy that pauses often costs no more reading than half of the time.
    pub(super) fn refused(&mut self, version: Version, detail: &str, began: Instant, now: Instant) {
        if let Some(watched) = self.watched.get_mut(&version) {
            watched.is_arriving = true;
            watched.rests_until = now + now.saturating_duration_since(began);
            watched.refused = Some((watched.inventory.clone(), detail.to_owned()));
        }
    }

    /// Forgets a version that was loaded, or that left the disk.
    pub(super) fn retain(&mut self, is_watched: impl Fn(Version) -> bool) {
        self.watched.retain(|&version, _| is_watched(version));
    }

    /// Keeps only those versions arriving whose status says so. A pass does not try all versions.
    pub(super) fn keep_arriving(&mut self, is_arriving: impl Fn(Version) -> bool) {
        for (&version, watched) in &mut self.watched {
            watched.is_arriving &= is_arriving(version);
        }
    }

    /// The versions that were arriving at the last look.
    pub(super) fn versions(&self) -> BTreeSet<Version> {
        let arriving = self.watched.iter().filter(|(_, known)| known.is_arriving);
        arriving.map(|(&version, _)| version).collect()
    }

    /// The time of the next look at the arriving versions; `None` if no version is arriving.
    pub(super) fn next_look(&self, now: Instant, poll: Duration) -> Option<Instant> {
        let arriving = self.watched.values().filter(|known| known.is_arriving);
        let look = now + poll / LOOKS_PER_POLL;
        arriving.map(|known| known.settles_at.min(look)).min()
    }

    /// Whether two fingerprints differ in more than the files of arriving versions.
    pub(super) fn differ(&self, before: &ModelFingerprint, after: &ModelFingerprint) -> bool {
        let arriving = self.versions();
        let others = |fingerprint: &ModelFingerprint| {
            let versions = fingerprint.versions.clone().into_iter();
            let others = versions.map(|(version, files)| {
                let files = (!arriving.contains(&version)).then_some(files);
                (version, files)
            });
            others.collect::<Vec<_>>()
        };
        before.quarantined != after.quarantined
            || before.ignored != after.ignored
            || others(before) != others(after)
    }
}

impl Watched {
    fn verdict(
        &self,
        shortfall: Option<VerifyError>,
        now: Instant,
        forced: bool,
        moves: bool,
    ) -> ArrivalVerdict {
        if now >= self.settles_at {
            return ArrivalVerdict::Settled;
        }
        match shortfall {
            // Also if unverified versions are allowed: a manifest may follow, and without one only
            // the settle time shows that the model's file is complete.
            Some(VerifyError::NoManifest) => {
                return ArrivalVerdict::Arriving(format!("no {} yet", Manifest::FILE_NAME));
            }
            Some(error) if error.may_pass() => return ArrivalVerdict::Arriving(error.to_string()),
            Some(_) => return ArrivalVerdict::Complete,
            None if forced => return ArrivalVerdict::Complete,
            None => {}
        }
        match &self.refused {
            _ if moves => {
                ArrivalVerdict::Arriving("all files have their sizes, and still change".into())
            }
            Some((files, detail)) if *files == self.inventory || now < self.rests_until => {
                ArrivalVerdict::Arriving(detail.clone())
            }
            _ => ArrivalVerdict::Complete,
        }
    }
}

#[cfg(test)]
mod tests;
