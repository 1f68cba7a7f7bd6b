//! Marks a file whose last write has failed, even if the disk is full.
//!
//! The mark is the file's modification time: the error's number, in seconds after 1970. To set this
//! time, the file system needs no space. A later successful write sets the time anew, and so
//! removes the mark.

use std::fs::{File, FileTimes};
use std::io;
use std::time::{Duration, SystemTime};

/// Error numbers are smaller. No file of a run was modified in the first hour of 1970.
const NUMBERS: u64 = 3600;

/// Marks the file: a write to it has failed with `error`. Does nothing for an error without a
/// number, or if the file system refuses the mark.
pub(crate) fn mark(file: &File, error: &io::Error) {
    let number = error
        .raw_os_error()
        .and_then(|number| u64::try_from(number).ok());
    if let Some(number) = number.filter(|number| (1..NUMBERS).contains(number)) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(number);
        let _ = file.set_times(FileTimes::new().set_modified(time));
    }
}

/// Reads the mark of a file. Returns `None` if the file has no mark.
pub(crate) fn read(file: &File) -> Option<io::Error> {
    let time = file.metadata().ok()?.modified().ok()?;
    let age = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let number = i32::try_from(age.as_secs()).ok()?;
    let is_mark = age.subsec_nanos() == 0 && (1..NUMBERS).contains(&age.as_secs());
    is_mark.then(|| io::Error::from_raw_os_error(number))
}

/// Removes the mark of a file.
pub(crate) fn clear(file: &File) -> io::Result<()> {
    file.set_times(FileTimes::new().set_modified(SystemTime::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn mark_is_read_back_until_it_is_cleared_or_a_write_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = File::create(dir.path().join("file")).unwrap();
        assert!(read(&file).is_none());
        let error = io::Error::from_raw_os_error(28);
        mark(&file, &error);
        assert_eq!(read(&file).unwrap().raw_os_error(), Some(28));
        clear(&file).unwrap();
        assert!(read(&file).is_none());
        mark(&file, &error);
        file.write_all(b"x").unwrap();
        assert!(read(&file).is_none());
        mark(&file, &io::Error::other("no number"));
        assert!(read(&file).is_none());
    }
}
