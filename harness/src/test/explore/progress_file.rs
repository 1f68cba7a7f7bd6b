//! A file that says how far an exploration is, for the case that the test's process is killed.

use crate::os::open_file_id::OpenFileId;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The maximum length of the text, in bytes.
const MAX_LENGTH: usize = 512;

/// The progress file. It is blank when no exploration runs.
///
/// Errors are ignored: the progress is only a hint for the reader of a report.
#[derive(Debug)]
pub(super) struct ProgressFile {
    /// The file with its identity. Code under test may close the descriptor and reuse its number.
    file: Option<(File, OpenFileId)>,
    text: [u8; MAX_LENGTH],
}

impl ProgressFile {
    /// Opens the file of an earlier exploration, or creates the file.
    pub(super) fn open(path: &Path) -> Self {
        let mut options = File::options();
        options.write(true);
        // The test can have put a symlink or a FIFO there.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened = options.custom_flags(flags).open(path).ok();
        let file = opened.filter(|file| file.metadata().is_ok_and(|found| found.is_file()));
        let file = file.or_else(|| {
            let _ = fs::remove_file(path);
            options.create_new(true).open(path).ok()
        });
        Self {
            file: file.and_then(|file| {
                let id = OpenFileId::of(&file).ok()?;
                Some((file, id))
            }),
            text: [b' '; MAX_LENGTH],
        }
    }

    /// Replaces the text. Cuts it to [`MAX_LENGTH`] bytes.
    pub(super) fn write(&mut self, text: &str) {
        let mut cut = text.len().min(MAX_LENGTH);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        // The file always has the same length, so one write replaces all of it.
        self.text.fill(b' ');
        self.text[..cut].copy_from_slice(&text.as_bytes()[..cut]);
        if let Some((file, id)) = &self.file
            && OpenFileId::of(file).ok() == Some(*id)
        {
            let _ = file.write_all_at(&self.text, 0);
        }
    }
}

impl Drop for ProgressFile {
    fn drop(&mut self) {
        // To remove the file and create it anew costs as much as several checks.
        self.write("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_not_written_into_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = ProgressFile::open(&dir.path().join("exploring"));
        let other = File::create_new(dir.path().join("other")).unwrap();
        let (_, id) = file.file.take().unwrap();
        file.file = Some((other, id));
        file.write("text");
        assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"");
    }

    #[test]
    fn text_is_replaced_and_cut_at_a_character() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exploring");
        let mut file = ProgressFile::open(&path);
        let read = || fs::read_to_string(&path).unwrap().trim_end().to_owned();
        file.write("a long text");
        file.write("short");
        assert_eq!(read(), "short");
        file.write(&"ä".repeat(MAX_LENGTH));
        assert_eq!(read(), "ä".repeat(MAX_LENGTH / 2));
        drop(file);
        assert_eq!(read(), "");
        let mut file = ProgressFile::open(&path);
        file.write("again");
        assert_eq!(read(), "again");
    }
}
