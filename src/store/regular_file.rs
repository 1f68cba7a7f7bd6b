//! Opens untrusted files. Follows symlinks only on request, and never blocks on a pipe.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::path::Path;

use super::VerifyError;

/// Why a file was not opened.
pub(super) enum OpenError {
    NotFound,
    Refused(VerifyError),
}

/// Opens a regular file for reading; returns the file and its length in bytes.
///
/// Does not follow a symlink in the last component of `path`, and never blocks on a pipe.
pub(super) fn open_regular(path: &Path, name: &str) -> Result<(File, u64), OpenError> {
    let refused = |error| OpenError::Refused(io_error(name, error));
    let not_regular = |kind| {
        OpenError::Refused(VerifyError::NotRegular {
            file: name.to_owned(),
            found: describe(kind),
        })
    };
    let file = match open_without_following(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::NotFound),
        // Opening a symlink or a socket fails. The returned error then states the type of the
        // entry.
        Err(error) => match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => return Err(not_regular(found.file_type())),
            _ => return Err(refused(error)),
        },
    };
    let found = file.metadata().map_err(refused)?;
    if !found.is_file() {
        return Err(not_regular(found.file_type()));
    }
    Ok((file, found.len()))
}

/// Opens a regular file for reading; refuses all other types, such as symlinks and pipes.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let file = open_without_following(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

#[cfg(unix)]
fn open_without_following(path: &Path) -> io::Result<File> {
    open_with(path, rustix::fs::OFlags::NOFOLLOW)
}

/// Opens a file for reading. Follows symlinks, and never blocks on a pipe.
#[cfg(unix)]
pub(super) fn open_following(path: &Path) -> io::Result<File> {
    open_with(path, rustix::fs::OFlags::empty())
}

#[cfg(unix)]
fn open_with(path: &Path, flags: rustix::fs::OFlags) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open_without_following(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("a symlink"));
    }
    OpenOptions::new().read(true).open(path)
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
    use super::*;

    #[test]
    fn open_never_blocks_on_pipes_nor_follows_symlinks() {
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
        assert!(open_plain(&pipe).is_err());
        assert!(open_plain(&link).is_err());
        assert!(open_plain(&file).is_ok());
        assert_eq!(open_following(&link).unwrap().metadata().unwrap().len(), 4);
        let found = |path: &Path| match open_regular(path, "name") {
            Err(OpenError::Refused(VerifyError::NotRegular { file, found })) => {
                assert_eq!(file, "name");
                found
            }
            Err(OpenError::NotFound) => "nothing",
            _ => "something else",
        };
        assert_eq!(found(&pipe), "a pipe, socket or device");
        assert_eq!(found(&link), "a symlink");
        assert_eq!(found(dir.path()), "a directory");
        assert_eq!(found(&dir.path().join("none")), "nothing");
        assert_eq!(
            describe(file.metadata().unwrap().file_type()),
            "a regular file"
        );
    }
}
