//! A file that the cases of a slot append to, one after the other.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::PathBuf;

/// How large it may become before it begins anew, in bytes.
const LARGE: u64 = 64 << 20;

/// The reading end, which knows where the part of the current case begins.
#[derive(Debug)]
pub(crate) struct Appended {
    path: PathBuf,
    file: File,
    from: u64,
}

impl Appended {
    /// Opens the file that was made at this path.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: File::open(&path)?,
            path,
            from: 0,
        })
    }

    /// Begins the part of the next case. Nobody may be writing.
    pub(crate) fn begin_part(&mut self) -> io::Result<()> {
        self.from = self.file.metadata()?.len();
        if self.from >= LARGE {
            // Whoever has it open to append to it goes on at its new end.
            File::options().write(true).open(&self.path)?.set_len(0)?;
            self.from = 0;
        }
        Ok(())
    }

    /// How long the part has become, in bytes.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.from))
    }

    /// The file, at the beginning of the part.
    pub(crate) fn part(&mut self) -> io::Result<&mut File> {
        self.file.seek(SeekFrom::Start(self.from))?;
        Ok(&mut self.file)
    }

    /// The same, for somebody who reads at the same time.
    pub(crate) fn open_part(&self) -> io::Result<File> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn each_part_begins_where_the_last_one_ended_and_a_large_file_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let mut writer = File::options()
            .append(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        let mut appended = Appended::open(path.clone()).unwrap();
        let read = |appended: &mut Appended| {
            let mut text = String::new();
            appended.part().unwrap().read_to_string(&mut text).unwrap();
            text
        };
        for text in ["one", "", "three"] {
            appended.begin_part().unwrap();
            writer.write_all(text.as_bytes()).unwrap();
            assert_eq!(appended.len().unwrap(), text.len() as u64);
            assert_eq!(read(&mut appended), text);
            let mut other = String::new();
            let mut file = appended.open_part().unwrap();
            file.read_to_string(&mut other).unwrap();
            assert_eq!(other, text);
        }
        writer.set_len(LARGE).unwrap();
        appended.begin_part().unwrap();
        writer.write_all(b"anew").unwrap();
        assert_eq!(read(&mut appended), "anew");
        assert_eq!(path.metadata().unwrap().len(), 4);
    }
}
