//! Bounds the size of a test's output on disk while the test prints.

use crate::os::file_hole::BLOCK;
use crate::runner::captured_output::{HEAD, TAIL};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The least number of bytes that are freed at once.
const STEP: u64 = 1 << 20;

/// The state of one test's output file, of which only both ends are kept.
#[derive(Debug)]
pub(crate) struct OutputBound {
    /// The end of the freed range. The range starts at `HEAD`.
    freed: u64,
    /// The number of bytes that a concurrent reader has copied; `u64::MAX` without a reader.
    copied: Arc<AtomicU64>,
    error: Option<io::Error>,
}

impl Default for OutputBound {
    fn default() -> Self {
        Self {
            freed: HEAD,
            copied: Arc::new(AtomicU64::new(u64::MAX)),
            error: None,
        }
    }
}

impl OutputBound {
    /// Announces a concurrent reader, from which no byte may be taken. The reader stores the number
    /// of bytes that it has copied.
    pub(crate) fn add_reader(&self) -> Arc<AtomicU64> {
        self.copied.store(0, Ordering::SeqCst);
        Arc::clone(&self.copied)
    }

    /// Frees the middle of `file` with `punch`. Later calls do nothing if `punch` fails.
    pub(crate) fn apply(
        &mut self,
        file: &File,
        punch: impl Fn(&File, u64, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.error.is_some() {
            return Ok(());
        }
        let length = file.metadata()?.len();
        // The test may have shortened the file.
        self.freed = self.freed.min(length).max(HEAD);
        let copied = self.copied.load(Ordering::SeqCst);
        let until = length.saturating_sub(TAIL).min(copied) / BLOCK * BLOCK;
        if until >= self.freed + STEP {
            match punch(file, self.freed, until - self.freed) {
                Ok(()) => self.freed = until,
                Err(error) => self.error = Some(error),
            }
        }
        Ok(())
    }

    /// Tells why the output was not bounded; `None` if it was.
    pub(crate) fn failure(&self) -> Option<String> {
        self.error.as_ref().map(|error| {
            format!(
                "the output was not bounded on disk while the test ran: its file system frees no \
                 blocks inside a file ({error})"
            )
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::os::file_hole::punch;
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    fn file_of(mebibytes: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        for _ in 0..mebibytes {
            file.write_all(&[b'x'; 1 << 20]).unwrap();
        }
        file
    }

    #[test]
    fn apply_frees_the_middle_and_keeps_both_ends() {
        use std::os::unix::fs::FileExt as _;
        let file = file_of(64);
        let mut bound = OutputBound::default();
        bound.apply(&file, punch).unwrap();
        if bound.failure().is_some() {
            return eprintln!("skipped: the file system cannot free blocks inside a file");
        }
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), 64 << 20);
        assert!(metadata.blocks() * 512 <= 5 << 20, "{}", metadata.blocks());
        for at in [0, HEAD - 1, (64 << 20) - TAIL, (64 << 20) - 1] {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            assert_eq!(byte, *b"x", "{at}");
        }
    }

    #[test]
    fn apply_takes_nothing_from_a_reader() {
        let file = file_of(16);
        let mut bound = OutputBound::default();
        let copied = bound.add_reader();
        let refused = |_: &File, from: u64, length: u64| -> io::Result<()> {
            panic!("{length} bytes at {from} were not copied yet")
        };
        bound.apply(&file, refused).unwrap();
        copied.store(5 << 20, Ordering::SeqCst);
        let expected = |_: &File, from: u64, length: u64| {
            assert_eq!((from, length), (HEAD, 4 << 20));
            Ok(())
        };
        bound.apply(&file, expected).unwrap();
    }

    #[test]
    fn apply_says_why_a_file_system_cannot_free_blocks() {
        let file = file_of(16);
        let mut bound = OutputBound::default();
        assert_eq!(bound.failure(), None);
        let unsupported = |_: &File, _: u64, _: u64| Err(io::ErrorKind::Unsupported.into());
        bound.apply(&file, unsupported).unwrap();
        assert!(bound.failure().unwrap().contains("not bounded on disk"));
        let again = |_: &File, _: u64, _: u64| panic!("it was tried again");
        bound.apply(&file, again).unwrap();
    }
}
