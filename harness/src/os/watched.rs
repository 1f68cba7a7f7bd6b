//! Whether a folder is still as it was.
//!
//! To list a folder takes several calls, to ask when it last changed one. So the time is asked first. But where the kernel takes times from a clock
//! that stands still between its ticks, a time proves something only if it was already past when it was first looked at ([`Timestamps`]).

use crate::os::timestamps::Timestamps;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// A folder, and what would show that it was touched.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    entries: usize,
    times: Timestamps,
    first: Option<Stamp>,
}

impl Watched {
    /// A folder that holds so many entries, on a file system with such times.
    pub(crate) fn new(path: PathBuf, entries: usize, times: Timestamps) -> Self {
        Self {
            first: Stamp::of(&path),
            path,
            entries,
            times,
        }
    }

    /// The same folder, which has another path now.
    pub(crate) fn moved_to(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes its time, and no more, as it is now: whoever watches it has changed what is in it.
    pub(crate) fn expect_change(&mut self) {
        if let (Some(first), Some(now)) = (&mut self.first, Stamp::of(&self.path)) {
            (first.changed, first.is_past) = (now.changed, now.is_past);
        }
    }

    /// Whether its time proves that it is untouched; if not, it may be all the same.
    pub(crate) fn is_proven_untouched(&self) -> bool {
        let (Some(first), Some(now)) = (self.first, Stamp::of(&self.path)) else {
            return false;
        };
        first.changed == now.changed && self.proves(first)
    }

    /// Whether a later change must have another time.
    fn proves(&self, stamp: Stamp) -> bool {
        stamp.is_past || self.times == Timestamps::Distinct
    }

    /// Whether nobody has put anything into it or taken out, even if that is undone, and nobody has changed its rights, owner or attributes.
    pub(crate) fn is_untouched(&mut self) -> bool {
        let (Some(first), Some(now)) = (self.first, Stamp::of(&self.path)) else {
            return false;
        };
        // Of a time that proves nothing yet the rest is asked, too.
        let untouched = first.changed == now.changed
            && (self.proves(first) || (first.rights == now.rights && self.has_its_entries()));
        if untouched {
            self.first = Some(now);
        }
        untouched
    }

    /// Whether its rights and owner are what they were.
    pub(crate) fn has_its_rights(&self) -> bool {
        let rights = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.rights);
        rights(self.first) == rights(Stamp::of(&self.path))
    }

    /// Gives it the rights back that it had.
    #[cfg(unix)]
    pub(crate) fn restore_rights(&self) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        match self.first {
            Some(first) => {
                fs::set_permissions(&self.path, fs::Permissions::from_mode(first.rights.0))
            }
            None => Ok(()),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn restore_rights(&self) -> io::Result<()> {
        Ok(())
    }

    fn has_its_entries(&self) -> bool {
        fs::read_dir(&self.path).is_ok_and(|entries| entries.count() == self.entries)
    }
}

/// When something about a folder was last changed, and what may be done with it by whom.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    /// In seconds and nanoseconds of the system's clock.
    changed: (i64, i64),
    /// Mode, user and group.
    rights: (u32, u32, u32),
    /// Whether any later change must have another time.
    is_past: bool,
}

#[cfg(unix)]
impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let found = fs::symlink_metadata(path).ok().filter(Metadata::is_dir)?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Self {
            changed,
            rights: (found.mode(), found.uid(), found.gid()),
            is_past: is_past(changed),
        })
    }
}

/// Whether this time is longer ago than the file system can tell times apart. Those of most are the kernel's ticks of 10 ms at most (`CONFIG_HZ` of 100),
/// which say nothing round; a few know whole seconds, FAT pairs of them.
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
    let apart = if nanoseconds % 1_000_000 == 0 {
        ROUND
    } else {
        TICKS
    };
    age.is_some_and(|age| age > apart)
}

/// There is no such time elsewhere.
#[cfg(not(unix))]
impl Stamp {
    fn of(_path: &Path) -> Option<Self> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, Instant};

    fn folder() -> (tempfile::TempDir, Watched) {
        let dir = tempfile::tempdir().unwrap();
        let watched = Watched::new(dir.path().to_owned(), 0, Timestamps::Ticking);
        (dir, watched)
    }

    /// Watches until the folder's time proves something by itself.
    fn settle(watched: &mut Watched) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !watched.first.is_some_and(|stamp| stamp.is_past) {
            assert!(watched.is_untouched());
            assert!(Instant::now() < deadline, "it never settles: {watched:?}");
        }
    }

    #[test]
    fn what_was_put_in_is_seen_at_once_and_later() {
        for settled in [false, true] {
            let (dir, mut watched) = folder();
            if settled {
                settle(&mut watched);
            }
            assert!(watched.is_untouched());
            fs::write(dir.path().join("file"), "").unwrap();
            assert!(!watched.is_untouched(), "settled: {settled}");
        }
    }

    #[test]
    fn changed_rights_are_seen_at_once_and_later() {
        for settled in [false, true] {
            let (dir, mut watched) = folder();
            if settled {
                settle(&mut watched);
            }
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
            assert!(!watched.is_untouched(), "settled: {settled}");
        }
    }

    #[test]
    fn what_came_and_went_is_seen_later() {
        let (dir, mut watched) = folder();
        settle(&mut watched);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        fs::remove_file(&file).unwrap();
        assert!(!watched.is_untouched());
    }

    #[test]
    fn where_times_are_distinct_what_came_and_went_is_seen_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let times = Timestamps::of(dir.path()).unwrap();
        if times == Timestamps::Ticking {
            return; // an older kernel, or a file system without them
        }
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for _ in 0..200 {
            let mut watched = Watched::new(inner.clone(), 0, times);
            assert!(watched.is_proven_untouched() && watched.is_untouched());
            let file = inner.join("file");
            fs::write(&file, "").unwrap();
            fs::remove_file(&file).unwrap();
            assert!(!watched.is_proven_untouched() && !watched.is_untouched());
            watched.expect_change();
            assert!(watched.is_proven_untouched() && watched.is_untouched());
            fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
            assert!(!watched.is_proven_untouched());
        }
    }

    #[test]
    fn a_link_or_nothing_in_its_place_is_not_it() {
        let (dir, _) = folder();
        let (inner, other) = (dir.path().join("inner"), dir.path().join("other"));
        fs::create_dir(&inner).unwrap();
        fs::create_dir(&other).unwrap();
        let mut watched = Watched::new(inner.clone(), 0, Timestamps::Ticking);
        fs::remove_dir(&inner).unwrap();
        assert!(!watched.is_untouched());
        std::os::unix::fs::symlink(&other, &inner).unwrap();
        assert!(!watched.is_untouched());
    }

    #[test]
    fn round_times_prove_something_later() {
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
