//! What a test leaves in its own process: threads that still run, descriptors that are still open.
//!
//! Seen from inside, at the end of the body, when its runtime is gone and its faults are undone. What it leaves outside, processes and files,
//! the supervisor and the runner find.

use std::sync::Once;

/// What was there before the test.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    threads: Stock,
    descriptors: Stock,
}

/// Things with numbers.
#[derive(Debug, Default)]
struct Stock {
    /// How many there were, by a way to count that is faster than to list them; unknown on kernels without it.
    count: Option<u64>,
    numbers: Vec<u32>,
}

/// What is there that was not before, each told in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) threads: Vec<String>,
    pub(crate) descriptors: Vec<String>,
}

impl Found {
    pub(crate) fn is_empty(&self) -> bool {
        self.threads.is_empty() && self.descriptors.is_empty()
    }
}

/// Whether a thread of this name belongs to a pool that lives as long as its process.
#[cfg(target_os = "linux")]
fn is_lasting(thread: &str, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| thread.starts_with(prefix))
}

/// Makes what Tokio keeps from its first runtime to the end of the process, a pair of sockets for signals: no leak of whoever comes first.
pub(crate) fn make_lasting_descriptors() {
    static MADE: Once = Once::new();
    MADE.call_once(|| {
        let _ = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Audit, Found, Stock, is_lasting};
    use crate::os::descriptors::open_below;
    use crate::os::fork::has_other_threads;
    use crate::os::sockets;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::time::{Duration, Instant};

    /// How long threads that were told to end, but not joined, may take to do so before they count as left behind.
    const SETTLE: Duration = Duration::from_millis(200);

    /// The same when no others are left than those of lasting pools, which may be about to end all the same.
    const SETTLE_LASTING: Duration = Duration::from_millis(10);

    /// Below this number are the descriptors of a process that has just begun.
    const LOW: u16 = 64;

    const THREADS: &str = "/proc/self/task";
    const DESCRIPTORS: &str = "/proc/self/fd";

    impl Audit {
        /// Takes stock.
        pub(crate) fn begin() -> Self {
            let threads = count_threads();
            let descriptors = count_descriptors();
            Self {
                threads: Stock {
                    count: threads,
                    numbers: match threads {
                        Some(1) => vec![std::process::id()],
                        _ => numbers(THREADS),
                    },
                },
                descriptors: Stock {
                    count: descriptors,
                    numbers: open_below(LOW)
                        .filter(|found| descriptors == Some(found.len() as u64))
                        .unwrap_or_else(|| numbers(DESCRIPTORS)),
                },
            }
        }

        /// Compares with what there is now.
        pub(crate) fn end(&self, lasting: &[String]) -> Found {
            let began = Instant::now();
            loop {
                let found = self.compare();
                let may_last = found.descriptors.is_empty()
                    && found.threads.iter().all(|name| is_lasting(name, lasting));
                let patience = if may_last { SETTLE_LASTING } else { SETTLE };
                if found.is_empty() || began.elapsed() >= patience {
                    return found;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }

        fn compare(&self) -> Found {
            let mut found = Found::default();
            let same = |before: Option<u64>, now| before.is_some() && before == now;
            if !same(self.threads.count, count_threads()) {
                let threads = numbers(THREADS);
                let new = self.threads.without(&threads);
                found.threads.extend(new.filter_map(|number| {
                    let name = fs::read_to_string(format!("{THREADS}/{number}/comm")).ok()?;
                    Some(name.trim_end().to_owned())
                }));
            }
            if !same(self.descriptors.count, count_descriptors()) {
                let descriptors = numbers(DESCRIPTORS);
                // One of them was the folder that they were read from.
                let new = self.descriptors.without(&descriptors);
                found.descriptors.extend(new.filter_map(|number| {
                    let target = fs::read_link(format!("{DESCRIPTORS}/{number}")).ok()?;
                    let target = target.display().to_string();
                    Some(format!("{number}: {}", sockets::describe(&target)))
                }));
            }
            found
        }
    }

    impl Stock {
        /// What is there `now` and was not then.
        fn without<'a>(&'a self, now: &'a [u32]) -> impl Iterator<Item = &'a u32> {
            now.iter().filter(|number| !self.numbers.contains(number))
        }
    }

    fn count_threads() -> Option<u64> {
        if !has_other_threads() {
            return Some(1);
        }
        // A folder has a link for each folder in it, and two of its own.
        fs::metadata(THREADS).ok()?.nlink().checked_sub(2)
    }

    /// The size of this folder is the number of descriptors, since Linux 6.2; zero before.
    fn count_descriptors() -> Option<u64> {
        let size = fs::metadata(DESCRIPTORS).ok()?.size();
        (size > 0).then_some(size)
    }

    /// The entries of a folder of `/proc` whose names are numbers.
    fn numbers(folder: &str) -> Vec<u32> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}

#[cfg(not(target_os = "linux"))]
impl Audit {
    /// Nothing is known elsewhere.
    pub(crate) fn begin() -> Self {
        Self::default()
    }

    pub(crate) fn end(&self, _lasting: &[String]) -> Found {
        let stocks = [&self.threads, &self.descriptors];
        debug_assert!(
            stocks
                .iter()
                .all(|stock| stock.count.is_none() && stock.numbers.is_empty())
        );
        Found::default()
    }
}
