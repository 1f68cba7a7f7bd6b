//! What a test leaves in its own process: threads that still run, descriptors that are still open.
//!
//! Seen from inside, at the end of the body, when its runtime is gone and its faults are undone. What it leaves outside, processes and files,
//! the supervisor and the runner find.

use std::collections::BTreeMap;

/// What was there before the test.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    threads: BTreeMap<u32, String>,
    descriptors: BTreeMap<u32, String>,
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

#[cfg(target_os = "linux")]
mod linux {
    use super::{Audit, BTreeMap, Found};
    use crate::sockets;
    use std::fs;
    use std::time::{Duration, Instant};

    /// How long threads that were told to end, but not joined, may take to do so before they count as left behind.
    const SETTLE: Duration = Duration::from_millis(200);

    impl Audit {
        /// Takes stock.
        pub(crate) fn begin() -> Self {
            make_lasting_descriptors();
            Self {
                threads: threads(),
                descriptors: descriptors(),
            }
        }

        /// Compares with what there is now.
        pub(crate) fn end(&self) -> Found {
            let deadline = Instant::now() + SETTLE;
            loop {
                let found = self.compare();
                if found.is_empty() || Instant::now() >= deadline {
                    return found;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }

        fn compare(&self) -> Found {
            let new_threads = threads()
                .into_iter()
                .filter(|(number, _)| !self.threads.contains_key(number))
                .map(|(_, name)| name)
                .collect();
            let new_descriptors: Vec<_> = descriptors()
                .into_iter()
                .filter(|(number, target)| self.descriptors.get(number) != Some(target))
                .map(|(number, target)| format!("{number}: {}", sockets::describe(&target)))
                .collect();
            Found {
                threads: new_threads,
                descriptors: new_descriptors,
            }
        }
    }

    /// Tokio keeps a pair of sockets for signals from its first runtime to the end of the process: no leak of whoever comes first.
    fn make_lasting_descriptors() {
        let _ = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
    }

    fn threads() -> BTreeMap<u32, String> {
        numbered("/proc/self/task", |path| {
            let name = fs::read_to_string(path.join("comm")).ok()?;
            Some(name.trim_end().to_owned())
        })
    }

    fn descriptors() -> BTreeMap<u32, String> {
        let mut found = numbered("/proc/self/fd", |path| {
            Some(fs::read_link(path).ok()?.display().to_string())
        });
        // That through which we were reading.
        let own = format!("/proc/{}/fd", std::process::id());
        found.retain(|_, target| *target != own);
        found
    }

    /// The entries of a folder whose names are numbers; those that vanish meanwhile are left out.
    fn numbered(
        folder: &str,
        read: impl Fn(&std::path::Path) -> Option<String>,
    ) -> BTreeMap<u32, String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let number = entry.file_name().to_str()?.parse().ok()?;
                Some((number, read(&entry.path())?))
            })
            .collect()
    }
}

#[cfg(not(target_os = "linux"))]
impl Audit {
    /// Nothing is known elsewhere.
    pub(crate) fn begin() -> Self {
        Self::default()
    }

    pub(crate) fn end(&self) -> Found {
        let _ = (&self.threads, &self.descriptors);
        Found::default()
    }
}
