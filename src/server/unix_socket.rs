//! A listening Unix socket, and its file.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::net::{UnixListener, UnixSocket as TokioSocket, UnixStream};

/// The permissions of the socket's file: the owner and the group can connect.
const MODE: u32 = 0o660;
/// The error for a path that another server listens on.
const LISTENED_ON: &str = "another server listens there: stop it, or choose another path";
/// The length of the kernel's backlog, as for TCP.
const BACKLOG: u32 = 1024;
/// The number of attempts to lock the directory of the socket.
const LOCK_ATTEMPTS: usize = 100;
/// The pause between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A listening Unix socket. Dropping it removes its file, unless another file has the path by then.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The device and the inode of the socket's file.
    identity: (u64, u64),
}

impl UnixSocket {
    /// Listens on the path `path`. Replaces a socket that nobody listens on.
    ///
    /// # Errors
    ///
    /// When another process listens on the path, or another file than a socket has the path. Also
    /// when the socket cannot be bound.
    pub(super) async fn bind(path: &Path) -> io::Result<Self> {
        let _lock = lock_directory(path).await?;
        remove_stale(path).await?;
        let socket = TokioSocket::new_stream()?;
        socket.bind(path)?;
        // Nobody can connect before `listen`, so the permissions apply to the first client.
        let listener = match prepare(path).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => listener,
            Err(error) => {
                let _ = fs::remove_file(path);
                return Err(error);
            }
        };
        Ok(Self {
            identity: identity(path)?,
            path: path.to_owned(),
            listener,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Polls for a new connection.
    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        self.listener
            .poll_accept(context)
            .map_ok(|(stream, _)| stream)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn prepare(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(MODE))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Locks the directory of the socket until the returned file is dropped.
// Two servers that start at once could otherwise each remove the socket of the other one.
async fn lock_directory(path: &Path) -> io::Result<File> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let in_directory = |error: io::Error| {
        let why = format!("cannot open the directory {}: {error}", directory.display());
        io::Error::new(error.kind(), why)
    };
    let directory = File::open(directory).map_err(in_directory)?;
    for _ in 0..LOCK_ATTEMPTS {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(directory),
            Err(Errno::WOULDBLOCK) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
    let why = "another process holds a lock of the socket's directory";
    Err(io::Error::new(ErrorKind::WouldBlock, why))
}

/// Removes a socket that nobody listens on.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let in_use = |why: &str| Err(io::Error::new(ErrorKind::AddrInUse, why));
    if !kind.is_socket() {
        return in_use(
            "the path belongs to another file than a socket: move it, or choose another path",
        );
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // The backlog of the other server is full.
        Err(error) if error.kind() == ErrorKind::WouldBlock => in_use(LISTENED_ON),
        Err(error) => {
            let why = format!("cannot find out whether a server listens there: {error}");
            Err(io::Error::new(error.kind(), why))
        }
        Ok(_) => in_use(LISTENED_ON),
    }
}
