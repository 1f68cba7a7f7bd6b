//! Tests whose wall clock follows the manual clock.

use clarity_chaos::fault::{UndoOutcome, WallClock};
use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::process::Command;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A second in the year 2001, and some nanoseconds.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 999_999_999)
}

/// The wall clock stands, moves by the same as the manual clock, and takes faults.
#[chaos(clock = "manual")]
async fn follows(cx: Context) -> Result {
    cx.wall_clock_from(start())?;
    assert_eq!(SystemTime::now(), start());
    let by = Duration::new(3600, 2);
    cx.clock().advance(by).await;
    assert_eq!(SystemTime::now(), start() + by);
    cx.clock().advance(DAY * 365 * 100).await;
    let now = start() + by + DAY * 365 * 100;
    assert_eq!(SystemTime::now(), now);
    // Other threads see the same clock.
    let seen = std::thread::spawn(SystemTime::now);
    assert_eq!(seen.join().map_err(|_| "the thread panicked")?, now);
    let fault = cx.inject(WallClock::new().back(DAY))?;
    assert_eq!(SystemTime::now(), now - DAY);
    assert_eq!(fault.undo(), UndoOutcome::Restored);
    assert_eq!(SystemTime::now(), now);
    assert!(cx.wall_clock_from(start()).is_err());
    assert_eq!(SystemTime::now(), now);
    Ok(())
}

/// A task that a timer wakes sees the wall clock of the timer's deadline.
#[chaos(clock = "manual")]
async fn follows_in_woken_tasks(cx: Context) -> Result {
    cx.wall_clock_from(start())?;
    let task = tokio::spawn(async {
        tokio::time::sleep(HOUR).await;
        SystemTime::now()
    });
    cx.clock().advance(HOUR).await;
    assert_eq!(task.await?, start() + HOUR);
    Ok(())
}

/// Monotonic clocks, waits, files and other programs keep the system's time.
#[chaos(clock = "manual")]
async fn leaves_other_clocks(cx: Context) -> Result {
    cx.wall_clock_from(start())?;
    let began = Instant::now();
    cx.clock().advance(HOUR).await;
    assert!(began.elapsed() < HOUR);
    let wait = Duration::from_millis(20);
    let lock = Mutex::new(());
    let guard = lock.lock().map_err(|_| "poisoned")?;
    let (_guard, ended) = Condvar::new()
        .wait_timeout_while(guard, wait, |()| true)
        .map_err(|_| "poisoned")?;
    assert!(ended.timed_out());
    assert!(began.elapsed() >= wait);
    fs::write(cx.dir().join("file"), "")?;
    let written = fs::metadata(cx.dir().join("file"))?.modified()?;
    assert!(written.duration_since(SystemTime::now())? > DAY);
    let output = Command::new("date").arg("+%s").output()?;
    let seconds: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
    assert!(seconds > 1_000_000_000 + 24 * 3600);
    Ok(())
}

/// Does not ask for the wall clock to follow, which therefore runs.
#[chaos(clock = "manual")]
async fn does_not_ask(cx: Context) -> Result {
    let before = SystemTime::now();
    cx.clock().advance(DAY).await;
    assert!(before.elapsed()? < HOUR);
    Ok(())
}

/// Asks for a start before 1970.
#[chaos(clock = "manual")]
async fn starts_too_early(cx: Context) -> Result {
    cx.wall_clock_from(SystemTime::UNIX_EPOCH - HOUR)
}

/// Asks the wall clock to follow a paused clock.
#[chaos(clock = "paused")]
async fn follows_a_paused_clock(cx: Context) -> Result {
    cx.wall_clock_from(start())
}

/// Asks the wall clock to follow a real clock.
#[chaos]
fn follows_a_real_clock(cx: Context) -> Result {
    cx.wall_clock_from(start())
}
