//! The directory of cases that run in the runner's process, one at a time.

use crate::data::case::WorkerDir;
use crate::os::temporary_directory::with_temporary_directory;
use crate::runner::workspace::Workspace;
use std::io;
use std::path::PathBuf;

/// The workspace of cases in the runner's process. A new workspace replaces the old one after a
/// case whose files remain.
#[derive(Debug)]
pub(crate) struct InProcess {
    run: PathBuf,
    /// The count of workspaces created so far. The next workspace gets this number.
    created: usize,
    workspace: Workspace,
}

impl InProcess {
    /// Creates the first workspace, in the run's directory `run`.
    pub(crate) fn new(run: PathBuf) -> io::Result<Self> {
        Ok(Self {
            workspace: Workspace::open(
                WorkerDir::create(&run, "0", false).map_err(with_temporary_directory)?,
            )?,
            created: 1,
            run,
        })
    }

    pub(crate) fn workspace(&mut self) -> &mut Workspace {
        &mut self.workspace
    }

    /// Creates a new workspace, and leaves the files of the old workspace in place.
    pub(crate) fn replace_workspace(&mut self) -> io::Result<()> {
        self.workspace = Workspace::open(WorkerDir::create(
            &self.run,
            &self.created.to_string(),
            false,
        )?)?;
        self.created += 1;
        Ok(())
    }
}
