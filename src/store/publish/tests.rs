use super::*;

fn store() -> (tempfile::TempDir, Store, ModelName, FilePath) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("models"));
    (
        dir,
        store,
        "m".parse().unwrap(),
        "model.onnx".parse().unwrap(),
    )
}

fn one_file(entry: &FilePath, bytes: &[u8]) -> BTreeMap<FilePath, Source> {
    BTreeMap::from([(entry.clone(), Source::Bytes(bytes.to_vec()))])
}

fn hidden(store: &Store) -> usize {
    let entries = fs::read_dir(store.root()).unwrap();
    entries
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with('.')
        })
        .count()
}

#[test]
fn publish_makes_a_version_that_opens_without_leftovers() {
    let (_dir, store, model, entry) = store();
    for number in 1..=3 {
        let bytes = vec![number; 300_000];
        let manifest = store
            .publish(&model, &entry, &one_file(&entry, &bytes))
            .unwrap();
        assert_eq!(manifest.version().get(), u64::from(number));
        let opened = store.open(&model, manifest.version()).unwrap();
        assert_eq!(opened.manifest(), &manifest);
        assert_eq!(opened.files()[&entry], bytes);
    }
    assert_eq!(hidden(&store), 0);
}

#[test]
fn publish_accepts_files_in_directories() {
    let (_dir, store, model, entry) = store();
    let mut files = one_file(&entry, b"abc");
    files.insert(
        "weights/a/0.bin".parse().unwrap(),
        Source::Bytes(vec![7; 10]),
    );
    let manifest = store.publish(&model, &entry, &files).unwrap();
    assert_eq!(
        store
            .open(&model, manifest.version())
            .unwrap()
            .files()
            .len(),
        2
    );
}

#[test]
fn staged_version_is_invisible_and_removed_on_drop() {
    let (_dir, store, model, entry) = store();
    let staged = store
        .stage(&model, &entry, &one_file(&entry, b"abc"))
        .unwrap();
    assert_eq!(staged.open().unwrap().files()[&entry], b"abc");
    assert_eq!(store.models().unwrap().entries, []);
    drop(staged);
    assert_eq!(hidden(&store), 0);
}

#[test]
fn concurrent_publications_get_distinct_versions() {
    let (_dir, store, model, entry) = store();
    let staged: Vec<Staged> = (0..8)
        .map(|byte| {
            store
                .stage(&model, &entry, &one_file(&entry, &[byte]))
                .unwrap()
        })
        .collect();
    let versions: Vec<Version> = std::thread::scope(|scope| {
        let publish = |staged: Staged| scope.spawn(|| staged.publish().unwrap().version());
        let threads: Vec<_> = staged.into_iter().map(publish).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut sorted = versions.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        (1..=8)
            .map(|number| Version::new(number).unwrap())
            .collect::<Vec<_>>()
    );
    for (byte, version) in versions.into_iter().enumerate() {
        assert_eq!(
            store.open(&model, version).unwrap().files()[&entry],
            [u8::try_from(byte).unwrap()]
        );
    }
}

#[test]
fn publish_skips_numbers_of_existing_entries() {
    let (_dir, store, model, entry) = store();
    let staged = store
        .stage(&model, &entry, &one_file(&entry, b"abc"))
        .unwrap();
    fs::create_dir_all(store.root().join("m/1")).unwrap();
    fs::write(store.root().join("m/2"), "a file").unwrap();
    assert_eq!(staged.publish().unwrap().version().get(), 3);
    assert!(
        fs::read_dir(store.root().join("m/1"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn publish_with_a_missing_source_leaves_nothing() {
    let (dir, store, model, entry) = store();
    let files = BTreeMap::from([(entry.clone(), Source::File(dir.path().join("none.onnx")))]);
    let error = store.publish(&model, &entry, &files).unwrap_err();
    assert!(error.to_string().contains("none.onnx"), "{error}");
    assert_eq!(store.models().unwrap().entries, []);
    assert_eq!(hidden(&store), 0);
}

#[test]
fn stage_with_too_many_files_is_refused() {
    let (dir, store, model, _) = store();
    let source = |number: usize| {
        let path: FilePath = format!("f{number}").parse().unwrap();
        (path, Source::File(dir.path().join("missing")))
    };
    let refused = |count: usize| {
        let files = (0..count).map(source).collect();
        let entry = "f0".parse().unwrap();
        store.stage(&model, &entry, &files).unwrap_err()
    };
    // `MAX_FILES` files are accepted: staging fails later, at the first missing file.
    assert!(!matches!(
        refused(Manifest::MAX_FILES),
        PublishError::TooManyFiles { .. }
    ));
    for more in [1, 2] {
        let found = Manifest::MAX_FILES + more;
        let error = refused(found);
        assert!(
            matches!(error, PublishError::TooManyFiles { found: reported } if reported == found),
            "{error}"
        );
    }
}

#[test]
fn stage_for_an_unreadable_model_is_refused() {
    let (_dir, store, model, entry) = store();
    fs::create_dir_all(store.root()).unwrap();
    fs::write(store.root().join("m"), "a file").unwrap();
    let error = store
        .stage(&model, &entry, &one_file(&entry, b"abc"))
        .unwrap_err();
    assert!(error.to_string().contains("/m"), "{error}");
    assert_eq!(hidden(&store), 0);
}

/// Returns one byte at a time, each after an interruption. After the last byte, returns an error
/// of the kind `end`, or 0 bytes if `end` is `None`.
struct InterruptedReader<'a> {
    bytes: &'a [u8],
    interrupted: bool,
    end: Option<io::ErrorKind>,
}

impl Read for InterruptedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        match self.bytes.split_first() {
            _ if self.interrupted => Err(io::ErrorKind::Interrupted.into()),
            Some((first, rest)) => {
                buffer[0] = *first;
                self.bytes = rest;
                Ok(1)
            }
            None => self.end.map_or(Ok(0), |kind| Err(kind.into())),
        }
    }
}

#[test]
fn copy_retries_interruptions_and_reports_failures() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (Path::new("from"), dir.path().join("to"));
    let copy = |end| {
        let mut source = InterruptedReader {
            bytes: b"abc",
            interrupted: false,
            end,
        };
        let mut file = File::create(&to).unwrap();
        copy_and_hash(&mut source, from, &mut file, &to)
    };
    let entry = copy(None).unwrap();
    assert_eq!((entry.size, entry.sha256), (3, crate::Digest::of(b"abc")));
    assert_eq!(fs::read(&to).unwrap(), b"abc");
    let error = copy(Some(io::ErrorKind::ConnectionReset)).unwrap_err();
    assert!(error.to_string().contains("from"), "{error}");
}

#[test]
fn publish_includes_an_added_probe() {
    let (_dir, store, model, entry) = store();
    let mut staged = store
        .stage(&model, &entry, &one_file(&entry, b"abc"))
        .unwrap();
    let probe = Probe::parse(br#"{"inputs": []}"#).unwrap();
    staged.add_probe(&probe).unwrap();
    let manifest = staged.publish().unwrap();
    assert_eq!(manifest.probe().unwrap().as_str(), Probe::FILE_NAME);
    let opened = store.open(&model, manifest.version()).unwrap();
    assert_eq!(opened.files().len(), 2);
    assert_eq!(opened.probe().unwrap(), Some(probe));
}
