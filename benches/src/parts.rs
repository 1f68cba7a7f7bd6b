//! What one case costs, by parts: each part's system calls, made here as the harness makes them, many times over.
//!
//! These are models of the parts and not the parts themselves, so that the harness needs no clock of its own. What they leave unexplained is told as such.

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

/// How often a part is repeated for one measurement.
const REPETITIONS: u32 = 100;

/// How many measurements are made of a part.
const MEASUREMENTS: usize = 11;

/// One part of a case, and what it takes in seconds.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// The calls that stand for it.
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
        "4 mkdir, write and read the order, remove all",
        |folder, _| directory(folder),
    ),
    (
        "capture",
        "create, duplicate, read back, unlink",
        |folder, _| capture(folder),
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

/// Measures every part in `folder`; `record` is what the harness wrote of one case.
pub(crate) fn measure(folder: &Path, record: &[u8]) -> Result<Vec<Part>, Error> {
    PARTS
        .into_iter()
        .map(|(name, how, work)| {
            let seconds = time(|| work(folder, record))
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

fn directory(folder: &Path) -> io::Result<()> {
    let case = folder.join("case");
    fs::create_dir(&case)?;
    for inner in ["dir", "tmp", "undo"] {
        fs::create_dir(case.join(inner))?;
    }
    let order = case.join("spec.json");
    fs::write(&order, [b' '; 256])?;
    black_box(fs::read(&order)?);
    black_box(fs::read(&order)?); // the supervisor reads it, and the test
    fs::remove_dir_all(&case)
}

fn capture(folder: &Path) -> io::Result<()> {
    let path = folder.join("captured");
    let file = File::options().append(true).create_new(true).open(&path)?;
    drop(file.try_clone()?);
    drop(file);
    black_box(fs::read(&path)?);
    fs::remove_file(&path)
}

fn record(folder: &Path, record: &[u8]) -> io::Result<()> {
    let record: clarity_chaos::Record = serde_json::from_slice(record)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(&record)?)?;
    file.persist(folder.join("record.json"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_and_capture_leave_nothing_and_can_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            directory(folder.path()).unwrap();
            capture(folder.path()).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_a_record_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(record(folder.path(), b"{}").is_err());
    }
}
