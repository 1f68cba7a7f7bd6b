//! Builds a recording in memory.

use super::manifest::{LeftOut, MANIFEST, Manifest};
use super::member_path::{check, stays_inside};
use super::recording_limits::RecordingLimits;
use super::trailer;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// A recording in progress. Each member is added as a whole, or not at all.
pub(super) struct RecordingWriter {
    builder: Builder<BoundedBuffer>,
    limits: RecordingLimits,
    members: usize,
    apparent_bytes: u64,
    left_out: Vec<LeftOut>,
}

impl RecordingWriter {
    pub(super) fn new(limits: RecordingLimits) -> Self {
        let buffer = BoundedBuffer {
            bytes: Vec::new(),
            limit: limits
                .file_bytes
                .saturating_sub(limits.manifest_bytes + MANIFEST_OVERHEAD),
        };
        Self {
            builder: Builder::new(buffer),
            limits,
            members: 0,
            apparent_bytes: 0,
            left_out: Vec::new(),
        }
    }

    /// Adds a file with this content. Returns `false` if there is no room.
    pub(super) fn add_bytes(&mut self, member: &str, content: &[u8]) -> io::Result<bool> {
        let added = self.attempt(|writer| writer.append_bytes(member, content));
        match added {
            Ok(()) => Ok(true),
            Err(AddError::Full(_)) => Ok(false),
            Err(AddError::Failed(error)) => Err(error),
        }
    }

    /// Adds the kept directory `from` as `member`. Names each file that cannot be added in the
    /// manifest.
    ///
    /// # Errors
    ///
    /// When the whole directory is left out. The error is the reason.
    pub(super) fn add_directory(&mut self, from: &Path, member: &str) -> Result<(), String> {
        self.attempt(|writer| writer.append_directory(from, member))
            .map_err(|error| match error {
                AddError::Full(reason) => reason,
                AddError::Failed(error) => error.to_string(),
            })
    }

    /// Names a file or directory that the recording does not hold.
    pub(super) fn leave_out(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        let (path, reason) = (path.into(), reason.into());
        self.left_out.push(LeftOut { path, reason });
    }

    /// Adds the manifest and the digest. Returns the recording and its omissions.
    ///
    /// # Errors
    ///
    /// When the manifest is larger than its bound.
    pub(super) fn finish(mut self, mut manifest: Manifest) -> io::Result<(Vec<u8>, Vec<LeftOut>)> {
        manifest.left_out = std::mem::take(&mut self.left_out);
        let content = serde_json::to_vec(&manifest)?;
        if content.len() > self.limits.manifest_bytes {
            return Err(io::Error::other(format!(
                "its list of tests and omissions has {} bytes, and the limit is {}",
                content.len(),
                self.limits.manifest_bytes
            )));
        }
        self.builder.get_mut().limit = usize::MAX;
        self.append_bytes(MANIFEST, &content)
            .map_err(|error| match error {
                AddError::Full(reason) => io::Error::other(reason),
                AddError::Failed(error) => error,
            })?;
        let mut bytes = std::mem::take(&mut self.builder.get_mut().bytes);
        let trailer = trailer::of(&bytes)?;
        bytes.extend(trailer);
        Ok((bytes, manifest.left_out))
    }

    /// Calls `add`. After an error, removes all that it has added.
    fn attempt(
        &mut self,
        add: impl FnOnce(&mut Self) -> Result<(), AddError>,
    ) -> Result<(), AddError> {
        let (members, apparent_bytes) = (self.members, self.apparent_bytes);
        let (length, left_out) = (self.builder.get_ref().bytes.len(), self.left_out.len());
        let added = add(self);
        if added.is_err() {
            (self.members, self.apparent_bytes) = (members, apparent_bytes);
            self.builder.get_mut().bytes.truncate(length);
            self.left_out.truncate(left_out);
        }
        added
    }

    fn append_bytes(&mut self, member: &str, content: &[u8]) -> Result<(), AddError> {
        self.count_member()?;
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        Ok(self.builder.append_data(&mut header, member, content)?)
    }

    fn append_directory(&mut self, from: &Path, member: &str) -> Result<(), AddError> {
        let found = fs::symlink_metadata(from)?;
        if !found.is_dir() {
            return Err(AddError::Failed(io::Error::other("it is not a directory")));
        }
        let allowed = self.left_out.len() + self.limits.left_out;
        let mut directories = vec![(from.to_owned(), PathBuf::from(member), found)];
        while let Some((path, member, found)) = directories.pop() {
            let mut header = Header::new_gnu();
            header.set_metadata(&found);
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            self.count_member()?;
            self.builder
                .append_data(&mut header, &member, io::empty())?;
            let names = match sorted_names(&path) {
                Ok(names) => names,
                Err(error) => {
                    self.leave_out(format!("{}/*", path.display()), error.to_string());
                    continue;
                }
            };
            for name in names {
                let (path, member) = (path.join(&name), member.join(&name));
                match self.append_entry(&path, &member) {
                    Ok(Some(found)) => directories.push((path, member, found)),
                    Ok(None) => {}
                    Err(AddError::Full(reason)) => return Err(AddError::Full(reason)),
                    Err(AddError::Failed(error)) => {
                        self.leave_out(path.display().to_string(), error.to_string());
                    }
                }
                if self.left_out.len() > allowed {
                    return Err(AddError::Full(format!(
                        "more than {} of its files cannot be recorded",
                        self.limits.left_out
                    )));
                }
            }
        }
        Ok(())
    }

    /// Adds a file or a symlink. Returns the metadata of a directory, and adds nothing then.
    fn append_entry(&mut self, path: &Path, member: &Path) -> Result<Option<Metadata>, AddError> {
        check(&with_slashes(member)).map_err(io::Error::other)?;
        let found = fs::symlink_metadata(path)?;
        let kind = found.file_type();
        if kind.is_dir() {
            return Ok(Some(found));
        }
        self.attempt(|writer| {
            writer.count_member()?;
            if kind.is_symlink() {
                writer.append_symlink(path, member, &found)
            } else if kind.is_file() {
                writer.append_file(path, member)
            } else {
                let text = format!("it is {}", describe(kind));
                Err(AddError::Failed(io::Error::other(text)))
            }
        })?;
        Ok(None)
    }

    fn append_symlink(
        &mut self,
        path: &Path,
        member: &Path,
        found: &Metadata,
    ) -> Result<(), AddError> {
        let target = fs::read_link(path)?;
        if !stays_inside(&with_slashes(member), &with_slashes(&target)) {
            return Err(AddError::Failed(io::Error::other(format!(
                "it is a symlink to {}, which may lead out of the kept directory",
                target.display()
            ))));
        }
        let mut header = Header::new_gnu();
        header.set_metadata(found);
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        Ok(self.builder.append_link(&mut header, member, target)?)
    }

    /// Adds a file with its mode. The holes of a sparse file take no room.
    fn append_file(&mut self, path: &Path, member: &Path) -> Result<(), AddError> {
        let mut file = open(path)?;
        let before = file.metadata()?;
        if !before.is_file() {
            return Err(AddError::Failed(io::Error::other("it is no longer a file")));
        }
        self.apparent_bytes = self.apparent_bytes.saturating_add(before.len());
        if self.apparent_bytes > self.limits.apparent_bytes {
            return Err(AddError::Failed(io::Error::other(format!(
                "it is {} bytes long, and the files of a recording together at most {}",
                before.len(),
                self.limits.apparent_bytes
            ))));
        }
        self.builder.append_file(member, &mut file)?;
        // A member of another length than in its header would make all later members unreadable.
        if is_changed(&before, &file.metadata()?) {
            let text = "it changed while it was recorded";
            return Err(AddError::Failed(io::Error::other(text)));
        }
        Ok(())
    }

    fn count_member(&mut self) -> Result<(), AddError> {
        self.members += 1;
        // The manifest and the digest are members, too.
        match self.members + 2 <= self.limits.members {
            true => Ok(()),
            false => Err(AddError::Full(format!(
                "a recording holds at most {} files and directories",
                self.limits.members
            ))),
        }
    }
}

/// The room for the headers of the manifest and for the trailer, in bytes.
const MANIFEST_OVERHEAD: usize = 2 * 512 + trailer::LENGTH;

/// The reason why something was not added.
enum AddError {
    /// A bound of the recording. The text is for users.
    Full(String),
    Failed(io::Error),
}

impl From<io::Error> for AddError {
    fn from(error: io::Error) -> Self {
        let buffer = error.get_ref().and_then(|error| error.downcast_ref());
        match buffer {
            Some(FullBuffer { limit }) => Self::Full(format!(
                "the recording would be larger than {} MiB",
                limit >> 20
            )),
            None => Self::Failed(error),
        }
    }
}

/// A buffer that refuses to grow beyond its limit.
struct BoundedBuffer {
    bytes: Vec<u8>,
    limit: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the recording is full")]
struct FullBuffer {
    limit: usize,
}

impl Write for BoundedBuffer {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() > self.limit.saturating_sub(self.bytes.len()) {
            return Err(io::Error::other(FullBuffer { limit: self.limit }));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the path as in an archive, which separates names by slashes on each system.
fn with_slashes(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let slash = |byte: &u8| match *byte {
        b'\\' if cfg!(windows) => b'/',
        byte => byte,
    };
    bytes.map(slash).collect()
}

fn sorted_names(directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Opens a file. Follows no symlink, and does not wait for the other end of a FIFO.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn is_changed(before: &Metadata, after: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let state = |found: &Metadata| (found.len(), found.ctime(), found.ctime_nsec());
    state(before) != state(after)
}

#[cfg(not(unix))]
fn is_changed(before: &Metadata, after: &Metadata) -> bool {
    (before.len(), before.modified().ok()) != (after.len(), after.modified().ok())
}

#[cfg(unix)]
fn describe(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_socket() {
        "a socket"
    } else if kind.is_fifo() {
        "a FIFO"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn describe(_kind: FileType) -> &'static str {
    "neither a file nor a directory"
}
