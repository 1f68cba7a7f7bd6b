//! Rules of the house that no lint knows.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What is decided by time must follow Tokio's clock, which tests drive; real durations are measured in one place.
#[test]
fn real_time_is_read_in_one_place() {
    let mut files = Vec::new();
    sources(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut files,
    );
    assert!(files.len() > 30, "{}", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let real = text.contains("time::Instant") || text.contains("time::{Duration, Instant}");
        let real = real && !text.contains("use tokio::time::");
        let is_stopwatch = file.ends_with("stopwatch.rs");
        assert_eq!(real, is_stopwatch, "{}", file.display());
        assert!(!text.contains("std::time::Instant"), "{}", file.display());
        assert!(!text.contains("thread::sleep"), "{}", file.display());
    }
}
