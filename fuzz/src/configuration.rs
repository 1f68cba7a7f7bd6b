//! Fuzzes configuration files of `clarity serve`: each error names the file, and no input panics.
#![no_main]

use clarity::fuzzing::read_configuration;
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The configuration file of this process, in memory if the system has `/dev/shm`.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let directory = if shared.is_dir() {
        shared
    } else {
        std::env::temp_dir()
    };
    directory.join(format!("clarity-fuzz-{}.toml", std::process::id()))
});

fuzz_target!(|text: &[u8]| {
    fs::write(&*FILE, text).expect("the temporary directory is writable");
    if let Err(error) = read_configuration(&FILE) {
        assert!(error.starts_with(&*FILE.to_string_lossy()), "{error}");
    }
});
