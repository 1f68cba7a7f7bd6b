//! Files that a program rebuilds after each start, such as the index of a log in shared memory.

use clarity_chaos_disk::{Entry, Snapshot, SparseBytes};
use rand::{Rng, RngExt as _};
use std::path::{Path, PathBuf};

/// The patterns of the paths of volatile files.
#[derive(Clone, Debug, Default)]
pub(super) struct VolatilePatterns(Vec<String>);

/// The contents of mapped volatile files, in the order in which they were observed.
#[derive(Clone, Debug, Default)]
pub(super) struct VolatileContents(Vec<VolatileContent>);

#[derive(Clone, Debug)]
struct VolatileContent {
    /// The number of calls before the observation.
    calls: usize,
    path: PathBuf,
    bytes: SparseBytes,
}

impl VolatilePatterns {
    pub(super) fn add(&mut self, pattern: String) {
        self.0.push(pattern);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the file at this path is volatile. The path is relative to the directory.
    pub(super) fn matches(&self, path: &Path) -> bool {
        let path = path.as_os_str().as_encoded_bytes();
        let mut patterns = self.0.iter();
        patterns.any(|pattern| is_match(pattern.as_bytes(), path))
    }

    /// Lists states of the disk that differ in the volatile files. A loss of power leaves them as
    /// they are in `observed`, or as zeros, or with random bytes, or not at all. Without such
    /// files, the one state is that of `snapshot`.
    pub(super) fn states(
        &self,
        snapshot: Snapshot,
        observed: Snapshot,
        rng: &mut impl Rng,
    ) -> Vec<Snapshot> {
        let files: Vec<(PathBuf, usize)> = snapshot
            .entries()
            .filter_map(|(path, entry)| match entry {
                Entry::File(number) if self.matches(path) => {
                    Some((path.to_owned(), snapshot.file(*number).bytes.len()))
                }
                _ => None,
            })
            .collect();
        if files.is_empty() {
            return vec![snapshot];
        }
        let mut zeros = observed.clone();
        let mut random = observed.clone();
        let mut missing = observed.clone();
        for (path, length) in files {
            zeros = zeros.with_bytes(&path, {
                let mut bytes = SparseBytes::default();
                bytes.resize(length);
                bytes
            });
            let mut bytes = vec![0; length];
            rng.fill(&mut bytes[..]);
            random = random.with_bytes(&path, bytes[..].into());
            missing = missing.without(&path);
        }
        vec![snapshot, observed, zeros, random, missing]
    }
}

impl VolatileContents {
    /// Adds the content of a file after this number of calls.
    pub(super) fn add(&mut self, calls: usize, path: PathBuf, bytes: &[u8]) {
        let bytes = bytes.into();
        self.0.push(VolatileContent { calls, path, bytes });
    }

    /// Sets the bytes of volatile files to those after this number of calls.
    pub(super) fn apply(&self, calls: usize, mut snapshot: Snapshot) -> Snapshot {
        for content in self.0.iter().filter(|content| content.calls <= calls) {
            snapshot = snapshot.with_bytes(&content.path, content.bytes.clone());
        }
        snapshot
    }
}

/// Whether the pattern matches the whole path. `*` stands for any bytes but `/`, and `?` for one.
fn is_match(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            is_match(rest, path)
                || path
                    .split_first()
                    .is_some_and(|(first, path)| *first != b'/' && is_match(pattern, path))
        }
        (Some((b'?', pattern)), Some((first, path))) => *first != b'/' && is_match(pattern, path),
        (Some((expected, pattern)), Some((first, path))) => {
            expected == first && is_match(pattern, path)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::random::rng;
    use clarity_chaos_disk::{File, SnapshotBuilder};
    use clarity_chaos_record::Seed;

    #[test]
    fn patterns_match_whole_paths() {
        let mut patterns = VolatilePatterns::default();
        patterns.add("*-shm".to_owned());
        patterns.add("locks/?.lock".to_owned());
        for path in ["store-shm", "-shm", "locks/1.lock"] {
            assert!(patterns.matches(Path::new(path)), "{path}");
        }
        for path in ["a/store-shm", "store-shm2", "locks/12.lock", "locks/.lock"] {
            assert!(!patterns.matches(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn volatile_file_has_any_bytes_or_is_missing() {
        let mut before = SnapshotBuilder::default();
        for name in ["kept", "store-shm"] {
            let bytes = b"old"[..].into();
            before.file(name.into(), File { bytes, mode: 0o600 });
        }
        let before = before.build();
        let mut contents = VolatileContents::default();
        contents.add(1, "store-shm".into(), b"new");
        let mut patterns = VolatilePatterns::default();
        let mut rng = rng(Seed::new(1));
        let states = |patterns: &VolatilePatterns, rng: &mut _| {
            patterns.states(before.clone(), contents.apply(1, before.clone()), rng)
        };
        assert_eq!(states(&patterns, &mut rng), vec![before.clone()]);
        patterns.add("*-shm".to_owned());
        let states = states(&patterns, &mut rng);
        let bytes = |state: &Snapshot, name: &str| match state.entry(Path::new(name)) {
            Some(Entry::File(number)) => Some(state.file(*number).bytes.to_vec()),
            _ => None,
        };
        let found: Vec<_> = states
            .iter()
            .map(|state| bytes(state, "store-shm"))
            .collect();
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(found[..3], [text("old"), text("new"), Some(vec![0; 3])]);
        assert_eq!(found[3].as_ref().map(Vec::len), Some(3));
        assert_eq!(found[4], None);
        assert!(
            states
                .iter()
                .all(|state| bytes(state, "kept") == text("old"))
        );
        assert_eq!(contents.apply(0, before.clone()), before);
    }
}
