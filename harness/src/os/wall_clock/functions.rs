//! The functions with which programs read the wall clock.
#![expect(unsafe_code, reason = "these functions replace those of the C library")]

use libc::{c_int, c_void, clockid_t, time_t, timespec, timeval};
use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The distance of this process's clock from the system's clock, in milliseconds. Positive if this
/// process's clock is ahead.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

/// Whether `clock_gettime` has read the wall clock since `are_in_use` reset this flag.
static CALLED: AtomicBool = AtomicBool::new(false);

/// Whether the clock is stopped at [`START_S`] and [`START_NS`], plus [`ADVANCED_NS`].
static STOPPED: AtomicBool = AtomicBool::new(false);

/// The time at which the clock was stopped: the seconds since 1970-01-01.
static START_S: AtomicI64 = AtomicI64::new(0);

/// The nanoseconds after [`START_S`], below 1,000,000,000.
static START_NS: AtomicI64 = AtomicI64::new(0);

/// The sum of all advances since the clock was stopped, in nanoseconds.
static ADVANCED_NS: AtomicU64 = AtomicU64::new(0);

const SECOND_NS: i64 = 1_000_000_000;

/// Stops the clock. Returns `false` if the clock is stopped already.
pub(super) fn stop_at(since_epoch: Duration) -> bool {
    if STOPPED.load(Ordering::SeqCst) {
        return false;
    }
    START_S.store(since_epoch.as_secs().cast_signed(), Ordering::SeqCst);
    START_NS.store(since_epoch.subsec_nanos().into(), Ordering::SeqCst);
    ADVANCED_NS.store(0, Ordering::SeqCst);
    STOPPED.store(true, Ordering::SeqCst);
    true
}

pub(super) fn advance(by: Duration) -> bool {
    if !STOPPED.load(Ordering::SeqCst) {
        return true;
    }
    let Ok(by) = u64::try_from(by.as_nanos()) else {
        return false;
    };
    ADVANCED_NS
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |sum| {
            sum.checked_add(by)
        })
        .is_ok()
}

pub(super) fn resume() {
    STOPPED.store(false, Ordering::SeqCst);
}

/// The time that a program sees, as seconds and nanoseconds since 1970-01-01. `None` if it is the
/// time of the system's clock.
fn changed(seconds: i64, nanoseconds: i64) -> Option<(i64, i64)> {
    let ahead = AHEAD_MS.load(Ordering::Relaxed);
    let is_stopped = STOPPED.load(Ordering::SeqCst);
    if ahead == 0 && !is_stopped {
        return None;
    }
    let (mut seconds, mut nanoseconds) = (seconds, nanoseconds);
    if is_stopped {
        let advanced = ADVANCED_NS.load(Ordering::SeqCst);
        // 2^64 ns are less than 2^63 s, and the remainder is less than a second.
        let whole = advanced / SECOND_NS.cast_unsigned();
        let rest = advanced % SECOND_NS.cast_unsigned();
        seconds = START_S.load(Ordering::SeqCst) + whole.cast_signed();
        nanoseconds = START_NS.load(Ordering::SeqCst) + rest.cast_signed();
    }
    nanoseconds += ahead.rem_euclid(1000) * 1_000_000;
    seconds += ahead.div_euclid(1000) + nanoseconds.div_euclid(SECOND_NS);
    Some((seconds, nanoseconds.rem_euclid(SECOND_NS)))
}

pub(super) fn move_by(milliseconds: i64) {
    AHEAD_MS.fetch_add(milliseconds, Ordering::SeqCst);
}

/// Whether the standard library reads the wall clock with the functions of this module.
pub(super) fn are_in_use() -> bool {
    CALLED.store(false, Ordering::SeqCst);
    let _ = SystemTime::now();
    CALLED.load(Ordering::SeqCst)
}

type ClockGettime = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
type Gettimeofday = unsafe extern "C" fn(*mut timeval, *mut c_void) -> c_int;

/// A function of the C library. The function's address is looked up at the first use.
struct Original {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

static CLOCK_GETTIME: Original = Original::named(c"clock_gettime");
static GETTIMEOFDAY: Original = Original::named(c"gettimeofday");

impl Original {
    const fn named(name: &'static CStr) -> Self {
        Self {
            name,
            address: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Gives the address of the function; null if the C library has no such function.
    fn address(&self) -> *mut c_void {
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name ends with a zero. The program defines the first function of that name,
        // and the C library defines the next one.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

/// Replaces [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
///
/// # Safety
///
/// `time` must point to memory for a `timespec`, as for the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let original = CLOCK_GETTIME.address();
    let status = if original.is_null() {
        // SAFETY: the caller has promised all that this system call requires.
        unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int }
    } else {
        // SAFETY: `original` is the address of the C library's function, which has this type.
        let original: ClockGettime = unsafe { std::mem::transmute(original) };
        // SAFETY: the caller has promised valid pointers.
        unsafe { original(clock, time) }
    };
    if !matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
        return status;
    }
    CALLED.store(true, Ordering::Relaxed);
    if status == 0 {
        // SAFETY: the original function has just written to `time`.
        let time = unsafe { &mut *time };
        if let Some((seconds, nanoseconds)) = changed(time.tv_sec, time.tv_nsec) {
            time.tv_sec = seconds;
            time.tv_nsec = nanoseconds;
        }
    }
    status
}

/// Replaces [gettimeofday(2)](https://man7.org/linux/man-pages/man2/gettimeofday.2.html).
///
/// # Safety
///
/// `time` must be null or point to memory for a `timeval`. `zone` must be null or point to memory
/// for a `timezone`.
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(time: *mut timeval, zone: *mut c_void) -> c_int {
    let original = GETTIMEOFDAY.address();
    let status = if original.is_null() {
        // SAFETY: the caller has promised all that this system call requires.
        unsafe { libc::syscall(libc::SYS_gettimeofday, time, zone) as c_int }
    } else {
        // SAFETY: `original` is the address of the C library's function, which has this type.
        let original: Gettimeofday = unsafe { std::mem::transmute(original) };
        // SAFETY: the caller has promised valid pointers.
        unsafe { original(time, zone) }
    };
    if status == 0 && !time.is_null() {
        // SAFETY: the original function has just written to `time`.
        let time = unsafe { &mut *time };
        if let Some((seconds, nanoseconds)) = changed(time.tv_sec, time.tv_usec * 1000) {
            time.tv_sec = seconds;
            time.tv_usec = nanoseconds / 1000;
        }
    }
    status
}

/// Replaces [time(2)](https://man7.org/linux/man-pages/man2/time.2.html).
///
/// # Safety
///
/// `time` must be null or point to memory for a `time_t`, as for the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn time(time: *mut time_t) -> time_t {
    let mut now = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` outlives the call.
    unsafe { clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut now) };
    if !time.is_null() {
        // SAFETY: the caller has promised valid pointers.
        unsafe { *time = now.tv_sec };
    }
    now.tv_sec
}
