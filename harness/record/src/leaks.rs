//! The resources that a test left behind.

use serde::{Deserialize, Serialize};

/// The resources that a test left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leaks {
    /// The command lines of processes that outlived the test. A fork that has executed no program
    /// has its name here instead. The harness ended these processes.
    pub processes: Vec<String>,
    /// The names of threads that still ran after the end of the test's body. The system keeps only
    /// the first 15 bytes of a name.
    pub threads: Vec<String>,
    /// The descriptors that were still open after the end of the test's body, with their targets.
    pub descriptors: Vec<String>,
    /// The files that the test left in the directory for temporary files, in its own home directory
    /// and in shared memory. The harness removed these files. If it kept the test's directory, it
    /// kept the temporary files and the home directory there.
    pub files: Vec<String>,
    /// The allowed leaks, each as a line in the format of [`Leaks::lines`].
    ///
    /// The test declared these leaks with `Context::allow_leak`, or they are threads of a known
    /// pool. A known pool's threads live as long as their process.
    pub allowed: Vec<String>,
}

impl Leaks {
    /// Returns a line for each leak that is not allowed. Each line is the leak's kind and name,
    /// such as ``thread `worker` ``.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let kinds = [
            ("process", &self.processes),
            ("thread", &self.threads),
            ("descriptor", &self.descriptors),
            ("file", &self.files),
        ];
        kinds
            .into_iter()
            .flat_map(|(kind, found)| found.iter().map(move |name| format!("{kind} `{name}`")))
    }

    /// Moves each leak to [`Leaks::allowed`] if `is_allowed` returns true for the leak's line. The
    /// line has the format of [`Leaks::lines`].
    pub fn allow(&mut self, is_allowed: impl Fn(&str) -> bool) {
        let kinds = [
            ("process", &mut self.processes),
            ("thread", &mut self.threads),
            ("descriptor", &mut self.descriptors),
            ("file", &mut self.files),
        ];
        for (kind, found) in kinds {
            found.retain(|name| {
                let line = format!("{kind} `{name}`");
                let allowed = is_allowed(&line);
                if allowed {
                    self.allowed.push(line);
                }
                !allowed
            });
        }
    }
}
