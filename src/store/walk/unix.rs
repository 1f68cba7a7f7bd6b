//! Walks from descriptor to descriptor.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf, absolute};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::WalkError;
use super::follow::{follow, not_allowed};
use super::place::{Place, Tree};
use super::roots::OpenRoot;
use crate::store::links::{LinkRoots, directory_flags, split_process_root};

/// The largest number of symlinks on the way to one file, as in Linux.
const MAX_LINKS: usize = 40;

/// How often a name is looked up if a symlink and another entry take turns under this name.
const MAX_TRIES: usize = 8;

/// One walk below the directory of a store.
#[derive(Debug)]
pub(in crate::store) struct Walk {
    root: PathBuf,
    roots: Vec<OpenRoot>,
    start: Place,
    /// The symlinks and directories that were looked up so far.
    seen: Mutex<BTreeMap<(Tree, PathBuf), Seen>>,
}

/// The result of the first lookup of a name.
#[derive(Debug)]
struct Seen {
    parent: Arc<OwnedFd>,
    name: OsString,
    found: Found,
}

#[derive(Clone, Debug)]
enum Found {
    Directory(Arc<OwnedFd>),
    Link(PathBuf),
}

/// What a walk does with the last name of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Directory,
    Open,
    Stat,
}

/// The end of a walk.
enum End {
    Directory(Place),
    File(File),
    Stat(Stat),
}

impl Walk {
    /// Opens the directory `root`, through symlinks, and the roots for further links.
    pub(in crate::store) fn new(root: &Path, links: &LinkRoots) -> io::Result<Self> {
        let roots: Vec<_> = links
            .iter()
            .enumerate()
            .filter_map(OpenRoot::open)
            .collect();
        let start = match process_start(root, &roots)? {
            Some(start) => start,
            None => host_start(root, !roots.is_empty())?,
        };
        let mut walk = Self {
            root: root.to_owned(),
            roots,
            start: start.0,
            seen: Mutex::default(),
        };
        let start = walk.walk(walk.start.clone(), start.1, Goal::Directory)?;
        if let End::Directory(mut place) = start {
            place.is_linked = false;
            walk.start = place;
        }
        Ok(walk)
    }

    /// Finds the directory `names`, from the directory of the store.
    pub(in crate::store) fn directory(&self, names: &[&str]) -> Result<Place, WalkError> {
        self.directory_in(&self.start, names)
    }

    /// Finds the directory `names`, from `place`.
    pub(in crate::store) fn directory_in<N: AsRef<OsStr>>(
        &self,
        place: &Place,
        names: &[N],
    ) -> Result<Place, WalkError> {
        let names = names.iter().map(|name| name.as_ref().to_owned()).collect();
        match self.walk(place.clone(), names, Goal::Directory)? {
            End::Directory(place) => Ok(place),
            End::File(_) | End::Stat(_) => Err(WalkError::NotDirectory),
        }
    }

    /// Opens the entry `path` of `place` for reading, and never blocks on a pipe. The caller checks
    /// the type of the entry.
    pub(in crate::store) fn open(&self, place: &Place, path: &str) -> Result<File, WalkError> {
        let names = path.split('/').map(OsString::from).collect();
        match self.walk(place.clone(), names, Goal::Open)? {
            End::File(file) => Ok(file),
            End::Directory(place) => Ok(File::from(place.reopen()?)),
            End::Stat(_) => Err(WalkError::NotFound),
        }
    }

    /// The metadata of the entry `path` of `place`; for a symlink, that of its target.
    pub(in crate::store) fn stat(&self, place: &Place, path: &OsStr) -> Result<Stat, WalkError> {
        let names = Path::new(path).iter().map(OsStr::to_owned).collect();
        match self.walk(place.clone(), names, Goal::Stat)? {
            End::Stat(found) => Ok(found),
            End::Directory(place) => Ok(fstat(place.last())?),
            End::File(file) => Ok(fstat(&file)?),
        }
    }

    /// Whether a symlink or directory of this walk leads elsewhere by now.
    pub(in crate::store) fn has_changed(&self) -> bool {
        let is_same_start = || {
            let now = openat(CWD, &self.root, directory_flags(), Mode::empty())?;
            Ok::<_, Errno>(is_same(&fstat(&now)?, &fstat(self.start.last())?))
        };
        // The root of a process stays the same: it is opened once.
        let is_process = matches!(self.start.tree, Tree::Process(_));
        if !is_process && !is_same_start().unwrap_or(false) {
            return true;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        !seen.values().all(Seen::is_unchanged)
    }

    fn walk(
        &self,
        mut at: Place,
        mut left: VecDeque<OsString>,
        goal: Goal,
    ) -> Result<End, WalkError> {
        let mut links = 0;
        let mut last_link = (PathBuf::new(), PathBuf::new());
        while let Some(name) = left.pop_front() {
            if name == ".." {
                if at.directories.len() < 2 {
                    return Err(not_allowed(&last_link.0, &last_link.1));
                }
                at.directories.pop();
                at.path.pop();
                continue;
            }
            let is_last = left.is_empty() && goal != Goal::Directory;
            let target = match self.known(&at, &name) {
                Some(Found::Link(target)) => target,
                Some(Found::Directory(directory)) if !is_last => {
                    at.enter(name, directory);
                    continue;
                }
                _ => {
                    match self.look_up(&at, &name, if is_last { goal } else { Goal::Directory })? {
                        Ok(End::Directory(place)) => {
                            at = place;
                            continue;
                        }
                        Ok(end) => return Ok(end),
                        Err(target) => target,
                    }
                }
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            last_link = (at.path.join(&name), target.clone());
            let (place, names) = follow(&self.roots, &at, &name, &target)?;
            at = place;
            left = names.into_iter().chain(left).collect();
        }
        Ok(End::Directory(at))
    }

    fn known(&self, at: &Place, name: &OsStr) -> Option<Found> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.get(&(at.tree, at.path.join(name)))?;
        Some(seen.found.clone())
    }

    /// Looks up a name on disk. Returns the target if the name is a symlink.
    fn look_up(
        &self,
        at: &Place,
        name: &OsStr,
        goal: Goal,
    ) -> Result<Result<End, PathBuf>, WalkError> {
        for _ in 0..MAX_TRIES {
            let error = match reach(at, name, goal) {
                Ok(End::Directory(mut place)) => {
                    let directory = Arc::clone(place.last());
                    if let Found::Directory(first) =
                        self.record(at, name, Found::Directory(directory))
                    {
                        place.directories.pop();
                        place.directories.push(first);
                        return Ok(Ok(End::Directory(place)));
                    }
                    continue;
                }
                Ok(end) => return Ok(Ok(end)),
                Err(error) => error,
            };
            match readlinkat(at.last(), name, Vec::new()) {
                Ok(target) => {
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    if let Found::Link(first) = self.record(at, name, Found::Link(target)) {
                        return Ok(Err(first));
                    }
                }
                Err(Errno::INVAL) if matches!(error, Errno::LOOP | Errno::MLINK) => {}
                Err(_) => return Err(error.into()),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// Records the result of a lookup, unless another thread was first. Returns the first result.
    fn record(&self, at: &Place, name: &OsStr, found: Found) -> Found {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = seen.entry((at.tree, at.path.join(name)));
        let first = entry.or_insert_with(|| Seen {
            parent: Arc::clone(at.last()),
            name: name.to_owned(),
            found,
        });
        first.found.clone()
    }
}

/// Reaches the entry `name` of `at`. Returns an error if the entry is a symlink.
fn reach(at: &Place, name: &OsStr, goal: Goal) -> Result<End, Errno> {
    match goal {
        Goal::Directory => {
            let flags = directory_flags() | OFlags::NOFOLLOW;
            let directory = openat(at.last(), name, flags, Mode::empty())?;
            let mut place = at.clone();
            place.enter(name.to_owned(), Arc::new(directory));
            Ok(End::Directory(place))
        }
        Goal::Open => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = openat(at.last(), name, flags, Mode::empty())?;
            Ok(End::File(File::from(file)))
        }
        Goal::Stat => match statat(at.last(), name, AtFlags::SYMLINK_NOFOLLOW)? {
            found if super::EntryKind::of(&found) == super::EntryKind::Symlink => Err(Errno::LOOP),
            found => Ok(End::Stat(found)),
        },
    }
}

/// The start of a walk inside of the root of a process, and the names from there. `None` if no such
/// root contains the directory `root`.
fn process_start(
    root: &Path,
    roots: &[OpenRoot],
) -> io::Result<Option<(Place, VecDeque<OsString>)>> {
    let mut path = absolute(root)?;
    // The kernel would follow such a link to the process that has this number now.
    if let Ok(target) = std::fs::read_link(&path)
        && split_process_root(&target).is_some()
    {
        path = target;
    }
    let mut of_process = roots.iter().filter(|root| root.tree != Tree::Host);
    Ok(of_process.find_map(|root| {
        let inside = path.strip_prefix(&root.named).ok()?;
        Some((root.place(), inside.iter().map(OsStr::to_owned).collect()))
    }))
}

/// The start of a walk in the tree of this process.
fn host_start(root: &Path, has_roots: bool) -> io::Result<(Place, VecDeque<OsString>)> {
    let opened = openat(CWD, root, directory_flags(), Mode::empty())?;
    let canonical = has_roots
        .then(|| std::fs::canonicalize(root).ok())
        .flatten();
    // The text of a link of `/proc` can name another directory than the link leads to.
    let located = canonical.filter(|path| {
        let found = (fstat(&opened), rustix::fs::stat(path));
        matches!(found, (Ok(opened), Ok(found)) if is_same(&opened, &found))
    });
    let place = Place {
        tree: located.as_ref().map_or(Tree::Unknown, |_| Tree::Host),
        path: located.unwrap_or_else(|| root.to_owned()),
        directories: vec![Arc::new(opened)],
        is_linked: false,
    };
    Ok((place, VecDeque::new()))
}

impl Place {
    fn enter(&mut self, name: OsString, directory: Arc<OwnedFd>) {
        self.path.push(name);
        self.directories.push(directory);
    }
}

impl Seen {
    fn is_unchanged(&self) -> bool {
        match &self.found {
            Found::Link(target) => readlinkat(&self.parent, &self.name, Vec::new())
                .is_ok_and(|now| now.as_bytes() == target.as_os_str().as_encoded_bytes()),
            Found::Directory(directory) => {
                let now = statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW);
                matches!((now, fstat(directory)), (Ok(now), Ok(then)) if is_same(&now, &then))
            }
        }
    }
}

fn is_same(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

impl From<Errno> for WalkError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT => Self::NotFound,
            Errno::NOTDIR => Self::NotDirectory,
            error => Self::Io(error.into()),
        }
    }
}
