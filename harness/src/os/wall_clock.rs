//! The wall clock that the test's process sees.
//!
//! All processes share the system's clock. A program reads this clock with functions of the C
//! library, not with a system call. With the feature `wall-clock`, a test program defines functions
//! of the same names, and the linker prefers the program's functions. The program's functions call
//! those of the C library. To the result, they add the distance by which a fault has moved the
//! clock. If the clock is stopped, they take the time at which it stands. Rust's standard library
//! and Tokio wait and measure time with the monotonic clock, which stays as it is.

#[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
mod functions;

use std::io;
use std::time::Duration;

/// Moves the wall clock of this process by this number of milliseconds, in addition to earlier
/// moves.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] when the clock cannot be moved.
pub(crate) fn move_by(milliseconds: i64) -> io::Result<()> {
    check()?;
    #[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
    functions::move_by(milliseconds);
    #[cfg(not(all(target_os = "linux", target_env = "gnu", feature = "wall-clock")))]
    let _ = milliseconds;
    Ok(())
}

/// Stops the wall clock of this process at this time after 1970-01-01. From then on, only
/// [`advance`] and [`move_by`] move it. `since_epoch` must be below 2^63 seconds.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] when the clock cannot be moved.
/// [`io::ErrorKind::AlreadyExists`] when it is stopped already.
pub(crate) fn stop_at(since_epoch: Duration) -> io::Result<()> {
    check()?;
    #[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
    if !functions::stop_at(since_epoch) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the wall clock follows the test's clock already",
        ));
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu", feature = "wall-clock")))]
    let _ = since_epoch;
    Ok(())
}

/// Advances a stopped wall clock. Does nothing while the clock runs. Returns `false`, and moves
/// nothing, if the sum of all advances would exceed 584 years.
pub(crate) fn advance(by: Duration) -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
    return functions::advance(by);
    #[cfg(not(all(target_os = "linux", target_env = "gnu", feature = "wall-clock")))]
    {
        let _ = by;
        true
    }
}

/// Lets a stopped wall clock run again, from the system's time on.
pub(crate) fn resume() {
    #[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
    functions::resume();
}

/// Checks whether the clock of this process can be moved.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] when another library has replaced the clock functions.
#[cfg(all(target_os = "linux", target_env = "gnu", feature = "wall-clock"))]
fn check() -> io::Result<()> {
    if functions::are_in_use() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "another library in the program has replaced the clock functions of the C library",
    ))
}

/// Returns an error: without the feature `wall-clock`, the clock cannot be moved.
#[cfg(not(feature = "wall-clock"))]
fn check() -> io::Result<()> {
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
fn check() -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "it needs Linux with the GNU C library",
    ))
}
