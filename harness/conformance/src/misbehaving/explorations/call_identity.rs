//! Operations that take another way in each run.

use clarity_chaos::explore::{Errno, ExploreError, Explored, InjectedFailure, OperationCall};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::thread;
use tempfile::NamedTempFile;

/// Counts the runs of an operation.
// Each run is a fork of the test's process, so a counter in memory would not survive the run.
struct Runs(tempfile::TempDir);

impl Runs {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    /// Gives the number of earlier runs, and counts this one.
    fn begin(&self) -> Result<usize> {
        let number = fs::read_dir(&self.0)?.count();
        File::create(self.0.path().join(number.to_string()))?;
        Ok(number)
    }
}

const FILES: [(&str, &str); 3] = [("a", "first"), ("b", "text"), ("c", "the last")];

/// Writes the files in another order in each run. `write_b` writes one of them.
fn write_in_some_order(dir: &Path, runs: &Runs, write_b: fn(&Path, &str) -> Result) -> Result {
    let mut files = FILES;
    files.rotate_left(runs.begin()? % 3);
    for (name, text) in files {
        match name {
            "b" => write_b(&dir.join(name), text)?,
            _ => fs::write(dir.join(name), text)?,
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result {
    Ok(fs::write(path, text)?)
}

fn overlook_the_error(path: &Path, text: &str) -> Result {
    let _ = File::create(path)?.write_all(text.as_bytes());
    Ok(())
}

/// Requires all files if the operation returned success.
fn all_files_are_written(dir: &Path, acknowledged: bool) -> Result {
    for (name, text) in FILES {
        let found = fs::read_to_string(dir.join(name)).unwrap_or_default();
        if acknowledged && found != text {
            return Err(format!("{name} has {found:?}").into());
        }
    }
    Ok(())
}

/// Checks that the invariant broke at a call with this description, which is in `function`.
#[track_caller]
fn require_broken(explored: Result<Explored, ExploreError>, description: &str, function: &str) {
    let Err(ExploreError::Broken(broken)) = explored else {
        panic!("the wrong program is not broken: {explored:?}");
    };
    let call: &OperationCall = broken.call().expect("a call failed");
    assert!(call.description.starts_with(description), "{broken}");
    let mut places = call.location.iter().chain(&call.callers);
    assert!(
        places.any(|place| place.function.contains(function)),
        "{broken}"
    );
}

/// One thread writes files in an order that differs in each run, as the order of a map does.
#[chaos(non_destructive)]
fn files_are_written_in_the_order_of_a_map(cx: Context) -> Result {
    let runs = Runs::new()?;
    let explore = |write_b| {
        cx.fail_everywhere(
            [Errno::EIO, Errno::ENOSPC],
            |dir| write_in_some_order(dir, &runs, write_b),
            |dir, failure| all_files_are_written(dir, failure.acknowledged()),
        )
    };
    let explored = explore(write)?;
    // Each of the three pairs of an open and a write fails with two errors, once and from then on.
    // Each write is also short.
    assert_eq!((explored.calls, explored.points), (6, 27), "{explored:?}");
    require_broken(
        explore(overlook_the_error),
        "write of 4 bytes at 0 of b",
        "overlook_the_error",
    );
    Ok(())
}

/// The process dies while one thread writes files in an order that differs in each run.
#[chaos(non_destructive)]
fn deaths_are_explored_in_the_order_of_a_map(cx: Context) -> Result {
    let runs = Runs::new()?;
    let operation = |dir: &Path| write_in_some_order(dir, &runs, write);
    let explored = cx.crash_everywhere(operation, |dir, crash| {
        all_files_are_written(dir, crash.acknowledged())
    })?;
    assert_eq!(explored.points, 6, "{explored:?}");
    let explored = cx.crash_everywhere(
        |dir| write_in_some_order(dir, &runs, overlook_the_error),
        |dir, _| match fs::read(dir.join("b")) {
            Ok(bytes) if bytes.is_empty() => Err("b is empty".into()),
            _ => Ok(()),
        },
    );
    require_broken(explored, "write of 4 bytes at 0 of b", "overlook_the_error");
    Ok(())
}

/// Saves a file with a drawn name, and then gives it its own name.
fn save(dir: &Path, name: &str, text: &str, overlooks: bool) -> Result {
    let mut draft = NamedTempFile::new_in(dir)?;
    let written = draft.write_all(text.as_bytes());
    if !overlooks {
        written?;
    }
    draft.as_file().sync_all()?;
    draft.persist(dir.join(name))?;
    Ok(())
}

/// Saves two files in each of two threads.
fn save_in_threads(dir: &Path, overlooks: bool) -> Result {
    let save_two = |names: [&'static str; 2], overlooks| {
        move || {
            for name in names {
                // Both threads write the same bytes, so that drawn names alone tell the calls.
                save(dir, name, "text", overlooks).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        }
    };
    thread::scope(|scope| {
        let second = scope.spawn(save_two(["c", "d"], overlooks));
        let first = save_two(["a", "b"], false)();
        first.and(second.join().expect("it does not panic"))
    })?;
    Ok(())
}

fn saved_files_are_whole(dir: &Path, failure: InjectedFailure) -> Result {
    for name in ["a", "b", "c", "d"] {
        match fs::read_to_string(dir.join(name)).as_deref() {
            Ok("text") => {}
            Err(_) if !failure.acknowledged() => {}
            found => return Err(format!("{name} has {found:?}").into()),
        }
    }
    Ok(())
}

/// Two threads save files whose drawn names differ in each run.
#[chaos(non_destructive)]
fn names_are_drawn_beside_a_second_thread(cx: Context) -> Result {
    let explore = |overlooks| {
        cx.fail_everywhere(
            [Errno::EIO],
            |dir| save_in_threads(dir, overlooks),
            saved_files_are_whole,
        )
    };
    let explored = explore(false)?;
    assert!(explored.points >= 2 * explored.calls, "{explored:?}");
    require_broken(explore(true), "write of 4 bytes at 0 of .tmp", "save");
    Ok(())
}

/// The process dies while two threads save files with drawn names.
#[chaos(non_destructive)]
fn deaths_are_explored_with_drawn_names(cx: Context) -> Result {
    let explored = cx.crash_everywhere(
        |dir| save_in_threads(dir, false),
        |dir, crash| match crash.acknowledged() {
            true if !dir.join("d").exists() => Err("d is missing".into()),
            _ => Ok(()),
        },
    )?;
    assert!(explored.points >= 12, "{explored:?}");
    Ok(())
}

/// The first run writes other bytes than all later ones.
#[chaos(non_destructive)]
fn length_differs_each_time(cx: Context) -> Result {
    let runs = Runs::new()?;
    cx.fail_everywhere(
        [Errno::EIO],
        |dir| {
            let length = match runs.begin()? {
                0 => 5,
                number => 11 + number % 3,
            };
            Ok(fs::write(dir.join("file"), vec![b'a'; length])?)
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

fn append(dir: &Path) -> Result {
    let mut log = File::options()
        .append(true)
        .create(true)
        .open(dir.join("log"))?;
    Ok(log.write_all(b"text")?)
}

fn append_and_overlook_the_error(dir: &Path) -> Result {
    let mut log = File::options()
        .append(true)
        .create(true)
        .open(dir.join("log"))?;
    let _ = log.write_all(b"text");
    Ok(())
}

/// Makes the same call from two places in the code. Comes to them in another order if `turned`.
fn append_from_two_places(dir: &Path, turned: bool) -> Result {
    let write_other = || fs::write(dir.join("other"), "");
    if turned {
        write_other()?;
        append(dir)?;
        append_and_overlook_the_error(dir)
    } else {
        append_and_overlook_the_error(dir)?;
        write_other()?;
        append(dir)
    }
}

fn both_records_are_logged(dir: &Path, failure: InjectedFailure) -> Result {
    let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
    match !failure.acknowledged() || log == "texttext" {
        true => Ok(()),
        false => Err(format!("found {log:?}").into()),
    }
}

/// Every second run comes to the two places in another order. A run in that order proves nothing
/// about the first place.
#[chaos(non_destructive)]
fn place_is_that_of_the_named_call(cx: Context) -> Result {
    let runs = Runs::new()?;
    let explored = cx.fail_everywhere(
        [Errno::EIO],
        |dir| append_from_two_places(dir, runs.begin()? % 2 == 1),
        both_records_are_logged,
    );
    require_broken(
        explored,
        "write of 4 bytes at the end of log",
        "append_and_overlook_the_error",
    );
    Ok(())
}

/// No later run comes to the first place in the same way as the first run.
#[chaos(non_destructive)]
fn order_of_equal_calls_differs(cx: Context) -> Result {
    let runs = Runs::new()?;
    cx.fail_everywhere(
        [Errno::EIO],
        |dir| append_from_two_places(dir, runs.begin()? > 0),
        both_records_are_logged,
    )?;
    Ok(())
}
