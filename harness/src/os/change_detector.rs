//! Detects changes to a directory.
//!
//! Listing a directory takes several system calls. Reading the directory's change time takes only
//! one, so the change time is read first. Some kernels take change times from a clock that stands
//! still between its ticks ([`TimestampGranularity`]). On these kernels, a second change within one
//! tick leaves the time as it is. So an unchanged time proves an unchanged directory only if the
//! time's tick was over at the first reading.

use crate::os::timestamp_granularity::TimestampGranularity;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Detects changes to one directory: to its entries, permissions, owner and attributes.
#[derive(Debug)]
pub(crate) struct ChangeDetector {
    path: PathBuf,
    entries: usize,
    granularity: TimestampGranularity,
    first: Option<Stamp>,
}

impl ChangeDetector {
    /// Starts to watch a directory with this number of entries.
    pub(crate) fn new(path: PathBuf, entries: usize, granularity: TimestampGranularity) -> Self {
        Self {
            first: Stamp::read(&path),
            path,
            entries,
            granularity,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Accepts the current change time, after the caller itself has changed the entries.
    pub(crate) fn accept_change(&mut self) {
        if let (Some(first), Some(now)) = (&mut self.first, Stamp::read(&self.path)) {
            (first.changed, first.is_past) = (now.changed, now.is_past);
        }
    }

    /// Whether the change time proves that the directory is unchanged since `new` or the last
    /// `accept_change`. If false, the directory may still be unchanged.
    pub(crate) fn is_proven_unchanged(&self) -> bool {
        let (Some(first), Some(now)) = (self.first, Stamp::read(&self.path)) else {
            return false;
        };
        first.changed == now.changed && self.proves(first)
    }

    /// Whether every change after this stamp must get a time that differs from the stamp's time.
    fn proves(&self, stamp: Stamp) -> bool {
        stamp.is_past || self.granularity == TimestampGranularity::Multigrain
    }

    /// Whether the directory is unchanged since `new` or the last `accept_change`. A change that
    /// was undone also counts as a change, if it has moved the change time.
    pub(crate) fn is_unchanged(&mut self) -> bool {
        let (Some(first), Some(now)) = (self.first, Stamp::read(&self.path)) else {
            return false;
        };
        // If equal change times prove nothing, the permissions and the number of entries are
        // compared as well.
        let unchanged = first.changed == now.changed
            && (self.proves(first)
                || (first.permissions == now.permissions && self.has_its_entries()));
        if unchanged {
            self.first = Some(now);
        }
        unchanged
    }

    /// Whether permissions and owner are those from the start of the watch.
    pub(crate) fn has_its_permissions(&self) -> bool {
        let permissions = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.permissions);
        permissions(self.first) == permissions(Stamp::read(&self.path))
    }

    /// Restores the permissions from the start of the watch.
    #[cfg(unix)]
    pub(crate) fn restore_permissions(&self) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        match self.first {
            Some(first) => {
                fs::set_permissions(&self.path, fs::Permissions::from_mode(first.permissions.0))
            }
            None => Ok(()),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn restore_permissions(&self) -> io::Result<()> {
        Ok(())
    }

    fn has_its_entries(&self) -> bool {
        fs::read_dir(&self.path).is_ok_and(|entries| entries.count() == self.entries)
    }
}

/// The change time and the permissions of a directory.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    /// The change time, in seconds and nanoseconds of the system's clock.
    changed: (i64, i64),
    /// Mode, user and group.
    permissions: (u32, u32, u32),
    /// Whether every later change must get a different change time.
    is_past: bool,
}

#[cfg(unix)]
impl Stamp {
    fn read(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let found = fs::symlink_metadata(path)
            .ok()
            .filter(fs::Metadata::is_dir)?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Self {
            changed,
            permissions: (found.mode(), found.uid(), found.gid()),
            is_past: is_past(changed),
        })
    }
}

/// Whether the age of this time exceeds the file system's granularity.
// Most file systems take times from the kernel's ticks. A tick lasts at most 10 ms (`CONFIG_HZ` of
// 100). The time of a tick is not a whole number of milliseconds. A few file systems have times in
// whole seconds, and FAT has times in multiples of two seconds.
#[cfg(unix)]
fn is_past((seconds, nanoseconds): (i64, i64)) -> bool {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    const TICKS: Duration = Duration::from_millis(20);
    const ROUND: Duration = Duration::from_secs(3);
    let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(seconds), u32::try_from(nanoseconds))
    else {
        return false;
    };
    let changed = UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds));
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    let granularity = if nanoseconds % 1_000_000 == 0 {
        ROUND
    } else {
        TICKS
    };
    age.is_some_and(|age| age > granularity)
}

/// On systems other than Unix, directories have no change time.
#[cfg(not(unix))]
impl Stamp {
    fn read(_path: &Path) -> Option<Self> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, Instant};

    fn directory() -> (tempfile::TempDir, ChangeDetector) {
        let dir = tempfile::tempdir().unwrap();
        let detector = ChangeDetector::new(dir.path().to_owned(), 0, TimestampGranularity::Coarse);
        (dir, detector)
    }

    /// Waits until the directory's change time alone proves that the directory is unchanged.
    fn settle(detector: &mut ChangeDetector) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !detector.first.is_some_and(|stamp| stamp.is_past) {
            assert!(detector.is_unchanged());
            assert!(Instant::now() < deadline, "it never settles: {detector:?}");
        }
    }

    #[test]
    fn new_file_is_detected_at_once_and_later() {
        for settled in [false, true] {
            let (dir, mut detector) = directory();
            if settled {
                settle(&mut detector);
            }
            assert!(detector.is_unchanged());
            fs::write(dir.path().join("file"), "").unwrap();
            assert!(!detector.is_unchanged(), "settled: {settled}");
        }
    }

    #[test]
    fn changed_permissions_are_detected_at_once_and_later() {
        for settled in [false, true] {
            let (dir, mut detector) = directory();
            if settled {
                settle(&mut detector);
            }
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
            assert!(!detector.is_unchanged(), "settled: {settled}");
        }
    }

    #[test]
    fn removed_new_file_is_detected_later() {
        let (dir, mut detector) = directory();
        settle(&mut detector);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        fs::remove_file(&file).unwrap();
        assert!(!detector.is_unchanged());
    }

    #[test]
    fn removed_new_file_is_detected_at_once_by_multigrain_times() {
        let dir = tempfile::tempdir().unwrap();
        let granularity = TimestampGranularity::measure(dir.path()).unwrap();
        if granularity == TimestampGranularity::Coarse {
            return; // an older kernel, or a file system without them
        }
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for _ in 0..200 {
            let mut detector = ChangeDetector::new(inner.clone(), 0, granularity);
            assert!(detector.is_proven_unchanged() && detector.is_unchanged());
            let file = inner.join("file");
            fs::write(&file, "").unwrap();
            fs::remove_file(&file).unwrap();
            assert!(!detector.is_proven_unchanged() && !detector.is_unchanged());
            detector.accept_change();
            assert!(detector.is_proven_unchanged() && detector.is_unchanged());
            fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
            assert!(!detector.is_proven_unchanged());
        }
    }

    #[test]
    fn symlink_or_nothing_in_its_place_is_detected() {
        let (dir, _) = directory();
        let (inner, other) = (dir.path().join("inner"), dir.path().join("other"));
        fs::create_dir(&inner).unwrap();
        fs::create_dir(&other).unwrap();
        let mut detector = ChangeDetector::new(inner.clone(), 0, TimestampGranularity::Coarse);
        fs::remove_dir(&inner).unwrap();
        assert!(!detector.is_unchanged());
        std::os::unix::fs::symlink(&other, &inner).unwrap();
        assert!(!detector.is_unchanged());
    }

    #[test]
    fn round_time_is_past_only_after_seconds() {
        let seconds_ago = |ago: u64, nanoseconds| {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
            (i64::try_from(now - ago).unwrap(), nanoseconds)
        };
        assert!(!is_past(seconds_ago(1, 0)));
        assert!(!is_past(seconds_ago(1, 120_000_000)));
        assert!(is_past(seconds_ago(5, 0)));
        assert!(is_past(seconds_ago(2, 1)));
    }
}
