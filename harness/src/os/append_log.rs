//! The file to which all test cases of a slot append their output, one after the other.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::PathBuf;

/// If the output file has at least this size, in bytes, it is emptied before the next segment.
const TRUNCATED_FROM: u64 = 64 << 20;

/// Reads the file to which test cases append their output. A segment is the output of one case.
#[derive(Debug)]
pub(crate) struct AppendLog {
    path: PathBuf,
    file: File,
    segment_start: u64,
}

impl AppendLog {
    /// Opens the existing file at this path.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: File::open(&path)?,
            path,
            segment_start: 0,
        })
    }

    /// Begins the next segment. No process may write to the file during the call.
    pub(crate) fn begin_segment(&mut self) -> io::Result<()> {
        self.segment_start = self.file.metadata()?.len();
        if self.segment_start >= TRUNCATED_FROM {
            // Descriptors that are open for appending continue at the new end.
            File::options().write(true).open(&self.path)?.set_len(0)?;
            self.segment_start = 0;
        }
        Ok(())
    }

    /// Gives the length of the segment so far, in bytes.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self
            .file
            .metadata()?
            .len()
            .saturating_sub(self.segment_start))
    }

    /// Gives the file, positioned at the start of the segment.
    pub(crate) fn segment(&mut self) -> io::Result<&mut File> {
        self.file.seek(SeekFrom::Start(self.segment_start))?;
        Ok(&mut self.file)
    }

    /// Opens the file once more, at the start of the segment, for a concurrent reader.
    pub(crate) fn open_segment(&self) -> io::Result<File> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.segment_start))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn segment_starts_at_the_end_of_the_last_or_in_an_emptied_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let mut writer = File::options()
            .append(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        let mut log = AppendLog::open(path.clone()).unwrap();
        let read = |log: &mut AppendLog| {
            let mut text = String::new();
            log.segment().unwrap().read_to_string(&mut text).unwrap();
            text
        };
        for text in ["one", "", "three"] {
            log.begin_segment().unwrap();
            writer.write_all(text.as_bytes()).unwrap();
            assert_eq!(log.len().unwrap(), text.len() as u64);
            assert_eq!(read(&mut log), text);
            let mut other = String::new();
            let mut file = log.open_segment().unwrap();
            file.read_to_string(&mut other).unwrap();
            assert_eq!(other, text);
        }
        writer.set_len(TRUNCATED_FROM).unwrap();
        log.begin_segment().unwrap();
        writer.write_all(b"first").unwrap();
        assert_eq!(read(&mut log), "first");
        assert_eq!(path.metadata().unwrap().len(), 5);
    }
}
