//! Reads the records of runs from files.

use chrono::DateTime;
use clarity_chaos_record::Record;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads one record for each test: the record of the test's latest run. Returns the records sorted
/// by the test's name.
///
/// Each path is a file or a directory. Of a directory, all `.json` files are read, including those
/// in subdirectories.
///
/// # Errors
///
/// When a file cannot be read, or is not a record of the schema that this release reads. The
/// message then names the file. Also when no record was found. The message then names the searched
/// paths.
pub fn read_records(paths: &[PathBuf]) -> Result<Vec<Record>, String> {
    let mut files = Vec::new();
    for path in paths {
        find(path, &mut files).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    for file in files {
        let with_file = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = fs::read(&file).map_err(|error| with_file(&error))?;
        let record = Record::from_json(&text).map_err(|error| with_file(&error))?;
        match records.get(&record.name) {
            Some(other) if began(other) > began(&record) => {}
            _ => {
                records.insert(record.name.clone(), record);
            }
        }
    }
    if records.is_empty() {
        let paths: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(format!(
            "expected records, found none in {}; runs leave them in chaos/PACKAGE/TARGET/records in Cargo's target directory",
            paths.join(", ")
        ));
    }
    Ok(records.into_values().collect())
}

/// Adds `path` to `files` if `path` is a file. Otherwise adds all `.json` files in the directory
/// `path` and its subdirectories.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns the start of the record's case in microseconds since 1970, or 0 if the start is unknown.
fn began(record: &Record) -> i64 {
    let began = DateTime::parse_from_rfc3339(&record.started_at);
    began.map_or(0, |began| began.timestamp_micros())
}

/// Returns the time from the earliest start to the latest end of the recorded cases.
#[must_use]
pub fn elapsed(records: &[Record]) -> Duration {
    let ended = |record: &Record| began(record).saturating_add_unsigned(record.duration_us);
    let first = records.iter().map(began).min().unwrap_or(0);
    let last = records.iter().map(ended).max().unwrap_or(0);
    Duration::from_micros(u64::try_from(last.saturating_sub(first)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clarity_chaos_record::Seed;

    /// Writes the record of a case that began at this second. The path is `directory/file`.
    fn write(directory: &Path, file: &str, second: u32, root_seed: u64) {
        let mut record = Record::new("a_test", Seed::new(root_seed), Seed::new(1));
        record.started_at = format!("2026-02-03T10:00:{second:02}Z");
        record.duration_us = 500_000;
        fs::write(
            directory.join(file),
            serde_json::to_vec(&record).expect("a record is plain data"),
        )
        .unwrap();
    }

    #[test]
    fn reading_takes_the_latest_record_of_a_test() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "a.json", 7, 1);
        write(directory.path(), "b.json", 9, 2);
        write(directory.path(), "c.json", 8, 3);
        let records = read_records(&[directory.path().to_owned()]).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].root_seed, Seed::new(2));
        assert_eq!(elapsed(&records), Duration::from_millis(500));
    }

    #[test]
    fn record_of_another_schema_is_an_error_with_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("old.json");
        fs::write(&file, r#"{ "schema": 1, "name": "a_test", "replay": "" }"#).unwrap();
        let error = read_records(&[directory.path().to_owned()]).unwrap_err();
        let expected = format!("{}: expected schema 2, found 1", file.display());
        assert!(error.starts_with(&expected), "{error}");
    }
}
