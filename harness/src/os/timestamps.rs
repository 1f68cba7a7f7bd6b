//! What the times of changes on a file system tell apart.

use std::io;
use std::path::Path;

/// Whether two changes to a folder can have the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timestamps {
    /// They can: times are taken from a clock that stands still between its ticks.
    Ticking,
    /// Not if somebody has asked for the time in between, as Linux does it since 6.13 on most file systems of its own
    /// ([multigrain timestamps](https://docs.kernel.org/filesystems/multigrain-ts.html)).
    Distinct,
}

/// How many changes must have had a time of their own.
#[cfg(unix)]
const CHANGES: usize = 8;

/// How long a change may take to tell something, by far less than the shortest tick (1 ms, `CONFIG_HZ` of 1000). That all of them
/// had another time because the clock has ticked within each is then out of the question.
#[cfg(unix)]
const QUICK: std::time::Duration = std::time::Duration::from_micros(100);

impl Timestamps {
    /// Those of the file system of this folder, found out by changing it: a file comes and goes.
    ///
    /// # Errors
    ///
    /// When nothing can be put into the folder.
    #[cfg(unix)]
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        use std::fs::{self, File};
        use std::os::unix::fs::MetadataExt as _;
        use std::time::Instant;

        let changed = || -> io::Result<(i64, i64)> {
            let found = fs::symlink_metadata(folder)?;
            Ok((found.ctime(), found.ctime_nsec()))
        };
        let probe = folder.join("probe");
        let mut apart = 0;
        // Most are slow only because the machine is.
        for _ in 0..CHANGES * 4 {
            let (began, before) = (Instant::now(), changed()?);
            File::create_new(&probe)?;
            let (after, took) = (changed()?, began.elapsed());
            fs::remove_file(&probe)?;
            if before == after {
                return Ok(Self::Ticking);
            }
            if took < QUICK {
                apart += 1;
            }
            if apart == CHANGES {
                return Ok(Self::Distinct);
            }
        }
        Ok(Self::Ticking)
    }

    /// Nobody knows elsewhere.
    #[cfg(not(unix))]
    pub(crate) fn of(_folder: &Path) -> io::Result<Self> {
        Ok(Self::Ticking)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_changed_has_no_times() {
        assert!(Timestamps::of(Path::new("/proc/self")).is_err());
    }

    #[test]
    fn nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        Timestamps::of(dir.path()).unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }
}
