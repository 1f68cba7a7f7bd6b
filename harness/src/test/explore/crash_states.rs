//! The possible states of the disk after a power loss.
//!
//! Synced changes are on the disk. Any other change can be lost, if the [`PowerLoss`] model allows
//! the loss. There are too many combinations of lost changes to try all of them. So some
//! combinations are drawn at random.

use super::PowerLoss;
use super::disk_journal::{DiskJournal, LoggedChange};
use super::disk_model::DiskChange;
use super::snapshot::Snapshot;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The number of bytes that a disk writes completely or not at all. Disks have guaranteed such
/// atomic writes for decades.
const SECTOR: usize = 512;

/// A possible state of the disk after a power loss.
#[derive(Debug)]
pub(super) struct CrashState {
    pub(super) snapshot: Snapshot,
    /// The indices of the calls whose changes are missing, completely or in part.
    pub(super) missing: Vec<usize>,
}

impl DiskJournal {
    /// Gives possible states of the disk after a power loss. `calls` is the number of calls that
    /// were made before the power loss.
    ///
    /// The first states lose these changes: none, each single change, all changes, and all changes
    /// but one. In `draws` more states, `rng` determines the lost changes.
    pub(super) fn crash_states(
        &self,
        calls: usize,
        model: PowerLoss,
        draws: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<CrashState> {
        let made: Vec<&LoggedChange> = self
            .changes
            .iter()
            .filter(|logged| logged.call < calls)
            .collect();
        // The open changes can be lost, since no finished sync covers them. A sync has finished
        // when the next call starts.
        let open: Vec<usize> = (0..made.len())
            .filter(|&index| made[index].durable.is_none_or(|by| by >= calls))
            .filter(|&index| {
                model == PowerLoss::Posix || !self.is_implicitly_durable(&made, index, calls)
            })
            .collect();
        let mut choices: Vec<BTreeMap<usize, KeptPart>> = Vec::new();
        let lose = |indices: &[usize]| {
            indices
                .iter()
                .map(|index| (*index, KeptPart::Nothing))
                .collect()
        };
        // States that lose a single change come before states that lose several changes. The
        // exploration stops at the first error, so the error names only the changes that matter.
        choices.push(BTreeMap::new());
        choices.extend(open.iter().map(|index| lose(&[*index])));
        choices.push(lose(&open));
        for index in &open {
            let others: Vec<usize> = open
                .iter()
                .copied()
                .filter(|other| other != index)
                .collect();
            choices.push(lose(&others));
        }
        for _ in 0..draws {
            let draw = |index: &usize| {
                let kept = match (rng.random_range(0..4_u8), &made[*index].change) {
                    (0 | 1, _) => return None,
                    (2, DiskChange::Write { bytes, .. }) if bytes.len() > SECTOR => {
                        let sectors = bytes.len().div_ceil(SECTOR);
                        KeptPart::Prefix(SECTOR * rng.random_range(1..sectors))
                    }
                    _ => KeptPart::Nothing,
                };
                Some((*index, kept))
            };
            choices.push(open.iter().filter_map(draw).collect());
        }
        choices
            .into_iter()
            .map(|mut choice| {
                if model == PowerLoss::Ext4Ordered {
                    lose_names_in_order(&made, &open, &mut choice);
                }
                self.state_after(&made, &choice)
            })
            .collect()
    }

    /// Whether ext4, in its ordered mode, makes the change `made[index]` durable without an
    /// explicit sync of that change.
    ///
    /// Every sync makes all earlier changes of names durable. If a rename replaces a file, the
    /// bytes of the renamed file are written to the disk before the rename (`auto_da_alloc`).
    fn is_implicitly_durable(&self, made: &[&LoggedChange], index: usize, calls: usize) -> bool {
        match &made[index].change {
            DiskChange::Entries(_) => self
                .syncs
                .iter()
                .any(|by| *by < calls && made[index].call < *by),
            DiskChange::Write { file, .. } | DiskChange::Resize { file, .. } => {
                made[index + 1..].iter().any(|later| match &later.change {
                    DiskChange::Entries(entries) => {
                        entries.len() == 2 && entries[1].2 == Some(*file) && self.replaces(later)
                    }
                    _ => false,
                })
            }
        }
    }

    /// Whether the rename `moved` replaces an existing file.
    fn replaces(&self, moved: &LoggedChange) -> bool {
        let DiskChange::Entries(entries) = &moved.change else {
            return false;
        };
        let mut disk = self.before.clone();
        for logged in self
            .changes
            .iter()
            .take_while(|logged| logged.call < moved.call)
        {
            disk.apply(&logged.change, None);
        }
        let (directory, name, _) = &entries[entries.len() - 1];
        disk.entry(*directory, name).is_some()
    }

    /// Applies the changes in `made` to the initial state, except for the lost changes in `choice`.
    fn state_after(
        &self,
        made: &[&LoggedChange],
        choice: &BTreeMap<usize, KeptPart>,
    ) -> CrashState {
        let mut disk = self.before.clone();
        for (index, logged) in made.iter().enumerate() {
            match choice.get(&index) {
                None => disk.apply(&logged.change, None),
                Some(KeptPart::Nothing) => {}
                Some(KeptPart::Prefix(length)) => disk.apply(&logged.change, Some(*length)),
            }
        }
        let mut missing: Vec<usize> = choice.keys().map(|index| made[*index].call).collect();
        missing.dedup();
        CrashState {
            snapshot: disk.to_snapshot(),
            missing,
        }
    }
}

/// The part of a lost change that has nevertheless reached the disk.
#[derive(Clone, Copy, Debug)]
enum KeptPart {
    Nothing,
    /// This number of bytes from the beginning of a write.
    Prefix(usize),
}

/// Extends `choice`: also loses all changes of names after the first lost change of a name. A
/// journaling file system does so.
fn lose_names_in_order(
    made: &[&LoggedChange],
    open: &[usize],
    choice: &mut BTreeMap<usize, KeptPart>,
) {
    let is_name = |index: &usize| matches!(made[*index].change, DiskChange::Entries(_));
    let first = choice.keys().copied().find(|index| is_name(index));
    if let Some(first) = first {
        let later = open
            .iter()
            .filter(|index| **index > first && is_name(index));
        choice.extend(later.map(|index| (*index, KeptPart::Nothing)));
    }
}
