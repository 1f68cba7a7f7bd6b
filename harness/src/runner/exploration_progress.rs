//! Reads the progress of an exploration whose process was killed.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// The maximum length of the text, in bytes.
const MAX_LENGTH: u64 = 512;

/// Reads the progress file of a case whose processes have ended. Returns `None` if no exploration
/// was running: then the file is missing or blank.
pub(crate) fn read(path: &Path) -> Option<String> {
    // The test could have replaced the file with a symlink or a FIFO.
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return None;
    }
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_LENGTH).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_gives_the_text_of_a_regular_file_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exploring");
        assert_eq!(read(&path), None);
        fs::write(&path, "after 3 of\n about 9 points   ").unwrap();
        assert_eq!(read(&path).unwrap(), "after 3 of about 9 points");
        fs::write(&path, "   ").unwrap();
        assert_eq!(read(&path), None);
        fs::create_dir(dir.path().join("directory")).unwrap();
        assert_eq!(read(&dir.path().join("directory")), None);
    }
}
