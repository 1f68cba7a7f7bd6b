//! Tests of the file of a recording: from the writer to the unpacked directory, and hostile files.

mod hostile;
mod limits;
#[cfg(unix)]
mod round_trip;

use super::archive::Archive;
use super::fingerprint::tests::fingerprint;
use super::manifest::{KeptDirectory, LeftOut, Manifest, RecordedCase};
use super::recorded_settings::tests::recorded;
use super::recording_limits::RecordingLimits;
use super::recording_writer::RecordingWriter;
use clarity_chaos_record::{Record, Seed, Verdict};
use std::path::Path;

/// The member of the recorded directory.
const MEMBER: &str = "kept/1-a.b";

/// A record of the test `a::b`.
fn record() -> Record {
    let mut record = Record::new("a::b", Seed::new(7), Seed::new(8));
    record.verdict = Verdict::Passed;
    record
}

/// A manifest with one case, which has the record `records/1.json` and the directory [`MEMBER`].
fn manifest() -> Manifest {
    Manifest {
        schema: Manifest::SCHEMA,
        recorded_at: "2026-02-03T10:00:00Z".to_owned(),
        root_seed: Seed::new(7),
        is_interrupted: false,
        fingerprint: fingerprint(),
        settings: recorded(),
        cases: vec![RecordedCase {
            name: "a::b".to_owned(),
            root_seed: Seed::new(7),
            verdict: "passed".to_owned(),
            record: Some("records/1.json".to_owned()),
            directories: vec![KeptDirectory {
                original: "/tmp/c".to_owned(),
                member: MEMBER.to_owned(),
            }],
        }],
        left_out: Vec::new(),
    }
}

/// Records [`record`] and the directory `from`. Returns the recording and its omissions.
fn recording_of(from: &Path, limits: RecordingLimits) -> (Vec<u8>, Vec<LeftOut>) {
    let mut writer = RecordingWriter::new(limits);
    let json = serde_json::to_vec(&record()).unwrap();
    assert!(writer.add_bytes("records/1.json", &json).unwrap());
    writer.add_directory(from, MEMBER).unwrap();
    writer.finish(manifest()).unwrap()
}

fn parse(bytes: &[u8]) -> Result<Archive, String> {
    Archive::parse(bytes.to_vec(), &RecordingLimits::DEFAULT)
}
