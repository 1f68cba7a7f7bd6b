//! The settings for files that the operation maps.

use super::Exploration;
#[cfg(target_os = "linux")]
use crate::test::explore::explorer::Explorer;

impl Exploration<'_> {
    /// Declares files that the program rebuilds after each start, such as `*-shm`. The pattern
    /// matches whole paths, relative to the operation's directory. In the pattern, `*` stands for
    /// any characters but `/`, and `?` for one of them.
    ///
    /// The program can change these files through mappings in any process. After the death of the
    /// process, they have the content of the last call before. After a loss of power, they have any
    /// content: that of before, zeros, or random bytes that the test's seed determines. They can
    /// also be missing. [`Explored::all_states`] does not count these contents.
    ///
    /// [`Explored::all_states`]: crate::explore::Explored::all_states
    pub fn volatile(mut self, pattern: impl Into<String>) -> Self {
        self.volatile.add(pattern.into());
        self
    }

    /// Makes each store to a mapped page a call of its own. Without this, the stores to one page
    /// between two calls are one call, and no process dies between them.
    ///
    /// A copy of many bytes consists of many stores, so the run is slow and has many points.
    pub fn each_store(self) -> Self {
        Self {
            each_store: true,
            ..self
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn map_files(&self, explorer: &mut Explorer<'_>) {
        explorer.volatile = self.volatile.clone();
        explorer.each_store = self.each_store;
    }
}
