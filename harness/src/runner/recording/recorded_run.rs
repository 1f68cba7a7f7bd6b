//! Records a run that has ended.

use super::fingerprint::Fingerprint;
use super::manifest::{KEPT, KeptDirectory, LeftOut, Manifest, RECORDS, RecordedCase};
use super::recorded_settings::RecordedSettings;
use super::recording_limits::RecordingLimits;
use super::recording_writer::RecordingWriter;
use crate::data::case::file_name;
use crate::os::atomic_file::write_durably;
use crate::runner::cli::Options;
use crate::runner::kept_states::KeptStates;
use crate::runner::standard_streams::print_error;
use clarity_chaos_record::{Isolation, Record, Seed};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The largest number of omissions that a run prints. The manifest names all of them.
const PRINTED: usize = 20;

/// A run that has ended, for its recording.
#[derive(Debug)]
pub(crate) struct RecordedRun<'a> {
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) options: &'a Options,
    pub(crate) isolation: Isolation,
    pub(crate) root_seed: Seed,
    pub(crate) kept_states: &'a KeptStates,
    /// The records of the run, at most one of each test.
    pub(crate) records: &'a [Record],
    pub(crate) is_interrupted: bool,
}

impl RecordedRun<'_> {
    /// Replaces the file `path` with a recording of the run. Warns of each file or directory that
    /// the recording does not hold.
    ///
    /// # Errors
    ///
    /// When the recording cannot be written. An old file at `path` stays as it is.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let (bytes, left_out) = self.build(RecordingLimits::DEFAULT)?;
        write_durably(path, &bytes)?;
        warn_of(&left_out, path);
        Ok(())
    }

    fn build(&self, limits: RecordingLimits) -> io::Result<(Vec<u8>, Vec<LeftOut>)> {
        let mut writer = RecordingWriter::new(limits);
        let mut cases: Vec<RecordedCase> = self.records.iter().map(case_of).collect();
        for number in self.failures_first() {
            let record = &self.records[number];
            let member = format!("{RECORDS}/{}.json", number + 1);
            if writer.add_bytes(&member, &serde_json::to_vec(record)?)? {
                cases[number].record = Some(member);
            } else {
                let reason = "its record does not fit into the recording; its seed does";
                writer.leave_out(record.name.clone(), reason);
            }
        }
        for (number, from) in self.kept_directories() {
            let case = &mut cases[number];
            let name = file_name(&case.name);
            let member = match case.directories.len() {
                0 => format!("{KEPT}/{}-{name}", number + 1),
                more => format!("{KEPT}/{}-{name}.{}", number + 1, more + 1),
            };
            let original = from.display().to_string();
            match writer.add_directory(&from, &member) {
                Ok(()) => case.directories.push(KeptDirectory { original, member }),
                Err(reason) => writer.leave_out(original, reason),
            }
        }
        writer.finish(Manifest {
            schema: Manifest::SCHEMA,
            recorded_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            root_seed: self.root_seed,
            is_interrupted: self.is_interrupted,
            fingerprint: self.fingerprint.clone(),
            settings: RecordedSettings::new(self.options, self.isolation),
            cases,
            left_out: Vec::new(),
        })
    }

    /// Returns the indices of all records, those of failed tests first.
    fn failures_first(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.records.len()).collect();
        numbers.sort_by_key(|number| !self.records[*number].verdict.is_failure());
        numbers
    }

    /// Returns the kept directories of all cases, each with the index of its record, the smallest
    /// directory first. So the largest ones are left out.
    fn kept_directories(&self) -> Vec<(usize, PathBuf)> {
        let mut directories = Vec::new();
        for (number, record) in self.records.iter().enumerate() {
            let attempts = record.failed_attempts.iter();
            let attempts = attempts.filter_map(|attempt| attempt.kept_dir.as_ref());
            let kept = record.kept_dir.iter().chain(attempts).cloned();
            directories.extend(kept.map(|directory| (number, directory)));
            let states = self.kept_states.of_case(&record.name, record.root_seed);
            if states.is_dir() {
                directories.push((number, states));
            }
        }
        directories.sort_by_cached_key(|(_, directory)| stored_bytes(directory));
        directories
    }
}

fn case_of(record: &Record) -> RecordedCase {
    RecordedCase {
        name: record.name.clone(),
        root_seed: record.root_seed,
        verdict: record.verdict.kind().to_owned(),
        record: None,
        directories: Vec::new(),
    }
}

/// Returns the space on disk that the files of a directory take, in bytes. Unreadable files count
/// as empty.
fn stored_bytes(directory: &Path) -> u64 {
    let (mut bytes, mut directories) = (0_u64, vec![directory.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => directories.push(entry.path()),
                Ok(found) => bytes = bytes.saturating_add(disk_bytes(&found)),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(unix)]
fn disk_bytes(found: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    found.blocks().saturating_mul(512)
}

#[cfg(not(unix))]
fn disk_bytes(found: &fs::Metadata) -> u64 {
    found.len()
}

fn warn_of(left_out: &[LeftOut], recording: &Path) {
    let recording = recording.display();
    for LeftOut { path, reason } in left_out.iter().take(PRINTED) {
        print_error(format_args!(
            "warning: not in {recording}: {path}: {reason}"
        ));
    }
    if let Some(more @ 1..) = left_out.len().checked_sub(PRINTED) {
        print_error(format_args!(
            "warning: not in {recording}: {more} more files, which its manifest.json names"
        ));
    }
}
