//! Fuzzes manifests. An accepted one has only safe paths, and stays equal when written and parsed
//! again.
#![no_main]

use clarity::Manifest;
use libfuzzer_sys::fuzz_target;
use std::path::{Component, Path};

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return;
    };
    assert!(!manifest.files().is_empty() && manifest.files().len() <= Manifest::MAX_FILES);
    assert!(manifest.files().contains_key(manifest.entry()));
    for path in manifest.files().keys() {
        let is_normal = |component| matches!(component, Component::Normal(_));
        assert!(
            Path::new(path.as_str()).components().all(is_normal),
            "{path}"
        );
    }
    let again = Manifest::parse(manifest.to_json().as_bytes())
        .expect("an accepted manifest is accepted again");
    assert_eq!(again, manifest);
});
