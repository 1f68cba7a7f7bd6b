//! The bounds of recordings.

use super::{MEMBER, manifest, record, recording_of};
use crate::runner::recording::archive::Archive;
use crate::runner::recording::recording_limits::RecordingLimits;
use crate::runner::recording::recording_writer::RecordingWriter;
use std::fs::{self, File};

const SMALL: RecordingLimits = RecordingLimits {
    file_bytes: 64 << 10,
    manifest_bytes: 8 << 10,
    apparent_bytes: 1 << 20,
    members: 20,
    left_out: 3,
};

#[test]
fn directory_without_room_is_left_out_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("large", 60 << 10), ("small", 10)] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("file"), vec![1; bytes]).unwrap();
    }
    let mut writer = RecordingWriter::new(SMALL);
    let json = serde_json::to_vec(&record()).unwrap();
    assert!(writer.add_bytes("records/1.json", &json).unwrap());
    let reason = writer
        .add_directory(&dir.path().join("large"), "kept/2-large")
        .unwrap_err();
    assert!(
        reason.starts_with("the recording would be larger"),
        "{reason}"
    );
    writer
        .add_directory(&dir.path().join("small"), MEMBER)
        .unwrap();
    assert!(!writer.add_bytes("records/2.json", &[1; 60 << 10]).unwrap());
    let (bytes, _) = writer.finish(manifest()).unwrap();
    assert!(bytes.len() <= SMALL.file_bytes);
    Archive::parse(bytes, &SMALL).unwrap();
}

#[test]
fn numbers_of_files_and_omissions_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..SMALL.members {
        File::create(dir.path().join(number.to_string())).unwrap();
    }
    let add = |limits| RecordingWriter::new(limits).add_directory(dir.path(), MEMBER);
    let reason = add(SMALL).unwrap_err();
    assert_eq!(reason, "a recording holds at most 20 files and directories");
    #[cfg(unix)]
    {
        for number in 0..SMALL.members {
            let path = dir.path().join(number.to_string());
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/", path).unwrap();
        }
        let reason = add(SMALL).unwrap_err();
        assert_eq!(reason, "more than 3 of its files cannot be recorded");
    }
}

#[test]
fn files_that_are_too_long_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (name, length) in [("long", (1 << 20) + 1), ("short", 1)] {
        let file = File::create(dir.path().join(name)).unwrap();
        file.set_len(length).unwrap();
    }
    let (bytes, left_out) = recording_of(dir.path(), SMALL);
    assert_eq!(left_out.len(), 1);
    assert!(left_out[0].path.ends_with("long"), "{left_out:?}");
    assert!(left_out[0].reason.starts_with("it is 1048577 bytes long"));
    Archive::parse(bytes, &SMALL).unwrap();
}

#[test]
fn manifest_beyond_its_bound_is_an_error() {
    let mut writer = RecordingWriter::new(SMALL);
    writer.leave_out("path", "x".repeat(SMALL.manifest_bytes));
    let error = writer.finish(manifest()).unwrap_err().to_string();
    assert!(error.contains("the limit is 8192"), "{error}");
}

#[test]
fn file_beyond_the_bound_is_refused_before_it_is_read() {
    let bytes = vec![0; SMALL.file_bytes + 1];
    let error = Archive::parse(bytes, &SMALL).unwrap_err();
    assert!(error.contains("at most 65536 bytes"), "{error}");
}
