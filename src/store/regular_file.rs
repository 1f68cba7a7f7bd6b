//! Opens files that the caller names by path.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::path::Path;

use super::VerifyError;

/// Opens a file for reading. Follows symlinks, and never blocks on a pipe.
#[cfg(unix)]
pub(super) fn open_following(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
pub(super) fn open_following(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// The type of an entry, in words.
pub(super) fn describe(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symlink"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_file() {
        "a regular file"
    } else {
        "a pipe, socket or device"
    }
}

pub(super) fn io_error(file: &str, source: io::Error) -> VerifyError {
    VerifyError::Io {
        file: file.to_owned(),
        source,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn open_following_follows_and_never_blocks_on_pipes() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, link, file) = (
            dir.path().join("pipe"),
            dir.path().join("link"),
            dir.path().join("file"),
        );
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(!open_following(&pipe).unwrap().metadata().unwrap().is_file());
        assert_eq!(open_following(&link).unwrap().metadata().unwrap().len(), 4);
        assert_eq!(
            describe(file.metadata().unwrap().file_type()),
            "a regular file"
        );
    }
}
