//! Records of runs, read back from files.

use chrono::DateTime;
use clarity_chaos_record::Record;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One record for each test, by name: of several the one that began last.
///
/// # Errors
///
/// When one of them cannot be read, or there is none; the text says what was expected.
pub fn read_records(paths: &[PathBuf]) -> Result<Vec<Record>, String> {
    let mut files = Vec::new();
    for path in paths {
        find(path, &mut files).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    for file in files {
        let told = |error: String| format!("{}: {error}", file.display());
        let text = fs::read(&file).map_err(|error| told(error.to_string()))?;
        let record: Record = serde_json::from_slice(&text)
            .map_err(|error| told(format!("expected a record of a test, found {error}")))?;
        if record.schema != Record::SCHEMA {
            let (known, found) = (Record::SCHEMA, record.schema);
            return Err(told(format!(
                "expected version {known} of the format, found {found}"
            )));
        }
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
            "expected records, found none in {}; runs leave them in chaos/PACKAGE/TARGET/records in Cargo's target folder",
            paths.join(", ")
        ));
    }
    Ok(records.into_values().collect())
}

/// The file, or the files of records in a folder and those below.
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

/// Since 1970, in microseconds; 0 where nobody knows.
fn began(record: &Record) -> i64 {
    let began = DateTime::parse_from_rfc3339(&record.started_at);
    began.map_or(0, |began| began.timestamp_micros())
}

/// From the first beginning to the last end.
pub fn elapsed(records: &[Record]) -> Duration {
    let ended = |record: &Record| began(record).saturating_add_unsigned(record.duration_us);
    let first = records.iter().map(began).min().unwrap_or(0);
    let last = records.iter().map(ended).max().unwrap_or(0);
    Duration::from_micros(u64::try_from(last.saturating_sub(first)).unwrap_or(0))
}
