//! The models of a loss of power.

use std::fmt;

/// A model of the states that a disk can have after a loss of power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PowerLoss {
    /// Any subset of the changes that no sync covers.
    ///
    /// `fsync` and `fdatasync` cover the bytes and the length of a file, but no name. `fsync` also
    /// covers the mode.
    /// `fsync` of a directory covers its entries. A rename within one directory is one change; a
    /// rename between two directories is two changes.
    Posix,
    /// Every state that at least one of ext4, XFS and Btrfs can leave with its default options.
    ///
    /// Changes of metadata reach the disk in the order of the calls, so a state has a prefix of
    /// these changes. Besides, a state has the changes that syncs brought. `fsync` of a file brings
    /// its bytes, its length, its names and the directories above them. `fsync` of a directory
    /// brings its entries. Bytes reach the disk in sectors and in any order, before or after
    /// metadata. Until a truncation is on the disk, only the pages that it keeps can change, and
    /// the file cannot grow.
    ///
    /// Two exceptions come from Btrfs. Later changes of the names of a synced file can be on the
    /// disk without earlier changes of other files. If a file replaces a synced one and is not
    /// synced itself, the name can be missing.
    #[default]
    Journaled,
    /// The states that ext4 can leave with `data=ordered`.
    ///
    /// All changes of metadata reach the disk in the order of the calls. A sync brings the changes
    /// of metadata up to the last change of the synced file. It need not bring later changes: the
    /// kernel commits when it likes, and then the sync has nothing to commit. A second overwrite
    /// of a file is no change of metadata: its time can be that of the first one. No promise comes
    /// from `auto_da_alloc`.
    Ext4Ordered,
}

/// Writes the model's name: `posix`, `journaled` or `ext4_ordered`.
impl fmt::Display for PowerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Posix => "posix",
            Self::Journaled => "journaled",
            Self::Ext4Ordered => "ext4_ordered",
        })
    }
}
