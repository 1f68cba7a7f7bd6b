//! Versions whose files differ from their manifest.

#[cfg(unix)]
mod permissions;

use std::fs;

use clarity::{Manifest, Reason, Store, VerifyError, Version};
use serde_json::{Value, json};

use models::{COLE_KRIPKE, Models};

/// The testbed's repository of models, and the store under test in the same directory.
pub(crate) mod models {
    use clarity::Store;
    pub(crate) use clarity_testbed::MODEL_BYTES as COLE_KRIPKE;
    use clarity_testbed::Repository;

    pub(crate) struct Models {
        repository: Repository,
        pub(crate) store: Store,
    }

    impl Models {
        pub(crate) fn empty() -> Self {
            Self::of(Repository::temporary())
        }

        /// A store with version 1 of `cole_kripke`.
        pub(crate) fn cole_kripke() -> Self {
            Self::of(Repository::temporary_with_model())
        }

        fn of(repository: Repository) -> Self {
            Self {
                store: Store::new(repository.root()),
                repository,
            }
        }
    }

    impl std::ops::Deref for Models {
        type Target = Repository;

        fn deref(&self) -> &Repository {
            &self.repository
        }
    }
}

fn open(store: &Store, version: u64) -> Result<Vec<u8>, VerifyError> {
    let version = Version::new(version).unwrap();
    let opened = store.open(&"cole_kripke".parse().unwrap(), version)?;
    assert_eq!(opened.files().len(), 1);
    Ok(opened.files().values().next().unwrap().clone())
}

#[track_caller]
fn refused(models: &Models, reason: Reason, says: &str) -> VerifyError {
    let error = open(&models.store, 1).unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    assert!(
        error.to_string().contains(says),
        "{error} does not say {says:?}"
    );
    error
}

#[test]
fn shipped_models_verify() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/chaos_tests/models");
    assert_eq!(open(&Store::new(shipped), 1).unwrap(), COLE_KRIPKE);
}

#[test]
fn every_flipped_bit_of_a_file_is_refused() {
    let models = Models::cole_kripke();
    for bit in 0..COLE_KRIPKE.len() * 8 {
        models.flip_bit("1/model.onnx", bit);
        let error = open(&models.store, 1).unwrap_err();
        assert!(
            matches!(error, VerifyError::DigestMismatch { .. }),
            "bit {bit}: {error}"
        );
        models.flip_bit("1/model.onnx", bit);
    }
    assert_eq!(open(&models.store, 1).unwrap(), COLE_KRIPKE, "repaired");
}

/// A flipped bit in the date or in whitespace may be harmless. The store must never return bytes
/// other than the published bytes.
#[test]
fn every_flipped_bit_of_a_manifest_is_refused_or_harmless() {
    let models = Models::cole_kripke();
    let length = fs::read(models.path("1/manifest.json")).unwrap().len();
    let mut harmless = 0;
    for bit in 0..length * 8 {
        models.flip_bit("1/manifest.json", bit);
        match open(&models.store, 1) {
            Ok(bytes) => {
                assert_eq!(bytes, COLE_KRIPKE, "bit {bit}");
                harmless += 1;
            }
            Err(error) => assert!(
                matches!(error.reason(), Reason::ModelCorrupt | Reason::ModelMissing),
                "bit {bit}: {error}"
            ),
        }
        models.flip_bit("1/manifest.json", bit);
    }
    assert!(
        harmless < length,
        "{harmless} of {} flips are harmless",
        length * 8
    );
}

#[test]
fn every_other_length_is_refused_before_hashing() {
    let models = Models::cole_kripke();
    let path = models.path("1/model.onnx");
    for length in (0..COLE_KRIPKE.len()).chain([COLE_KRIPKE.len() + 1, 1 << 20]) {
        let mut bytes = COLE_KRIPKE.to_vec();
        bytes.resize(length, 0);
        fs::write(&path, bytes).unwrap();
        let error = open(&models.store, 1).unwrap_err();
        assert!(
            matches!(error, VerifyError::SizeMismatch { .. }),
            "{length} bytes: {error}"
        );
    }
    // The file is 1 TiB long: too large to read or to allocate.
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let error = refused(
        &models,
        Reason::ModelCorrupt,
        "expected 473 bytes, found 1099511627776",
    );
    assert_eq!(error.file(), Some("model.onnx"));
}

#[test]
fn garbage_of_the_right_length_is_refused_by_digest() {
    let models = Models::cole_kripke();
    fs::write(models.path("1/model.onnx"), [7; COLE_KRIPKE.len()]).unwrap();
    let error = refused(
        &models,
        Reason::ModelCorrupt,
        "expected SHA-256 837b04d3e20336de",
    );
    let (expected, found) = error.expected_and_found().unwrap();
    assert_eq!((expected.len(), found.len()), (64, 64));
    assert_ne!(expected, found);
}

#[test]
fn missing_file_manifest_and_version_are_distinct() {
    let models = Models::cole_kripke();
    fs::remove_file(models.path("1/model.onnx")).unwrap();
    refused(
        &models,
        Reason::ModelMissing,
        "model.onnx: the file does not exist",
    );
    fs::remove_file(models.path("1/manifest.json")).unwrap();
    refused(&models, Reason::Unverified, "no manifest.json");
    fs::remove_dir(models.path("1")).unwrap();
    refused(&models, Reason::ModelMissing, "version does not exist");
}

#[test]
fn manifest_of_another_version_or_model_is_refused() {
    let models = Models::cole_kripke();
    models.publish("cole_kripke", COLE_KRIPKE);
    models.publish("other", COLE_KRIPKE);
    // The model files are identical. The first copied manifest names another version. The second
    // copied manifest names another model.
    fs::copy(
        models.path("2/manifest.json"),
        models.path("1/manifest.json"),
    )
    .unwrap();
    refused(
        &models,
        Reason::ModelCorrupt,
        "manifest.json is of cole_kripke 2",
    );
    fs::copy(
        models.root().join("other/1/manifest.json"),
        models.path("1/manifest.json"),
    )
    .unwrap();
    let error = refused(&models, Reason::ModelCorrupt, "manifest.json is of other 1");
    assert_eq!(
        error.expected_and_found(),
        Some(("cole_kripke 1".to_owned(), "other 1".to_owned()))
    );
}

#[test]
fn invalid_or_oversized_manifest_is_refused() {
    let models = Models::cole_kripke();
    for garbage in [
        &b""[..],
        b"garbage",
        b"{}",
        b"[]",
        b"null",
        &[0; 100],
        b"\xff\xfe",
    ] {
        fs::write(models.path("1/manifest.json"), garbage).unwrap();
        refused(&models, Reason::ModelCorrupt, "invalid manifest");
    }
    let file = fs::File::options()
        .write(true)
        .open(models.path("1/manifest.json"))
        .unwrap();
    file.set_len(1 << 40).unwrap();
    refused(
        &models,
        Reason::ModelCorrupt,
        "expected at most 1048576 bytes",
    );
}

#[test]
fn manifest_length_limit_is_exact() {
    let models = Models::cole_kripke();
    let path = models.path("1/manifest.json");
    let json = fs::read_to_string(&path).unwrap();
    let (inside, end) = json.trim_end().split_at(json.trim_end().len() - 1);
    let most = usize::try_from(Manifest::MAX_BYTES).unwrap();
    let padded = |length: usize| {
        let padding = " ".repeat(length - inside.len() - end.len());
        fs::write(&path, format!("{inside}{padding}{end}")).unwrap();
        models
            .store
            .manifest(&"cole_kripke".parse().unwrap(), Version::FIRST)
    };
    assert!(padded(most).is_ok());
    for more in [1, 2] {
        let error = padded(most + more).unwrap_err();
        assert!(
            matches!(error, VerifyError::ManifestTooLarge { found, .. } if found == (most + more) as u64),
            "{error}"
        );
    }
}

#[test]
fn manifest_size_beyond_the_file_allocates_nothing() {
    let models = Models::cole_kripke();
    let path = models.path("1/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["files"]["model.onnx"]["size"] = json!(Manifest::MAX_FILE_BYTES);
    fs::write(&path, manifest.to_string()).unwrap();
    refused(
        &models,
        Reason::ModelCorrupt,
        "expected 68719476736 bytes, found 473",
    );
}

#[test]
fn unlisted_entry_changes_nothing() {
    let models = Models::cole_kripke();
    for (entry, is_directory) in [
        ("extra.bin", false),
        (".hidden", false),
        ("model.onnx.bak", false),
        ("directory", true),
    ] {
        let path = models.path("1").join(entry);
        if is_directory {
            fs::create_dir(&path).unwrap()
        } else {
            fs::write(&path, "").unwrap()
        }
        assert!(open(&models.store, 1).is_ok(), "{entry}");
        if is_directory {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
    }
    assert!(open(&models.store, 1).is_ok());
}

#[test]
fn directory_in_place_of_a_file_is_refused() {
    let models = Models::cole_kripke();
    fs::remove_file(models.path("1/model.onnx")).unwrap();
    fs::create_dir(models.path("1/model.onnx")).unwrap();
    refused(
        &models,
        Reason::ModelCorrupt,
        "model.onnx: expected a regular file, found a directory",
    );
}

#[test]
fn file_or_symlink_in_place_of_a_directory_is_refused() {
    let models = Models::empty();
    let model = "m".parse().unwrap();
    let entry: clarity::FilePath = "weights/a.bin".parse().unwrap();
    let bytes = clarity::Source::Bytes(b"weights".to_vec());
    let files = std::collections::BTreeMap::from([(entry.clone(), bytes)]);
    models.store.publish(&model, &entry, &files).unwrap();
    let directory = models.root().join("m/1/weights");
    assert!(models.store.open(&model, Version::FIRST).is_ok());
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "weights").unwrap();
    let error = models.store.open(&model, Version::FIRST).unwrap_err();
    assert_eq!(error.to_string(), "weights/a.bin: the file does not exist");
    #[cfg(unix)]
    {
        let aside = models.root().join("aside");
        fs::create_dir(&aside).unwrap();
        fs::rename(&directory, aside.join("a.bin")).unwrap();
        std::os::unix::fs::symlink(&aside, &directory).unwrap();
        let error = models.store.open(&model, Version::FIRST).unwrap_err();
        assert!(
            matches!(&error, VerifyError::LinkNotAllowed { link, .. } if link.ends_with("m/1/weights")),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn symlinks_and_pipes_are_refused_without_blocking() {
    use std::os::unix::fs::symlink;

    let models = Models::cole_kripke();
    for file in ["model.onnx", "manifest.json"] {
        let (path, aside) = (models.path("1").join(file), models.path(file));
        fs::rename(&path, &aside).unwrap();
        symlink(&aside, &path).unwrap();
        refused(
            &models,
            Reason::LinkNotAllowed,
            &format!("{file} is a symlink to {}", aside.display()),
        );
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        // Opening a pipe for reading blocks until a writer opens the pipe; this pipe has no writer.
        refused(
            &models,
            Reason::ModelCorrupt,
            &format!("{file}: expected a regular file, found a pipe"),
        );
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    assert!(open(&models.store, 1).is_ok());
}
