//! The wall clock as the test's process sees it.
//!
//! The system's own cannot be moved for one process alone, and reading it is no system call, but a function of the C library. So a test's program has
//! functions of these names itself, which the linker prefers; they ask the C library's, and add what a fault has moved the clock by.
//! Only that clock is moved: what waits and measures, in Rust as in Tokio, does so by the monotonic one.

#[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
mod functions;

use std::io;

/// Moves the wall clock of this process by so many milliseconds, beside what it has been moved by already.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] where it cannot be moved.
#[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
pub(crate) fn move_by(milliseconds: i64) -> io::Result<()> {
    if !functions::are_in_use() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the clock is read by functions that another library has put in the place of the C library's",
        ));
    }
    functions::move_by(milliseconds);
    Ok(())
}

/// Elsewhere it cannot be moved.
#[cfg(not(all(target_os = "linux", target_env = "gnu", feature = "wall-clock")))]
pub(crate) fn move_by(_milliseconds: i64) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "needs Linux with the GNU C library, and the harness's feature `wall-clock`",
    ))
}
