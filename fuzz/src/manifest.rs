//! Manifests: what is accepted must be safe to follow, and stay the same when it is written again.
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
        let plain = |component| matches!(component, Component::Normal(_));
        assert!(Path::new(path.as_str()).components().all(plain), "{path}");
    }
    let again = Manifest::parse(manifest.to_json().as_bytes())
        .expect("what was accepted is accepted again");
    assert_eq!(again, manifest);
});
