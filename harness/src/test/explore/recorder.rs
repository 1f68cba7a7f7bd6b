//! Records the files before and after the calls of a running operation.

use super::call_watch::CallWatch;
use super::directory_content::DirectoryContent;
use crate::os::seccomp::listener::WaitingCall;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::file_status::Identity;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of a running operation, as far as they are recorded.
#[derive(Debug)]
pub(super) struct Recorder {
    /// Whether the run records written bytes, and the files before and after calls.
    records: bool,
    /// The files before the first call.
    pub(super) files: BTreeMap<Identity, PathBuf>,
    records_contents: bool,
    /// The content after calls, by index.
    pub(super) contents: BTreeMap<usize, DirectoryContent>,
    /// The last call that the kernel was allowed to execute, by index.
    watched: Option<(usize, CallWatch)>,
}

impl Recorder {
    pub(super) fn new(
        records: bool,
        files: BTreeMap<Identity, PathBuf>,
        records_contents: bool,
    ) -> Self {
        Self {
            records,
            files,
            records_contents,
            contents: BTreeMap::new(),
            watched: None,
        }
    }

    /// Looks at the files of a waiting call, and notes them. Returns the watch for
    /// [`executes`](Self::executes), if this run records files.
    pub(super) fn look_before(
        &self,
        root: &Path,
        waiting: &WaitingCall,
        call: &mut FileCall,
    ) -> Option<CallWatch> {
        let is_recorded = self.records && call.effect.concerns_files();
        let watch = is_recorded.then(|| CallWatch::new(root, waiting.thread, waiting.number, call));
        // A call on a mapping knows its file already.
        if call.before.file.is_none() {
            call.before = watch.as_ref().map(CallWatch::look).unwrap_or_default();
        }
        watch
    }

    /// Notes that the kernel executes the call with this index.
    pub(super) fn executes(&mut self, index: usize, watch: Option<CallWatch>) {
        self.watched = watch.map(|watch| (index, watch));
    }

    /// Gives the index of the last executed call, whose files were not seen again yet.
    pub(super) fn watched(&self) -> Option<usize> {
        self.watched.as_ref().map(|(index, _)| *index)
    }

    /// Looks at the files of the last executed call, when the thread `next` makes the next call, or
    /// no process of the operation is left.
    pub(super) fn look_after(&mut self, root: &Path, next: Option<u32>, call: &mut FileCall) {
        let Some((index, watch)) = self.watched.take() else {
            return;
        };
        let is_over = next.is_none_or(|next| watch.is_over(next));
        let after = watch.look();
        // Entries change at once, but bytes do not.
        let is_seen = after != call.before && !matches!(call.effect, Effect::Write { .. });
        call.after = (is_over || is_seen).then_some(after);
        // The check after the end of the run reports a content that cannot be read.
        if is_over
            && self.records_contents
            && let Ok(content) = DirectoryContent::read(root)
        {
            self.contents.insert(index, content);
        }
    }
}
