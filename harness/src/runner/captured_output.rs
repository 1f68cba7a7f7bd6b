//! Reads the captured output of a test with a bounded amount of memory.

use crate::runner::reports::is_github_job;
use clarity_chaos_record::CapturedOutput;
use clarity_chaos_report::workflow_commands::CommandFilter;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The number of bytes that are kept from the start of a long output.
pub(crate) const HEAD: u64 = 1 << 20;
/// The number of bytes that are kept from the end of a long output.
pub(crate) const TAIL: u64 = 3 << 20;

/// Reads the output of a test: `total` bytes from the current position of `file`. Keeps only the
/// first 1 MiB and the last 3 MiB of an output over 4 MiB.
pub(crate) fn read(file: &mut File, total: u64) -> io::Result<CapturedOutput> {
    let mut output = CapturedOutput::default();
    output.text = String::from_utf8_lossy(&read_bytes(file, total)?).into_owned();
    output.total_bytes = total;
    output.omitted_bytes = omitted(total);
    Ok(output)
}

/// Returns the number of bytes that are cut out of an output of `total` bytes.
fn omitted(total: u64) -> u64 {
    total.saturating_sub(HEAD + TAIL)
}

/// Reads the kept bytes of an output, as [`read`] does.
pub(crate) fn read_bytes(file: &mut File, total: u64) -> io::Result<Vec<u8>> {
    let from = file.stream_position()?;
    let mut bytes = Vec::new();
    let omitted = omitted(total);
    if omitted == 0 {
        file.read_to_end(&mut bytes)?;
    } else {
        file.take(HEAD).read_to_end(&mut bytes)?;
        bytes.extend_from_slice(format!("\n[… {omitted} of {total} bytes omitted …]\n").as_bytes());
        file.seek(SeekFrom::Start(from + total - TAIL))?;
        file.take(TAIL).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The interval at which `copy_while` copies new output.
const INTERVAL: Duration = Duration::from_millis(20);
/// The largest number of bytes that `copy_while` copies at once.
const CHUNK: u64 = 1 << 16;

/// Runs `work`. Meanwhile copies new output from `file` to standard output, or to standard error if
/// `to_stderr` is true. Neutralises workflow commands in the output. In a job of GitHub Actions,
/// each line gets a visible prefix. Stores the number of copied bytes in `copied`.
pub(crate) fn copy_while<T>(
    file: File,
    copied: &AtomicU64,
    to_stderr: bool,
    work: impl FnOnce() -> T,
) -> T {
    thread::scope(|scope| {
        let (done, wait) = mpsc::channel::<()>();
        scope.spawn(move || {
            let mut filter = CommandFilter::new(is_github_job());
            // Errors are ignored: a closed terminal must not fail the test.
            let write = |bytes: &[u8]| {
                let _ = match to_stderr {
                    true => io::stderr().write_all(bytes),
                    false => io::stdout().write_all(bytes),
                };
            };
            loop {
                let last = wait.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
                loop {
                    let mut bytes = Vec::new();
                    let read = (&file).take(CHUNK).read_to_end(&mut bytes);
                    if bytes.is_empty() {
                        break;
                    }
                    write(&filter.filter(&bytes));
                    copied.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                    if read.is_err() {
                        break;
                    }
                }
                if last {
                    write(&filter.finish());
                    break;
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_long_output_keeps_both_ends_and_the_omitted_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let mut text = b"first\n".to_vec();
        text.resize(10 << 20, b'x');
        text.extend_from_slice(b"\nlast\n");
        std::fs::write(&path, &text).unwrap();
        let mut file = File::open(&path).unwrap();
        let all = read(&mut file, text.len() as u64).unwrap();
        file.seek(SeekFrom::Start(6)).unwrap();
        let part = read(&mut file, text.len() as u64 - 6).unwrap();
        assert!(part.text.starts_with("xxx") && part.text.ends_with("\nlast\n"));
        let output = all;
        assert_eq!(output.total_bytes, text.len() as u64);
        assert_eq!(output.omitted_bytes, text.len() as u64 - HEAD - TAIL);
        assert!(output.text.starts_with("first\n"));
        assert!(output.text.ends_with("\nlast\n"));
        assert!(output.text.contains("bytes omitted"));
    }
}
