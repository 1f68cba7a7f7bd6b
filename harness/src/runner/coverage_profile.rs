//! The file for coverage data of the tests, if the compiler has instrumented this program.
//!
//! Without `LLVM_PROFILE_FILE`, LLVM's runtime writes to the working directory, which the sandbox
//! protects. Each test would then print an error of LLVM.

use crate::runner::history::{FailedWrites, History};
use std::path::PathBuf;

/// LLVM's own variable for the path of the coverage data.
pub(crate) const VARIABLE: &str = "LLVM_PROFILE_FILE";

/// Returns the value of [`VARIABLE`] for the tests. Returns `None` if the user has set the
/// variable, or if this program is not instrumented.
///
/// Creates the directory of the coverage data. If that is not possible, discards the data and adds
/// a failed write.
#[cfg(target_os = "linux")]
pub(crate) fn profile_file(history: &History, failed: &mut FailedWrites) -> Option<PathBuf> {
    use crate::os::compiler_instrumentation::counts_coverage;
    use std::path::Path;
    if !counts_coverage() {
        return None;
    }
    let given = std::env::var_os(VARIABLE).filter(|given| !given.is_empty());
    if let Some(given) = given {
        // LLVM's runtime would create this directory when it writes, but no test can.
        let directory = Path::new(&given).parent();
        let directory = directory.filter(|path| !path.to_string_lossy().contains('%'));
        let _ = directory.map(std::fs::create_dir_all);
        return None;
    }
    let directory = history.profiles();
    let created = std::fs::create_dir_all(&directory)
        .and_then(|()| std::path::absolute(&directory))
        // LLVM merges the data of processes with the same number (`%p`) and program (`%m`).
        .map(|directory| directory.join("default_%m_%p.profraw"));
    Some(created.unwrap_or_else(|error| {
        failed.add(format!(
            "coverage data of the tests is discarded: {}: {error}",
            directory.display()
        ));
        PathBuf::from("/dev/null")
    }))
}

/// Returns `None`: on systems other than Linux, no sandbox protects the working directory.
#[cfg(not(target_os = "linux"))]
pub(crate) fn profile_file(_history: &History, _failed: &mut FailedWrites) -> Option<PathBuf> {
    None
}
