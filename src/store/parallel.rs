//! Reads the files of a version in parallel.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::VerifyError;
use super::verified_file::read_verified;
use super::version_directory::VersionDirectory;
use crate::manifest::{FileEntry, FilePath, Manifest};

/// The total size of a version's files, in bytes, below which additional threads cost more time
/// than they save.
const MIN_PARALLEL_BYTES: u64 = 4 << 20;

/// The maximum number of threads.
// More threads would not read faster, and would take processor time from predictions.
const MAX_THREADS: usize = 4;

type FileContents = BTreeMap<FilePath, Vec<u8>>;

/// Reads and verifies all files of a version.
///
/// # Errors
///
/// When a file cannot be read or verified. If several files have errors, returns the error of the
/// file that comes first in path order. After an error, no thread starts to read another file.
pub(super) fn read_files(
    directory: &VersionDirectory,
    manifest: &Manifest,
) -> Result<FileContents, VerifyError> {
    let sizes = manifest.files().values().map(|entry| entry.size);
    let threads = match sizes.fold(0, u64::saturating_add) {
        ..MIN_PARALLEL_BYTES => 1,
        _ => thread::available_parallelism().map_or(1, NonZeroUsize::get),
    };
    read_on_threads(threads.min(MAX_THREADS), directory, manifest)
}

fn read_on_threads(
    threads: usize,
    directory: &VersionDirectory,
    manifest: &Manifest,
) -> Result<FileContents, VerifyError> {
    let mut files: Vec<(&FilePath, &FileEntry)> = manifest.files().iter().collect();
    // Threads pop files from the back of the list. So the largest files are read first, and no
    // large file is left for last.
    files.sort_by_key(|(path, entry)| (entry.size, std::cmp::Reverse(*path)));
    let threads = threads.clamp(1, files.len().max(1));
    let shared = Mutex::new((files, FileContents::new(), BTreeMap::new()));
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let next = lock().0.pop();
            let Some((path, entry)) = next else { return };
            match read_verified(directory, path, entry) {
                Ok(bytes) => {
                    lock().1.insert(path.clone(), bytes);
                }
                Err(error) => {
                    let mut shared = lock();
                    shared.0.clear();
                    shared.2.insert(path.clone(), error);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // If no other thread can be spawned, this thread does all the work.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let (_, read, mut refused) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match refused.pop_first() {
        None => Ok(read),
        Some((_, error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::Source;
    use crate::{Store, Version};

    #[test]
    fn parallel_reads_give_the_same_files_and_errors() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let file = |number: usize| {
            let bytes = vec![number as u8; number * 70_000];
            let path: FilePath = format!("f{number:02}").parse().unwrap();
            (path, Source::Bytes(bytes))
        };
        let sources: BTreeMap<_, _> = (0..20).map(file).collect();
        let (model, entry) = ("m".parse().unwrap(), "f00".parse().unwrap());
        let manifest = store.publish(&model, &entry, &sources).unwrap();
        let path = dir.path().join("m/1");
        let directory = VersionDirectory::at(&path).unwrap();
        let alone = read_on_threads(1, &directory, &manifest).unwrap();
        assert_eq!(alone.len(), 20);
        for threads in [2, 4, 64] {
            assert_eq!(
                read_on_threads(threads, &directory, &manifest).unwrap(),
                alone
            );
        }
        assert_eq!(*store.open(&model, Version::FIRST).unwrap().files(), alone);
        fs::write(path.join("f07"), vec![0; 7 * 70_000]).unwrap();
        for threads in [1, 2, 64] {
            let error = read_on_threads(threads, &directory, &manifest).unwrap_err();
            assert_eq!(error.file(), Some("f07"));
        }
    }
}
