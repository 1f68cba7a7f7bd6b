//! The file systems as tests see them: the same as outside, but read-only, with other people's sockets out of reach.
//!
//! Landlock does not know of modes, owners, times and attributes; mounts do. Neither stops anybody from connecting to a socket by its path
//! (Landlock does from its ninth version on), so the sockets are hidden.

use crate::os::namespaces::set_read_only;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// Folders that hold sockets of services, and nothing that a test could need.
const SERVICES: [&str; 2] = ["/run", "/var/run"];

/// Shared memory by name. Inside it is empty and the slot's own.
pub(super) const SHARED_MEMORY: &str = "/dev/shm";

/// The terminals that programs make. Inside there are none at first, and they are the slot's own.
pub(super) const TERMINALS: &str = "/dev/pts";

/// The folder for shared memory that a slot has for itself: none where there is none, or where the slot's own folder is in it.
pub(super) fn shared_memory(writable: &[PathBuf]) -> Option<PathBuf> {
    let folder = fs::canonicalize(SHARED_MEMORY).ok()?;
    let is_free = !writable.iter().any(|path| path.starts_with(&folder));
    is_free.then_some(folder)
}

/// Makes everything read-only but the folders in `writable`, in the mount namespace of this process, which must be new.
/// What is in `needed` is not hidden. `own_processes` says whether `/proc` is to show a new PID namespace.
pub(super) fn seal(
    writable: &[PathBuf],
    needed: &[PathBuf],
    sockets: &[PathBuf],
    own_processes: bool,
) -> io::Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(told("make the mounts private"))?;
    for folder in writable {
        mount_bind(folder, folder).map_err(told("bind the writable folder"))?;
    }
    let mut hidden: Vec<PathBuf> = SERVICES
        .iter()
        .filter_map(|folder| fs::canonicalize(folder).ok())
        .filter(|folder| {
            !needed
                .iter()
                .chain(writable)
                .any(|path| path.starts_with(folder))
        })
        .collect();
    hidden.dedup(); // one is a link to the other, as a rule
    for folder in &hidden {
        cover(folder, "mode=755")?;
    }
    for socket in sockets {
        let is_hidden = hidden.iter().any(|folder| socket.starts_with(folder));
        let is_own = writable.iter().any(|folder| socket.starts_with(folder));
        if !is_hidden && !is_own {
            take_away(socket)?;
        }
    }
    let shared_memory = shared_memory(writable);
    if let Some(folder) = &shared_memory {
        cover(folder, "mode=1777")?;
    }
    hide_terminals()?;
    if own_processes {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "/proc", "proc", flags, None).map_err(told("mount a new /proc"))?;
    }
    freeze(writable, shared_memory.as_deref())
}

/// Puts an empty folder of terminals over everybody's, one that can make new ones where the kernel allows it.
fn hide_terminals() -> io::Result<()> {
    let folder = Path::new(TERMINALS);
    if !folder.is_dir() {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    match mount(
        "devpts",
        folder,
        "devpts",
        flags,
        c"newinstance,ptmxmode=0666",
    ) {
        // The device that makes them is that of the old folder, unless it leads into the new one.
        Ok(()) if Path::new("/dev/ptmx").is_symlink() => Ok(()),
        Ok(()) => mount_bind("/dev/pts/ptmx", "/dev/ptmx").map_err(told("cover /dev/ptmx")),
        Err(_) => cover(folder, "mode=755"),
    }
}

fn freeze(writable: &[PathBuf], shared_memory: Option<&Path>) -> io::Result<()> {
    set_read_only(Path::new("/"), true).map_err(told("make the mounts read-only"))?;
    let writable = writable.iter().map(PathBuf::as_path);
    for folder in writable.chain(shared_memory) {
        set_read_only(folder, false).map_err(told("leave the test's folder writable"))?;
    }
    Ok(())
}

/// Puts an empty file system over a folder.
fn cover(folder: &Path, mode: &str) -> io::Result<()> {
    let options = std::ffi::CString::new(mode)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", folder, "tmpfs", flags, options.as_c_str()).map_err(told("cover a folder"))
}

/// Puts something that nobody can connect to over a socket.
fn take_away(socket: &Path) -> io::Result<()> {
    match mount_bind("/dev/null", socket) {
        // It is gone, or out of reach for this user anyway.
        Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => Ok(()),
        Err(error) => Err(told("cover a socket")(error)),
    }
}

fn told<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> io::Error {
    move |error| io::Error::other(format!("failed to {what}: {error}"))
}

/// The sockets that somebody listens on in this network namespace, and that have a path here.
pub(super) fn sockets() -> Vec<PathBuf> {
    // Bytes, not text: anybody may have bound to any name.
    let table = fs::read("/proc/self/net/unix").unwrap_or_default();
    let paths = table.split(|byte| *byte == b'\n').filter_map(|line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let place = line.windows(2).position(|pair| pair == b" /")?;
        Some(PathBuf::from(OsStr::from_bytes(&line[place + 1..])))
    });
    let mut sockets: Vec<PathBuf> = paths
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()))
        .collect();
    sockets.sort();
    sockets.dedup();
    sockets
}
