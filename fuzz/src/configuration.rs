//! Configuration files of `clarity serve`: an error names the file, and nothing else happens.
#![no_main]

#[path = "../../src/main.rs"]
#[expect(dead_code, reason = "only the configuration is read here")]
mod program;

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Each process has a file of its own, in memory where there is such a place.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let folder = if shared.is_dir() {
        shared
    } else {
        std::env::temp_dir()
    };
    folder.join(format!("clarity-fuzz-{}.toml", std::process::id()))
});

fuzz_target!(|text: &[u8]| {
    fs::write(&*FILE, text).expect("the file can be written");
    if let Err(error) = program::cli::with_file(&FILE) {
        assert!(error.starts_with(&*FILE.to_string_lossy()), "{error}");
    }
});
