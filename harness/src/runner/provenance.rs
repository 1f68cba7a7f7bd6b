//! Finds the commit and machine of this run, for the reports.

use clarity_chaos_report::Provenance;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::available_parallelism;

/// The number of processors that this process can use.
static PROCESSORS: OnceLock<usize> = OnceLock::new();

/// Returns the number of processors that this process can use. Call this function before a thread
/// of the runner is bound to one processor; later calls return the same number.
pub(crate) fn processors() -> usize {
    *PROCESSORS.get_or_init(|| available_parallelism().map_or(1, usize::from))
}

/// Reads the commit from Git, and the machine from the system.
pub(crate) fn provenance() -> Provenance {
    let mut provenance = Provenance::new(machine());
    provenance.commit = commit();
    provenance
}

/// Returns the checked-out commit, with a note if tracked files have changed. Returns `None`
/// outside a repository, or if Git fails.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let output = git.args(arguments).stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let mark = if changed.is_empty() {
        ""
    } else {
        ", with changes"
    };
    Some(format!("{commit}{mark}"))
}

fn machine() -> String {
    let processors = processors();
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    #[cfg(unix)]
    let kernel = {
        let name = rustix::system::uname();
        format!(" {}", name.release().to_string_lossy())
    };
    #[cfg(not(unix))]
    let kernel = "";
    format!("{system}{kernel}, {architecture}, {processors} processors")
}
