//! Finds the files of one directory by the paths and descriptors of system calls.

use crate::os::seccomp::tracee::{Tracee, without_deleted_mark};
use crate::syscalls::file_call::split;
use crate::syscalls::file_status::{FileStatus, Identity};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Component, Path, PathBuf};

/// The maximum number of symlinks that the kernel follows (path_resolution(7)).
const MAX_SYMLINKS: usize = 40;

/// The name that a call on a file without a name shows. The kernel's own name for the file contains
/// a number, which is another one in each run.
const UNNAMED: &str = "(a file without a name)";

/// The files of one directory.
#[derive(Debug)]
pub(crate) struct FilePaths<'a> {
    directory: &'a Path,
}

impl<'a> FilePaths<'a> {
    /// `directory` is an absolute path without symlinks.
    pub(crate) fn new(directory: &'a Path) -> Self {
        Self { directory }
    }

    /// Makes an absolute path relative to the directory. Gives none for a path outside of it. The
    /// result has no symlinks, except for one at its end.
    pub(crate) fn below(&self, path: &Path) -> Option<PathBuf> {
        let real = match split(path) {
            Some((parent, name)) if parent == self.directory => return Some(name.into()),
            Some((parent, name)) => parent.canonicalize().map(|parent| parent.join(name)),
            None => path.canonicalize(),
        };
        // The call fails if its directory does not exist. The path only names the call then.
        let real = real.unwrap_or_else(|_| without_dots(path));
        real.strip_prefix(self.directory).ok().map(Path::to_owned)
    }

    /// Does the same as [`below`](Self::below), but follows symlinks at the end of the path.
    pub(crate) fn followed(&self, path: PathBuf) -> Option<PathBuf> {
        let mut followed = path;
        for _ in 0..MAX_SYMLINKS {
            let Ok(target) = fs::read_link(&followed) else {
                return self.below(&followed);
            };
            followed.pop();
            followed.push(target);
        }
        // The kernel refuses the call.
        None
    }

    /// Gives the path of an open file, relative to the directory, or that of its last name if it
    /// has none any more. Gives none for files outside of the directory.
    pub(crate) fn of_descriptor(
        &self,
        tracee: &Tracee,
        descriptor: i32,
    ) -> io::Result<Option<PathBuf>> {
        self.of_link(&tracee.link(descriptor)?, || {
            fs::metadata(tracee.proc(descriptor))
        })
    }

    /// Does the same as [`of_descriptor`](Self::of_descriptor) for an open file of this process.
    pub(crate) fn of_file(&self, file: &File) -> io::Result<Option<PathBuf>> {
        let link = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        self.of_link(&link, || file.metadata())
    }

    /// `path` is the path of an open file, as `/proc` shows it.
    fn of_link(
        &self,
        path: &Path,
        metadata: impl FnOnce() -> io::Result<Metadata>,
    ) -> io::Result<Option<PathBuf>> {
        let Ok(relative) = path.strip_prefix(self.directory) else {
            return Ok(None);
        };
        let Some(named) = without_deleted_mark(relative) else {
            return Ok(Some(relative.to_owned()));
        };
        let identity = Identity::of(&metadata()?);
        if FileStatus::at(path).is_some_and(|found| found.identity == identity) {
            return Ok(Some(relative.to_owned()));
        }
        let number = format!("#{}", identity.inode());
        match named.file_name() {
            Some(name) if *name == *number => Ok(Some(named.with_file_name(UNNAMED))),
            _ => Ok(Some(named)),
        }
    }

    /// Whether both paths can be on the same file system.
    pub(crate) fn are_on_one_device(from: &Path, to: &Path) -> bool {
        let device = |path: &Path| {
            let parent = fs::metadata(path.parent()?).ok()?;
            Some(Identity::of(&parent).device())
        };
        device(from) == device(to)
    }
}

/// Removes `.` and `..` from a path, without following symlinks.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_lead_where_the_kernel_goes() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let directory = root.join("dir");
        fs::create_dir_all(directory.join("a/b")).unwrap();
        symlink("a/b", directory.join("link")).unwrap();
        symlink("dir/a", root.join("outside")).unwrap();
        symlink("loop", directory.join("loop")).unwrap();
        fs::write(directory.join("a/file"), "").unwrap();
        symlink("../file", directory.join("a/b/to_file")).unwrap();
        let paths = FilePaths::new(&directory);
        let below = |path: &str| paths.below(&root.join(path));
        assert_eq!(below("dir"), Some("".into()));
        assert_eq!(below("dir/new"), Some("new".into()));
        assert_eq!(below("dir/link/../file"), Some("a/file".into()));
        assert_eq!(below("dir/link/.."), Some("a".into()));
        assert_eq!(below("outside/file"), Some("a/file".into()));
        assert_eq!(below("dir/none/../file"), Some("file".into()));
        assert_eq!(below("dir/../other"), None);
        let followed = |path: &str| paths.followed(root.join(path));
        assert_eq!(followed("dir/link/to_file"), Some("a/file".into()));
        assert_eq!(followed("dir/a/file"), Some("a/file".into()));
        assert_eq!(followed("dir/loop"), None);
    }
}
