//! The mounts that tests see: the system's mounts, made read-only. The sockets of other processes
//! are hidden.
//!
//! Read-only mounts protect the modes, owners, times and attributes of files; Landlock does not
//! protect them. Read-only mounts do not prevent a connection to a socket by its path. Landlock
//! prevents such a connection only from its ninth version on. This module therefore hides sockets.

use super::name_socket::{self, RESOLV_CONF};
use crate::os::namespaces::set_read_only;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};

/// Directories that contain the sockets of services, but no files that a test could need.
const SERVICES: [&str; 2] = ["/run", "/var/run"];

/// The directory of named shared memory. In the sandbox, each worker has its own directory at this
/// path. The worker's directory is empty at first.
pub(super) const SHARED_MEMORY: &str = "/dev/shm";

/// The directory of pseudoterminals. In the sandbox, each worker has its own directory at this
/// path. The worker's directory contains no terminals at first.
pub(super) const TERMINALS: &str = "/dev/pts";

/// Gives the path at which each worker has its own directory for shared memory. Gives none if
/// [`SHARED_MEMORY`] does not exist. Also gives none if a directory in `writable` is inside
/// [`SHARED_MEMORY`].
pub(super) fn shared_memory(writable: &[PathBuf]) -> Option<PathBuf> {
    let directory = fs::canonicalize(SHARED_MEMORY).ok()?;
    let is_free = !writable.iter().any(|path| path.starts_with(&directory));
    is_free.then_some(directory)
}

/// Makes all mounts read-only, except for the directories in `writable` and a new `/dev/shm`. Call
/// this function only in a new mount namespace.
///
/// Hides `sockets`, the system's terminals, and the directories in [`SERVICES`]. A directory of
/// services stays visible if it contains a path in `needed` or `writable`. Mounts a `/proc` of the
/// new PID namespace if `own_processes` is set.
///
/// Also covers the system's `resolv.conf` with one in the directory `slot`. Returns the reason if
/// this is not possible.
pub(super) fn seal(
    slot: &Path,
    writable: &[PathBuf],
    needed: &[PathBuf],
    sockets: &[PathBuf],
    own_processes: bool,
) -> io::Result<Result<(), String>> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(failed_to("make the mounts private"))?;
    for directory in writable {
        mount_bind(directory, directory).map_err(failed_to("bind the writable directory"))?;
    }
    let mut hidden: Vec<PathBuf> = SERVICES
        .iter()
        .filter_map(|directory| fs::canonicalize(directory).ok())
        .filter(|directory| {
            !needed
                .iter()
                .chain(writable)
                .any(|path| path.starts_with(directory))
        })
        .collect();
    hidden.dedup(); // usually one is a symlink to the other
    for directory in &hidden {
        cover(directory, "mode=755")?;
    }
    for socket in sockets {
        let is_hidden = hidden.iter().any(|directory| socket.starts_with(directory));
        let is_own = writable
            .iter()
            .any(|directory| socket.starts_with(directory));
        if !is_hidden && !is_own {
            cover_socket(socket)?;
        }
    }
    let shared_memory = shared_memory(writable);
    if let Some(directory) = &shared_memory {
        cover(directory, "mode=1777")?;
    }
    hide_terminals()?;
    let resolv_conf = cover_resolv_conf(slot, &hidden)
        .map_err(|error| format!("the sandbox's {RESOLV_CONF}: {error}"));
    if own_processes {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "/proc", "proc", flags, None).map_err(failed_to("mount a new /proc"))?;
    }
    freeze(writable, shared_memory.as_deref())?;
    Ok(resolv_conf)
}

/// Covers the system's `resolv.conf` with the sandbox's. `hidden` are the covered directories.
fn cover_resolv_conf(slot: &Path, hidden: &[PathBuf]) -> io::Result<()> {
    let own = name_socket::write_resolv_conf(slot)?;
    let link = Path::new(RESOLV_CONF);
    match fs::canonicalize(link) {
        Ok(file) => Ok(mount_bind(&own, &file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound && link.is_symlink() => {
            // On many systems, this is a symlink into `/run`, which is covered now.
            let target = Path::new("/etc").join(fs::read_link(link)?);
            let target = normalize(&target);
            match target.parent() {
                Some(parent) if hidden.iter().any(|directory| parent.starts_with(directory)) => {
                    fs::create_dir_all(parent)?;
                    fs::write(&target, name_socket::content())
                }
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Removes each `..` of an absolute path, together with the component before it.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

/// Covers the system's pseudoterminals with an empty directory. Programs can make new terminals in
/// that directory, if the kernel allows a new `devpts` mount.
fn hide_terminals() -> io::Result<()> {
    let directory = Path::new(TERMINALS);
    if !directory.is_dir() {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    match mount(
        "devpts",
        directory,
        "devpts",
        flags,
        c"newinstance,ptmxmode=0666",
    ) {
        // A `/dev/ptmx` that is a symlink into `/dev/pts` leads to the new mount. Any other
        // `/dev/ptmx` would still make terminals in the covered directory, so it is covered, too.
        Ok(()) if Path::new("/dev/ptmx").is_symlink() => Ok(()),
        Ok(()) => mount_bind("/dev/pts/ptmx", "/dev/ptmx").map_err(failed_to("cover /dev/ptmx")),
        Err(_) => cover(directory, "mode=755"),
    }
}

/// Makes all mounts read-only. Then makes the directories in `writable` and `shared_memory`
/// writable again.
fn freeze(writable: &[PathBuf], shared_memory: Option<&Path>) -> io::Result<()> {
    set_read_only(Path::new("/"), true).map_err(failed_to("make the mounts read-only"))?;
    let writable = writable.iter().map(PathBuf::as_path);
    for directory in writable.chain(shared_memory) {
        set_read_only(directory, false)
            .map_err(failed_to("leave the test's directory writable"))?;
    }
    Ok(())
}

/// Covers a directory with an empty file system.
fn cover(directory: &Path, mode: &str) -> io::Result<()> {
    let options = std::ffi::CString::new(mode)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", directory, "tmpfs", flags, options.as_c_str())
        .map_err(failed_to("cover a directory"))
}

/// Covers a socket with a file to which no process can connect.
fn cover_socket(socket: &Path) -> io::Result<()> {
    match mount_bind("/dev/null", socket) {
        // The errors mean that the socket is gone, or that this user cannot reach the socket.
        Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => Ok(()),
        Err(error) => Err(failed_to("cover a socket")(error)),
    }
}

/// Returns a closure for `map_err`. The closure adds the failed `action` to an error's message.
fn failed_to<E: std::fmt::Display>(action: &'static str) -> impl Fn(E) -> io::Error {
    move |error| io::Error::other(format!("failed to {action}: {error}"))
}

/// Gives the paths of the Unix sockets that are bound in this network namespace.
pub(super) fn sockets() -> Vec<PathBuf> {
    // The table is read as bytes, not as text: the name of a socket can contain any byte.
    let table = fs::read("/proc/self/net/unix").unwrap_or_default();
    let paths = table.split(|byte| *byte == b'\n').filter_map(|line| {
        // The columns are: Num RefCount Protocol Flags Type St Inode Path.
        let space = line.windows(2).position(|pair| pair == b" /")?;
        Some(PathBuf::from(OsStr::from_bytes(&line[space + 1..])))
    });
    let mut sockets: Vec<PathBuf> = paths
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()))
        .collect();
    sockets.sort();
    sockets.dedup();
    sockets
}
