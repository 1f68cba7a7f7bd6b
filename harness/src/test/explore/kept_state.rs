//! Copies of states in which an invariant does not hold.

use std::fmt;
use std::path::PathBuf;

/// The result of keeping a copy of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptState {
    /// The copy is in this directory after the test has failed, until the next run of the test. A
    /// test that passes leaves no copy.
    In(PathBuf),
    /// The state has too many bytes for a copy. The limit is 64 MiB.
    TooLarge {
        /// The number of bytes in the state's files.
        bytes: u64,
    },
    /// The copy could not be written, for this reason.
    Failed(String),
    /// The run keeps no copies: the case is one of many similar ones.
    Disabled,
}

/// The maximum number of bytes of a kept state.
#[cfg(target_os = "linux")]
const MAX_BYTES: u64 = 64 << 20;

impl fmt::Display for KeptState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(path) => write!(f, "{}", path.display()),
            Self::TooLarge { bytes } => write!(
                f,
                "not kept, since its {} MiB are more than 64 MiB",
                bytes >> 20
            ),
            Self::Failed(reason) => write!(f, "not kept: {reason}"),
            Self::Disabled => f.write_str("not kept, since this is one of many similar cases"),
        }
    }
}

/// The paths of the evidence that explorations leave.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "nothing is explored")
)]
pub(crate) struct EvidencePaths {
    /// The directory for copies of states.
    pub(crate) states: PathBuf,
    /// The directory to which the runner moves the copies of a failed test. None if it moves none.
    pub(crate) kept_states: Option<PathBuf>,
    /// The file that says how far a running exploration is.
    pub(crate) progress: PathBuf,
}

#[cfg(target_os = "linux")]
impl EvidencePaths {
    /// Keeps a copy of this state. Files that are the same as in `before` keep their times.
    pub(super) fn keep(
        &self,
        state: &clarity_chaos_disk::Snapshot,
        before: &super::directory_content::DirectoryContent,
    ) -> KeptState {
        use clarity_chaos_disk::Entry;
        let Some(kept) = &self.kept_states else {
            return KeptState::Disabled;
        };
        let lengths = state.entries().map(|(_, entry)| match entry {
            Entry::File(number) => state.file(*number).bytes.len() as u64,
            _ => 0,
        });
        let bytes = lengths.sum();
        if bytes > MAX_BYTES {
            return KeptState::TooLarge { bytes };
        }
        match self.write(state, before) {
            Ok(name) => KeptState::In(kept.join(name)),
            Err(error) => KeptState::Failed(error.to_string()),
        }
    }

    /// Writes the state to a new directory. Returns the directory's name.
    fn write(
        &self,
        state: &clarity_chaos_disk::Snapshot,
        before: &super::directory_content::DirectoryContent,
    ) -> std::io::Result<String> {
        std::fs::create_dir_all(&self.states)?;
        let number = std::fs::read_dir(&self.states)?.count() + 1;
        let name = format!("state-{number}");
        super::state_directory::StateDirectory::new(self.states.join(&name))
            .write(state, before, false)?;
        Ok(name)
    }
}
