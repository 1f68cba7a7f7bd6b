//! Faults that exhaust a resource of the process, and faults that move the wall clock.

use clarity_chaos::fault::{BitFlip, Descriptors, Memory, Processor, UndoOutcome, WallClock};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

const EMFILE: i32 = 24;

fn limit_of(name: &str) -> Result<String> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find(|line| line.starts_with(name));
    Ok(line.ok_or("no such limit")?.to_owned())
}

/// A test can open three more files, but not a fourth. Other faults still work.
#[chaos(non_destructive)]
fn descriptors_run_out(cx: Context) -> Result {
    let before = limit_of("Max open files")?;
    let path = cx.dir().join("file");
    fs::write(&path, "text")?;
    let fault = cx.inject(Descriptors::new().leaving(3))?;
    let mut open = vec![File::open(&path)?, File::open(&path)?, File::open(&path)?];
    let refused = File::open(&path).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(EMFILE));
    let flip = cx.inject(BitFlip::new(&path))?;
    assert_eq!(flip.undo(), UndoOutcome::Restored);
    assert!(File::open(&path).is_err());
    open.pop();
    open.push(File::open(&path)?);
    assert!(File::open(&path).is_err());
    let none = cx.inject(Descriptors::new().leaving(0));
    let error = none.unwrap_err().to_string();
    assert!(error.contains("more than 0 free"), "{error}");
    assert_eq!(fault.undo(), UndoOutcome::Restored);
    assert_eq!(fs::read(&path)?, b"text");
    assert_eq!(limit_of("Max open files")?, before);
    Ok(())
}

/// Two descriptor faults are in effect. Undoing the first fault is deferred until the second fault
/// is undone.
#[chaos(non_destructive)]
fn descriptors_run_out_twice(cx: Context) -> Result {
    let before = limit_of("Max open files")?;
    let path = cx.dir().join("file");
    fs::write(&path, "text")?;
    let drawn = cx.inject(Descriptors::new().leaving_at_most(8))?;
    let most = drawn.plan().left;
    let open: Vec<File> = std::iter::from_fn(|| File::open(&path).ok()).collect();
    assert_eq!(open.len() as u64, most);
    drop(open);
    assert_eq!(drawn.undo(), UndoOutcome::Restored);

    let few = cx.inject(Descriptors::new().leaving(4))?;
    let flip = cx.inject(BitFlip::new(&path))?;
    let none = cx.inject(Descriptors::new().leaving(0))?;
    assert!(File::open(&path).is_err());
    assert_eq!(few.undo(), UndoOutcome::Deferred);
    assert!(File::open(&path).is_err());
    assert_eq!(flip.undo(), UndoOutcome::Restored);
    assert_eq!(none.undo(), UndoOutcome::Restored);
    assert!(File::open(&path).is_ok());
    assert_eq!(limit_of("Max open files")?, before);
    Ok(())
}

/// Large allocations fail and small ones succeed until the fault is undone.
#[chaos(non_destructive)]
fn memory_runs_out(cx: Context) -> Result {
    let before = limit_of("Max data size")?;
    let fault = cx.inject(Memory::new().leaving(64 << 20))?;
    let mut bytes: Vec<u8> = Vec::new();
    assert!(bytes.try_reserve_exact(128 << 20).is_err());
    black_box(vec![1_u8; 16 << 20]);
    let output = Command::new("cat").arg("/proc/self/limits").output()?;
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&before));
    assert_eq!(fault.undo(), UndoOutcome::Restored);
    bytes.try_reserve_exact(128 << 20)?;
    assert_eq!(limit_of("Max data size")?, before);
    Ok(())
}

/// Allocates more memory than the fault leaves free, and aborts.
#[chaos(non_destructive)]
fn insists_on_memory(cx: Context) -> Result {
    let _fault = cx.inject(Memory::new().leaving_at_most(1 << 20))?;
    black_box(vec![1_u8; 64 << 20]);
    Ok(())
}

/// The harness's threads keep the processor busy until the fault is undone.
#[chaos(non_destructive)]
fn the_processor_is_busy(cx: Context) -> Result {
    let busy = || -> Result<usize> {
        let mut count = 0;
        for thread in fs::read_dir("/proc/self/task")? {
            let name = fs::read_to_string(thread?.path().join("comm"));
            count += usize::from(name.is_ok_and(|name| name.trim() == "chaos-busy"));
        }
        Ok(count)
    };
    let fault = cx.inject(Processor::new().with_threads(3))?;
    // A thread sets its name only after it has started.
    crate::waiting::until("three busy threads", || Ok(busy()? >= 3))?;
    assert_eq!(fault.undo(), UndoOutcome::Restored);
    assert_eq!(busy()?, 0);
    assert!(cx.inject(Processor::new().with_threads(0)).is_err());
    Ok(())
}

/// The wall clock of the test jumps. Other clocks and other programs are not affected.
#[chaos(non_destructive)]
fn the_wall_clock_jumps(cx: Context) -> Result {
    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let (began, instant) = (SystemTime::now(), Instant::now());
    let near = |wanted: SystemTime| {
        let now = SystemTime::now();
        let off = now
            .duration_since(wanted)
            .or_else(|_| wanted.duration_since(now));
        assert!(
            off.is_ok_and(|off| off < HOUR),
            "{now:?} and not {wanted:?}"
        );
    };
    let forward = cx.inject(WallClock::new().forward(2 * DAY))?;
    near(began + 2 * DAY);
    let back = cx.inject(WallClock::new().back(5 * DAY))?;
    near(began - 3 * DAY);
    assert!(began.elapsed().is_err(), "the start is in the future");
    assert!(instant.elapsed() < HOUR);
    // Programs that the test starts see the real clock.
    let output = Command::new("date").arg("+%s").output()?;
    let seconds: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let real = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let off = real
        .duration_since(began)
        .or_else(|_| began.duration_since(real));
    assert!(
        off.is_ok_and(|off| off < HOUR),
        "{real:?} and not {began:?}"
    );
    // The kernel sets file times by the real clock.
    fs::write(cx.dir().join("file"), "")?;
    let written = fs::metadata(cx.dir().join("file"))?.modified()?;
    assert!(written.duration_since(SystemTime::now())? > 2 * DAY);
    assert_eq!(forward.undo(), UndoOutcome::Deferred);
    assert_eq!(back.undo(), UndoOutcome::Restored);
    near(began);
    cx.inject(WallClock::new().within(DAY))?.until_end();
    Ok(())
}

/// Times out while faults of the clock, processor, memory and descriptors are in effect.
#[chaos(non_destructive, timeout = "500ms")]
fn hangs_meanwhile(cx: Context) -> Result {
    cx.inject(WallClock::new().forward(Duration::from_secs(3600)))?
        .until_end();
    cx.inject(Processor::new().with_threads(1))?.until_end();
    cx.inject(Memory::new().leaving(64 << 20))?.until_end();
    cx.inject(Descriptors::new().leaving(0))?.until_end();
    loop {
        std::thread::park();
    }
}
