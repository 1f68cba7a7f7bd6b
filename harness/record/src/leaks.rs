//! The resources that a test left behind.

use serde::{Deserialize, Serialize};

/// The resources that a test left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leaks {
    /// The command lines of processes that were alive after the test; they were ended.
    pub processes: Vec<String>,
    /// The names of threads that ran after the body had ended; the system keeps 15 bytes of each.
    pub threads: Vec<String>,
    /// Descriptors that were open after the body had ended, with their targets.
    pub descriptors: Vec<String>,
    /// Files in the directory for temporary files and in shared memory; they were removed, or kept
    /// with the case.
    pub files: Vec<String>,
    /// The leaks that the test had declared with `Context::allow_leak`, and threads of pools that
    /// are known to live as long as their process. Each is a line like those of [`Leaks::lines`].
    pub allowed: Vec<String>,
}

impl Leaks {
    /// One line for each leak that is not allowed: kind and name, such as ``thread `worker` ``.
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

    /// Moves the leaks whose line is allowed to [`Leaks::allowed`].
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
