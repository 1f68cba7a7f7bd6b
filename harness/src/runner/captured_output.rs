//! Reads the captured output of a test with a bounded amount of memory.

use clarity_chaos_record::CapturedOutput;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The number of bytes that are kept from the start of a long output.
const HEAD: u64 = 1 << 20;
/// The number of bytes that are kept from the end of a long output.
const TAIL: u64 = 3 << 20;

/// Reads the output of a test: `total` bytes from the current position of `file`. Keeps only the
/// first 1 MiB and the last 3 MiB of an output over 4 MiB.
pub(crate) fn read(file: &mut File, total: u64) -> io::Result<CapturedOutput> {
    let from = file.stream_position()?;
    let mut bytes = Vec::new();
    let omitted = total.saturating_sub(HEAD + TAIL);
    if omitted == 0 {
        file.read_to_end(&mut bytes)?;
    } else {
        file.take(HEAD).read_to_end(&mut bytes)?;
        bytes.extend_from_slice(format!("\n[… {omitted} of {total} bytes omitted …]\n").as_bytes());
        file.seek(SeekFrom::Start(from + total - TAIL))?;
        file.take(TAIL).read_to_end(&mut bytes)?;
    }
    let mut output = CapturedOutput::default();
    output.text = String::from_utf8_lossy(&bytes).into_owned();
    output.total_bytes = total;
    output.omitted_bytes = omitted;
    Ok(output)
}

/// The interval at which `copy_while` copies new output.
const INTERVAL: Duration = Duration::from_millis(20);

/// Runs `work`. Meanwhile copies new output from `file` to standard output, or to standard error if
/// `to_stderr` is true.
pub(crate) fn copy_while<T>(mut file: File, to_stderr: bool, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, wait) = mpsc::channel::<()>();
        scope.spawn(move || {
            loop {
                let last = wait.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
                let mut bytes = Vec::new();
                // Errors are ignored: a closed terminal must not fail the test.
                let _ = file.read_to_end(&mut bytes);
                let _ = if to_stderr {
                    io::stderr().write_all(&bytes)
                } else {
                    io::stdout().write_all(&bytes)
                };
                if last {
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
