//! A file to which a worker's test processes append their output or their timeline.

use crate::os::write_failure;
use std::fs::File;
use std::io::{self, Seek as _};
use std::path::PathBuf;

/// The runner's side of a log file. The file is emptied before each case.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens the existing file at this path.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// Empties the file. A process that has the file open for appending then writes at the start of
    /// the file.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        if self.failed_write().is_some() {
            write_failure::clear(&self.file)?;
        }
        match self.len()? {
            0 => Ok(()),
            _ => self.file.set_len(0),
        }
    }

    /// Gives the error with which a writer's last write to this file failed.
    pub(crate) fn failed_write(&self) -> Option<io::Error> {
        write_failure::read(&self.file)
    }

    /// Gives the length of the content so far, in bytes.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Gives the file, positioned at the start.
    pub(crate) fn rewound(&mut self) -> io::Result<&mut File> {
        self.file.rewind()?;
        Ok(&mut self.file)
    }

    /// Gives the file, at any position.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Opens the file once more, for a concurrent reader.
    pub(crate) fn reopen(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn content_after_clear_is_that_of_the_same_writer_since() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let create = File::options().append(true).create_new(true).open(&path);
        let mut writer = create.unwrap();
        let mut log = LogFile::open(path).unwrap();
        for text in ["one", "", "three"] {
            log.clear().unwrap();
            writer.write_all(text.as_bytes()).unwrap();
            assert_eq!(log.len().unwrap(), text.len() as u64);
            let mut reopened = log.reopen().unwrap();
            for file in [&mut reopened, log.rewound().unwrap()] {
                let mut content = String::new();
                file.read_to_string(&mut content).unwrap();
                assert_eq!(content, text);
            }
        }
    }
}
