//! The directories inside of which symlinks are followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use super::error::LINKS_OPTION;

/// The directories inside of which symlinks are followed. By default there are none.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkRoots(Arc<Vec<LinkRoot>>);

/// One of these directories.
#[derive(Debug)]
#[cfg_attr(
    not(unix),
    expect(dead_code, reason = "links are followed on Unix only")
)]
pub(super) struct LinkRoot {
    /// The absolute path, as the operator named it.
    pub(super) path: PathBuf,
    /// The tree of another process, if the path begins with `/proc/PID/root`.
    pub(super) process: Option<ProcessRoot>,
}

/// A directory in the tree of another process.
// It was opened once: the number of a process that ends can become the number of another one.
#[derive(Debug)]
pub(super) struct ProcessRoot {
    /// The path of the directory in the tree of the process.
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "links are followed on Unix only")
    )]
    pub(super) inside: PathBuf,
    #[cfg(unix)]
    pub(super) directory: Arc<std::os::fd::OwnedFd>,
}

impl LinkRoots {
    /// Opens the roots of processes, and checks that the other paths are directories.
    ///
    /// # Errors
    ///
    /// When a path is no readable directory. Also when there is a path, and the system is not Unix.
    pub(super) fn open(paths: &[PathBuf]) -> io::Result<Self> {
        if !cfg!(unix) && !paths.is_empty() {
            let why = format!("{LINKS_OPTION}: symlinks are followed on Unix only");
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let open = |path: &PathBuf| {
            LinkRoot::open(path).map_err(|error| {
                let why = format!("{LINKS_OPTION} {}: {error}", path.display());
                io::Error::new(error.kind(), why)
            })
        };
        let roots: io::Result<Vec<_>> = paths.iter().map(open).collect();
        Ok(Self(Arc::new(roots?)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "links are followed on Unix only")
    )]
    pub(super) fn iter(&self) -> impl Iterator<Item = &LinkRoot> {
        self.0.iter()
    }
}

impl LinkRoot {
    fn open(path: &Path) -> io::Result<Self> {
        let path = absolute(path)?;
        if let Some((root, inside)) = split_process_root(&path) {
            return Ok(Self {
                process: Some(ProcessRoot::open(&root, inside)?),
                path,
            });
        }
        match fs::metadata(&path)?.is_dir() {
            true => Ok(Self {
                path,
                process: None,
            }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

impl ProcessRoot {
    #[cfg(unix)]
    fn open(root: &Path, inside: PathBuf) -> io::Result<Self> {
        let directory = open_inside(root, &inside)?;
        Ok(Self { inside, directory })
    }

    #[cfg(not(unix))]
    fn open(_root: &Path, _inside: PathBuf) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Opens `root`, the root of a process, and then the directory `inside` of it. Does not follow
/// symlinks inside of the root.
#[cfg(unix)]
fn open_inside(root: &Path, inside: &Path) -> io::Result<Arc<std::os::fd::OwnedFd>> {
    use rustix::fs::{CWD, Mode, OFlags, openat};

    let mut directory = openat(CWD, root, directory_flags(), Mode::empty())?;
    for name in inside.components().skip(1) {
        let flags = directory_flags() | OFlags::NOFOLLOW;
        directory = openat(&directory, name.as_os_str(), flags, Mode::empty())?;
    }
    Ok(Arc::new(directory))
}

/// The flags to open a directory as the start of further lookups.
#[cfg(unix)]
pub(super) fn directory_flags() -> rustix::fs::OFlags {
    use rustix::fs::OFlags;

    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Such a descriptor needs no permission to read the directory.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let flags = flags | OFlags::PATH;
    flags
}

/// Splits `/proc/PID/root/a/b` into `/proc/PID/root` and `/a/b`. Returns `None` for other paths.
pub(super) fn split_process_root(path: &Path) -> Option<(PathBuf, PathBuf)> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let inside = path.strip_prefix("/proc").ok()?;
    let mut names = inside.components().map(|component| component.as_os_str());
    let (process, root) = (names.next()?, names.next()?);
    let is_process = process == "self"
        || process == "thread-self"
        || process.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    if !is_process || root != "root" {
        return None;
    }
    let inside = Path::new("/").join(names.collect::<PathBuf>());
    Some((Path::new("/proc").join(process).join(root), inside))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn roots_must_be_directories() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(LinkRoots::open(&[dir.path().to_owned()]).is_ok());
        for (path, why) in [(&file, "directory"), (&dir.path().join("no"), "No such")] {
            let error = LinkRoots::open(std::slice::from_ref(path)).unwrap_err();
            let shown = format!("{LINKS_OPTION} {}: ", path.display());
            assert!(error.to_string().starts_with(&shown), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn process_roots_are_recognised() {
        let split = |path: &str| split_process_root(Path::new(path));
        let pair = |root: &str, inside: &str| Some((root.into(), inside.into()));
        assert_eq!(split("/proc/7/root"), pair("/proc/7/root", "/"));
        assert_eq!(
            split("/proc/self/root/a/b"),
            pair("/proc/self/root", "/a/b")
        );
        for other in [
            "/proc",
            "/proc/7",
            "/proc/7/cwd",
            "/proc/x/root",
            "/srv/proc/7/root",
        ] {
            assert_eq!(split(other), None, "{other}");
        }
        assert!(LinkRoots::open(&["/proc/self/root".into()]).is_ok());
        assert!(LinkRoots::open(&["/proc/self/root/no/such".into()]).is_err());
    }
}
