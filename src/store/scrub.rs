//! Reads a version again in small steps, to detect bit rot.

use std::fs::File;
use std::io::Read;

use super::open::read_manifest;
use super::regular_file::io_error;
use super::verified_file::compare_digest;
use super::version_directory::{OpenError, VersionDirectory};
use super::{Store, VerifyError};
use crate::digest::Hasher;
use crate::manifest::{FileEntry, FilePath, Manifest};
use crate::{ModelName, Version};

/// A version that is being read again. Its bytes are hashed and discarded.
#[derive(Debug)]
pub(crate) struct VersionScrub {
    directory: Box<VersionDirectory>,
    manifest: Manifest,
    left: Vec<(FilePath, FileEntry)>,
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    path: FilePath,
    entry: FileEntry,
    hasher: Hasher,
    left: u64,
}

/// The result of one step of a scrub.
#[derive(Debug)]
pub(crate) enum ScrubStep {
    /// The step read this number of bytes, and more bytes may remain.
    InProgress(VersionScrub, u64),
    /// All bytes match the manifest. Also when a symlink of the version was swapped: the next scrub
    /// reads the version anew.
    Clean,
    /// A file is missing or unreadable, or differs from the manifest.
    Corrupt(Manifest, VerifyError),
    /// The manifest itself is missing or invalid.
    InvalidManifest(VerifyError),
}

impl Store {
    /// Starts the scrub of a version. This call reads only the manifest.
    pub(crate) fn scrub(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<VersionScrub, VerifyError> {
        let (directory, manifest) = self.read_version(model, version, |directory| {
            read_manifest(directory, model, version)
        })?;
        let files = manifest.files().iter();
        Ok(VersionScrub {
            directory: Box::new(directory),
            left: files.map(|(path, entry)| (path.clone(), *entry)).collect(),
            manifest,
            open: None,
        })
    }
}

impl VersionScrub {
    /// Reads up to `most` bytes of one file. Blocks.
    pub(crate) fn step(mut self, most: u64) -> ScrubStep {
        match self.read(most) {
            Err(_) if self.directory.has_changed() => ScrubStep::Clean,
            Err(error) => ScrubStep::Corrupt(self.manifest, error),
            Ok(count) if count > 0 || !self.left.is_empty() => ScrubStep::InProgress(self, count),
            Ok(_) => ScrubStep::Clean,
        }
    }

    /// Reads up to `most` bytes of one file. Returns 0 for an empty file, or if no file is left.
    fn read(&mut self, most: u64) -> Result<u64, VerifyError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => match self.left.pop() {
                Some((path, entry)) => self.open(path, entry)?,
                None => return Ok(0),
            },
        };
        let mut chunk = Vec::new();
        let read = (&mut open.file)
            .take(most.min(open.left))
            .read_to_end(&mut chunk);
        read.map_err(|error| io_error(open.path.as_str(), error))?;
        open.hasher.update(&chunk);
        let count = chunk.len() as u64;
        open.left -= count;
        match (open.left, count) {
            (0, _) => {}
            (_, 0) => {
                return Err(VerifyError::Changed {
                    file: open.path,
                    expected: open.entry.size,
                    grew: false,
                });
            }
            _ => {
                self.open = Some(open);
                return Ok(count);
            }
        }
        compare_digest((), open.hasher.finish(), &open.path, &open.entry)?;
        Ok(count)
    }

    fn open(&self, path: FilePath, entry: FileEntry) -> Result<OpenFile, VerifyError> {
        let (file, found) = match self.directory.open(path.as_str()) {
            Ok(opened) => opened,
            Err(OpenError::NotFound) => return Err(VerifyError::FileMissing { file: path }),
            Err(OpenError::Refused(error)) => return Err(error),
        };
        if found != entry.size {
            return Err(VerifyError::SizeMismatch {
                file: path,
                expected: entry.size,
                found,
            });
        }
        drop_page_cache(&file);
        Ok(OpenFile {
            file,
            path,
            left: entry.size,
            entry,
            hasher: Hasher::new(),
        })
    }
}

/// Asks the kernel to drop the cached pages of a file.
// The scrub must read the disk: a cached copy stays intact while the disk rots.
fn drop_page_cache(file: &File) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Advice, fadvise};
        // This call is only advice: if the kernel ignores it, the scrub can miss damage.
        let _ = fadvise(file, 0, None, Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use crate::store::tests::models::Models;
    use std::collections::BTreeMap;
    use std::fs;

    /// Publishes version 1 of `m`, with files of these names and lengths in bytes. Starts a scrub
    /// of this version.
    fn scrubbing(files: &[(&str, usize)]) -> (Models, std::path::PathBuf, VersionScrub) {
        let models = Models::empty();
        let model = "m".parse().unwrap();
        let entry = files[0].0.parse().unwrap();
        let sources: BTreeMap<FilePath, Source> = files
            .iter()
            .map(|(name, length)| (name.parse().unwrap(), Source::Bytes(vec![7; *length])))
            .collect();
        models.store.publish(&model, &entry, &sources).unwrap();
        let scrubbing = models.store.scrub(&model, Version::FIRST).unwrap();
        let directory = models.root().join("m/1");
        (models, directory, scrubbing)
    }

    /// Runs all steps. Returns the number of bytes that each step read, and the result of the last
    /// step.
    fn steps(mut scrubbing: VersionScrub, most: u64) -> (Vec<u64>, ScrubStep) {
        let mut read = Vec::new();
        loop {
            match scrubbing.step(most) {
                ScrubStep::InProgress(more, count) => {
                    read.push(count);
                    scrubbing = more;
                }
                end => return (read, end),
            }
            assert!(read.len() < 1000, "it does not end");
        }
    }

    #[test]
    fn scrub_reads_everything_in_small_steps() {
        let (_models, _, scrubbing) = scrubbing(&[("a", 25), ("b", 0), ("c", 10)]);
        let (read, end) = steps(scrubbing, 10);
        assert!(matches!(end, ScrubStep::Clean), "{end:?}");
        assert_eq!(read.iter().sum::<u64>(), 35);
        assert!(read.iter().all(|count| *count <= 10), "{read:?}");
    }

    #[test]
    fn scrub_reports_each_kind_of_damage() {
        let report_of = |spoil: &dyn Fn(&std::path::Path)| {
            let (_models, directory, scrubbing) = scrubbing(&[("a", 25)]);
            spoil(&directory.join("a"));
            match steps(scrubbing, 10).1 {
                ScrubStep::Corrupt(manifest, error) => {
                    assert_eq!(manifest.version(), Version::FIRST);
                    error.to_string()
                }
                other => panic!("{other:?}"),
            }
        };
        let rotten = report_of(&|path| fs::write(path, [8; 25]).unwrap());
        assert!(rotten.contains("SHA-256"), "{rotten}");
        let longer = report_of(&|path| fs::write(path, [7; 26]).unwrap());
        assert!(longer.contains("expected 25 bytes, found 26"), "{longer}");
        let gone = report_of(&|path| fs::remove_file(path).unwrap());
        assert!(gone.contains("a: "), "{gone}");
        let directory = report_of(&|path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        });
        assert!(directory.contains("found a directory"), "{directory}");
    }

    #[test]
    fn scrub_of_a_truncated_file_reports_a_change() {
        let (_models, directory, scrubbing) = scrubbing(&[("a", 25)]);
        let ScrubStep::InProgress(scrubbing, 10) = scrubbing.step(10) else {
            panic!("ten bytes");
        };
        File::options()
            .write(true)
            .open(directory.join("a"))
            .unwrap()
            .set_len(10)
            .unwrap();
        let (read, end) = steps(scrubbing, 10);
        assert_eq!(read, Vec::<u64>::new());
        assert!(
            matches!(
                end,
                ScrubStep::Corrupt(
                    _,
                    VerifyError::Changed {
                        expected: 25,
                        grew: false,
                        ..
                    }
                )
            ),
            "{end:?}"
        );
    }
}
