//! The wall clock that the test's process sees.
//!
//! All processes share the system's clock. A program reads this clock with functions of the C
//! library, not with a system call. With the feature `wall-clock`, a test program defines functions
//! of the same names, and the linker prefers the program's functions. The program's functions call
//! those of the C library. To the result, they add the distance by which a fault has moved the
//! clock. Faults move only the wall clock. Rust's standard library and Tokio wait and measure time
//! with the monotonic clock.

#[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
mod functions;

use std::io;

/// Moves the wall clock of this process by this number of milliseconds, in addition to earlier
/// moves.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] when another library has replaced the clock functions.
#[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
pub(crate) fn move_by(milliseconds: i64) -> io::Result<()> {
    if !functions::are_in_use() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "another library in the program has replaced the clock functions of the C library",
        ));
    }
    functions::move_by(milliseconds);
    Ok(())
}

/// Returns an error: without the feature `wall-clock`, the clock cannot be moved.
#[cfg(not(feature = "wall-clock"))]
pub(crate) fn move_by(_milliseconds: i64) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "the feature `wall-clock` of `clarity-chaos` is off: switch it on with `features = [\"wall-clock\"]`",
    ))
}

/// Returns an error: the clock can be moved only on Linux with the GNU C library.
#[cfg(all(
    feature = "wall-clock",
    not(all(target_os = "linux", target_env = "gnu"))
))]
pub(crate) fn move_by(_milliseconds: i64) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "it needs Linux with the GNU C library",
    ))
}
