//! Measures the parts of the cost of one case. Each part is measured on a model: code that makes
//! the same system calls as the harness.
//!
//! The harness itself is not instrumented. The table ends with the rest of the cost, which no model
//! explains.

mod process;

pub(crate) use process::count as processes;

use crate::error::Error;
use clarity_benches::statistics::Spread;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::Instant;

/// The number of repetitions of a part in one measurement.
const REPETITIONS: u32 = 100;

/// The number of measurements of each part.
const MEASUREMENTS: usize = 11;

/// One part of a case's cost, and the part's time in seconds.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Describes the system calls with which the part is modelled.
    pub(crate) how: &'static str,
    pub(crate) seconds: Spread,
}

type Work = fn(&Path, &[u8]) -> io::Result<()>;

const PARTS: [(&str, &str, Work); 6] = [
    (
        "fork",
        "fork of this small process, pidfd, poll, wait",
        |_, _| process::fork_and_wait(),
    ),
    ("thread", "spawn and join", |_, _| one_thread()),
    (
        "directory",
        "4 mkdir, write and read the spec, remove all",
        |directory, _| case_directory(directory),
    ),
    (
        "capture",
        "create, duplicate, read back, unlink",
        |directory, _| capture(directory),
    ),
    (
        "record",
        "parse and print a record of a run, write, rename",
        record,
    ),
    (
        "sweep",
        "read the stat of every process in /proc",
        |_, _| process::scan(),
    ),
];

/// Measures every part with files in `directory`. `record` is the JSON of one case's record.
pub(crate) fn measure(directory: &Path, record: &[u8]) -> Result<Vec<Part>, Error> {
    PARTS
        .into_iter()
        .map(|(name, how, work)| {
            let seconds = time(|| work(directory, record))
                .map_err(|source| Error::Part { part: name, source })?;
            Ok(Part { name, how, seconds })
        })
        .collect()
}

fn time(work: impl Fn() -> io::Result<()>) -> io::Result<Spread> {
    let mut seconds = [0.0; MEASUREMENTS];
    for measurement in &mut seconds {
        let began = Instant::now();
        for _ in 0..REPETITIONS {
            work()?;
        }
        *measurement = began.elapsed().as_secs_f64() / f64::from(REPETITIONS);
    }
    Spread::of(seconds).ok_or_else(|| io::Error::other("nothing was measured"))
}

fn one_thread() -> io::Result<()> {
    let thread = thread::Builder::new().spawn(|| black_box(0))?;
    let joined = thread.join();
    joined.map_or_else(|_| Err(io::Error::other("the thread panicked")), |_| Ok(()))
}

fn case_directory(directory: &Path) -> io::Result<()> {
    let case = directory.join("case");
    fs::create_dir(&case)?;
    for inner in ["dir", "tmp", "undo"] {
        fs::create_dir(case.join(inner))?;
    }
    let spec = case.join("spec.json");
    fs::write(&spec, [b' '; 256])?;
    black_box(fs::read(&spec)?);
    black_box(fs::read(&spec)?); // the supervisor reads it, and the test
    fs::remove_dir_all(&case)
}

fn capture(directory: &Path) -> io::Result<()> {
    let path = directory.join("captured");
    let file = File::options().append(true).create_new(true).open(&path)?;
    drop(file.try_clone()?);
    drop(file);
    black_box(fs::read(&path)?);
    fs::remove_file(&path)
}

fn record(directory: &Path, record: &[u8]) -> io::Result<()> {
    let record: clarity_chaos::Record = serde_json::from_slice(record)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&serde_json::to_vec_pretty(&record)?)?;
    file.persist(directory.join("record.json"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_and_capture_leave_nothing_and_can_be_repeated() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            case_directory(directory.path()).unwrap();
            capture(directory.path()).unwrap();
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn invalid_record_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(record(directory.path(), b"{}").is_err());
    }
}
