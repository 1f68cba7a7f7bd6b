//! The manifest of a recording: the recorded cases, the binary and machine, and the omissions.

use super::fingerprint::Fingerprint;
use super::recorded_settings::RecordedSettings;
use clarity_chaos_record::Seed;
use serde::{Deserialize, Serialize};

/// The member with the manifest.
pub(super) const MANIFEST: &str = "manifest.json";

/// The directory of the records in a recording.
pub(super) const RECORDS: &str = "records";

/// The directory of the kept directories in a recording.
pub(super) const KEPT: &str = "kept";

/// The content of the member [`MANIFEST`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of the format: [`Manifest::SCHEMA`].
    pub(super) schema: u32,
    /// The time of the recording, in UTC, in the format of RFC 3339.
    pub(super) recorded_at: String,
    /// The root seed of the run.
    pub(super) root_seed: Seed,
    /// Whether a signal ended the run before all tests had run.
    pub(super) is_interrupted: bool,
    pub(super) fingerprint: Fingerprint,
    pub(super) settings: RecordedSettings,
    /// The recorded cases, at most one of each test.
    pub(super) cases: Vec<RecordedCase>,
    /// The files and directories that the recording does not hold.
    pub(super) left_out: Vec<LeftOut>,
}

/// A case of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RecordedCase {
    /// The test's name.
    pub(super) name: String,
    /// The root seed that the test ran with.
    pub(super) root_seed: Seed,
    /// The name of the verdict: `Verdict::kind`.
    pub(super) verdict: String,
    /// The member with the record. Absent if there was no room for the record.
    pub(super) record: Option<String>,
    /// The kept directories of the case that the recording holds.
    pub(super) directories: Vec<KeptDirectory>,
}

/// A kept directory of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptDirectory {
    /// The directory's path on the machine of the recorded run.
    pub(super) original: String,
    /// The directory in the recording.
    pub(super) member: String,
}

/// A file or directory that a recording does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeftOut {
    pub(super) path: String,
    pub(super) reason: String,
}

impl Manifest {
    /// The version of the format that this release writes and reads.
    pub(super) const SCHEMA: u32 = 1;
}
