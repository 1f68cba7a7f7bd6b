//! The bounds of a recording. They hold for the writer and for the reader.

/// The bounds of a recording.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordingLimits {
    /// The largest size of the file, in bytes.
    pub(super) file_bytes: usize,
    /// The part of `file_bytes` that only the manifest uses. Also the largest size of the manifest.
    pub(super) manifest_bytes: usize,
    /// The largest sum of the lengths of all kept files, in bytes. The holes of sparse files count.
    pub(super) apparent_bytes: u64,
    /// The largest number of members.
    pub(super) members: usize,
    /// The largest number of files that are left out of one kept directory. A directory with more
    /// is left out as a whole.
    pub(super) left_out: usize,
}

impl RecordingLimits {
    /// The bounds of each recording.
    pub(super) const DEFAULT: Self = Self {
        file_bytes: 128 << 20,
        manifest_bytes: 8 << 20,
        apparent_bytes: 16 << 30,
        members: 100_000,
        left_out: 1_000,
    };
}
