//! Finds the threads and descriptors that a test leaked in its own process.
//!
//! The test's process searches for these leaks after all faults are undone and the Tokio runtime is
//! shut down. The supervisor and the runner search for leaked processes and files.

use std::sync::Once;

/// The threads and descriptors that this process had before the test.
#[derive(Debug, Default)]
pub(crate) struct LeakAudit {
    threads: IdSnapshot,
    descriptors: IdSnapshot,
}

/// A snapshot of the process's thread IDs or descriptor numbers.
#[derive(Debug, Default)]
struct IdSnapshot {
    /// The number of `ids`, for fast comparisons. `None` if the kernel does not provide this
    /// number.
    count: Option<u64>,
    ids: Vec<u32>,
}

/// The leaks of a test in its own process, with one description for each leak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessLeaks {
    pub(crate) threads: Vec<String>,
    pub(crate) descriptors: Vec<String>,
}

impl ProcessLeaks {
    pub(crate) fn is_empty(&self) -> bool {
        self.threads.is_empty() && self.descriptors.is_empty()
    }
}

/// Whether the thread name `thread` begins with one of the `prefixes`. Threads with these prefixes
/// belong to pools that last as long as the process.
#[cfg(target_os = "linux")]
fn is_lasting(thread: &str, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| thread.starts_with(prefix))
}

/// Makes Tokio open its socket pair for signals.
///
/// Tokio opens the pair when the first runtime is built, and keeps the pair until the process ends.
/// The pair must not count as a leak of the first test.
pub(crate) fn open_lasting_descriptors() {
    static OPENED: Once = Once::new();
    OPENED.call_once(|| {
        let _ = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{IdSnapshot, LeakAudit, ProcessLeaks, is_lasting};
    use crate::os::descriptors::open_below;
    use crate::os::fork::has_other_threads;
    use crate::os::proc_text::read_lossy;
    use crate::os::sockets;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::time::{Duration, Instant};

    /// The grace time for unjoined threads to end. Threads that run longer count as leaks.
    const EXIT_GRACE: Duration = Duration::from_millis(200);

    /// The grace time if all found leaks are threads of lasting pools. It is not zero, because even
    /// such threads can be about to end.
    const LASTING_EXIT_GRACE: Duration = Duration::from_millis(10);

    /// An upper bound for the descriptor numbers of a process that has just started.
    const LOW_DESCRIPTORS: u16 = 64;

    const THREADS: &str = "/proc/self/task";
    const DESCRIPTORS: &str = "/proc/self/fd";

    impl LeakAudit {
        /// Takes a snapshot of all threads and descriptors of this process.
        pub(crate) fn begin() -> Self {
            let threads = count_threads();
            let descriptors = count_descriptors();
            Self {
                threads: IdSnapshot {
                    count: threads,
                    ids: match threads {
                        Some(1) => vec![std::process::id()],
                        _ => ids(THREADS),
                    },
                },
                descriptors: IdSnapshot {
                    count: descriptors,
                    ids: open_below(LOW_DESCRIPTORS)
                        .filter(|open| descriptors == Some(open.len() as u64))
                        .unwrap_or_else(|| ids(DESCRIPTORS)),
                },
            }
        }

        /// Returns the threads and descriptors that [`begin`](Self::begin) did not find. Waits up
        /// to [`EXIT_GRACE`] for threads that are about to end.
        pub(crate) fn end(&self, lasting: &[String]) -> ProcessLeaks {
            let began = Instant::now();
            loop {
                let leaks = self.compare();
                let may_last = leaks.descriptors.is_empty()
                    && leaks.threads.iter().all(|name| is_lasting(name, lasting));
                let grace = if may_last {
                    LASTING_EXIT_GRACE
                } else {
                    EXIT_GRACE
                };
                if leaks.is_empty() || began.elapsed() >= grace {
                    return leaks;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }

        fn compare(&self) -> ProcessLeaks {
            let mut leaks = ProcessLeaks::default();
            let same = |before: Option<u64>, now| before.is_some() && before == now;
            if !same(self.threads.count, count_threads()) {
                let threads = ids(THREADS);
                let new = self.threads.added(&threads);
                leaks.threads.extend(new.filter_map(|id| {
                    let name = read_lossy(format!("{THREADS}/{id}/comm")).ok()?;
                    Some(name.trim_end().to_owned())
                }));
            }
            if !same(self.descriptors.count, count_descriptors()) {
                let descriptors = ids(DESCRIPTORS);
                // The list includes the descriptor through which the directory was listed. That
                // descriptor is closed now, so its `read_link` fails.
                let new = self.descriptors.added(&descriptors);
                leaks.descriptors.extend(new.filter_map(|number| {
                    let target = fs::read_link(format!("{DESCRIPTORS}/{number}")).ok()?;
                    let target = target.display().to_string();
                    Some(format!("{number}: {}", sockets::describe(&target)))
                }));
            }
            leaks
        }
    }

    impl IdSnapshot {
        /// The IDs in `now` that are not in this snapshot.
        fn added<'a>(&'a self, now: &'a [u32]) -> impl Iterator<Item = &'a u32> {
            now.iter().filter(|id| !self.ids.contains(id))
        }
    }

    fn count_threads() -> Option<u64> {
        if !has_other_threads() {
            return Some(1);
        }
        // Each thread has one subdirectory. The link count of `THREADS` is 2 plus the number of
        // subdirectories.
        fs::metadata(THREADS).ok()?.nlink().checked_sub(2)
    }

    /// The number of open descriptors. Since Linux 6.2, the size of `/proc/self/fd` is this number.
    /// On older kernels the size is zero, and the result is `None`.
    fn count_descriptors() -> Option<u64> {
        let size = fs::metadata(DESCRIPTORS).ok()?.size();
        (size > 0).then_some(size)
    }

    /// The numeric names of the entries in a directory of `/proc`.
    fn ids(directory: &str) -> Vec<u32> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}

#[cfg(not(target_os = "linux"))]
impl LeakAudit {
    /// Takes an empty snapshot: without `/proc`, threads and descriptors are unknown.
    pub(crate) fn begin() -> Self {
        Self::default()
    }

    pub(crate) fn end(&self, _lasting: &[String]) -> ProcessLeaks {
        let snapshots = [&self.threads, &self.descriptors];
        debug_assert!(
            snapshots
                .iter()
                .all(|snapshot| snapshot.count.is_none() && snapshot.ids.is_empty())
        );
        ProcessLeaks::default()
    }
}
