//! Checks a rule for the library's source files that no lint covers.

use std::fs;
use std::path::{Path, PathBuf};

/// Adds all Rust files below `directory` to `found`.
fn collect_sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether the text names `std::time::Instant`, directly or within the braces of an import.
fn names_instant(text: &str) -> bool {
    text.split("std::time::").skip(1).any(|rest| {
        let end = if rest.starts_with('{') { '}' } else { ';' };
        let item = rest.split(end).next().unwrap_or(rest);
        item.lines()
            .next()
            .is_some_and(|line| line.contains("Instant"))
            || (end == '}' && item.contains("Instant"))
    })
}

/// Decisions must use Tokio's clock, which tests control. Only one file measures real durations.
#[test]
fn real_time_is_read_in_one_file() {
    let mut files = Vec::new();
    let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    collect_sources(sources, &mut files);
    let stopwatch = sources.join("stopwatch.rs");
    assert!(files.contains(&stopwatch), "{stopwatch:?} is not found");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            names_instant(&text),
            file == stopwatch,
            "{}",
            file.display()
        );
        // Either import would hide an `Instant` from the check above.
        assert!(!text.contains("use std::time;"), "{}", file.display());
        assert!(!text.contains("use std::{"), "{}", file.display());
        assert!(!text.contains("thread::sleep"), "{}", file.display());
    }
}
