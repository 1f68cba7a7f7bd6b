//! The wall clock as the test's process sees it.
//!
//! The system's clock is the same for all processes, and reading it is a function of the C library,
//! not a system call. So with the feature `wall-clock` a test program has functions of these names
//! itself, and the linker prefers them. They ask those of the C library, and add the distance by
//! which a fault has moved the clock. Only the wall clock is moved: waiting and measuring, in Rust
//! as in Tokio, use the monotonic one.

#[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
mod functions;

use std::io;

/// Moves the wall clock of this process by this number of milliseconds, on top of earlier moves.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] where it cannot be moved.
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

/// Without the feature the clock cannot be moved.
#[cfg(not(feature = "wall-clock"))]
pub(crate) fn move_by(_milliseconds: i64) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "the feature `wall-clock` of `clarity-chaos` is off: switch it on with `features = [\"wall-clock\"]`",
    ))
}

/// Elsewhere the clock cannot be moved.
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
