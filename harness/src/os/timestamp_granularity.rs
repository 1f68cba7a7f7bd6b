//! The granularity of a file system's change times.

use std::io;
use std::path::Path;

/// Whether two changes to a directory can have the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimestampGranularity {
    /// Two changes can have the same time: the kernel's clock stands still between its ticks.
    Coarse,
    /// Two changes cannot have the same time if the time was read between the changes. From version
    /// 6.13 on, Linux guarantees this for most of its own file systems ([multigrain
    /// timestamps](https://docs.kernel.org/filesystems/multigrain-ts.html)).
    Multigrain,
}

/// The number of quick changes that prove multigrain times if all of them have distinct times.
#[cfg(unix)]
const CHANGES: usize = 8;

/// The maximum duration of a quick change. This duration is far below the shortest tick of the
/// kernel's clock (1 ms, with `CONFIG_HZ` at 1000). So a coarse clock cannot give all quick changes
/// distinct times.
#[cfg(unix)]
const QUICK: std::time::Duration = std::time::Duration::from_micros(100);

impl TimestampGranularity {
    /// Measures the granularity in this directory, by creating and removing a file in the
    /// directory. Gives `Coarse` if too few changes are quick.
    ///
    /// # Errors
    ///
    /// When no file can be created in the directory.
    #[cfg(unix)]
    pub(crate) fn measure(directory: &Path) -> io::Result<Self> {
        use std::fs::{self, File};
        use std::os::unix::fs::MetadataExt as _;
        use std::time::Instant;

        let changed = || -> io::Result<(i64, i64)> {
            let found = fs::symlink_metadata(directory)?;
            Ok((found.ctime(), found.ctime_nsec()))
        };
        let probe = directory.join("probe");
        let mut distinct = 0;
        // Repeats slow changes: in most cases, a change is slow because the machine is busy.
        for _ in 0..CHANGES * 4 {
            let (began, before) = (Instant::now(), changed()?);
            File::create_new(&probe)?;
            let (after, took) = (changed()?, began.elapsed());
            fs::remove_file(&probe)?;
            if before == after {
                return Ok(Self::Coarse);
            }
            if took < QUICK {
                distinct += 1;
            }
            if distinct == CHANGES {
                return Ok(Self::Multigrain);
            }
        }
        Ok(Self::Coarse)
    }

    /// Assumes coarse times. On systems other than Unix, the granularity is unknown.
    #[cfg(not(unix))]
    pub(crate) fn measure(_directory: &Path) -> io::Result<Self> {
        Ok(Self::Coarse)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn measuring_in_an_unwritable_directory_fails() {
        assert!(TimestampGranularity::measure(Path::new("/proc/self")).is_err());
    }

    #[test]
    fn measuring_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        TimestampGranularity::measure(dir.path()).unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }
}
