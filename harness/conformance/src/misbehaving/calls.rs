//! Faults of system calls: failures, delays, short transfers, and bits that flip between reads.

use clarity_chaos::explore::Errno;
use clarity_chaos::fault::{CallKind, Descriptors, FlipWhileRead, SystemCall, UndoOutcome};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Every write below a directory fails while the fault is in effect, also in threads and child
/// processes.
#[chaos(non_destructive)]
fn writes_fail(cx: Context) -> Result {
    let (inside, outside) = (cx.dir().join("inside"), cx.dir().join("outside"));
    fs::create_dir(&inside)?;
    let file = inside.join("file");
    let full = cx.inject(SystemCall::new(&inside, CallKind::Write).fails_with(Errno::ENOSPC))?;
    let error = fs::write(&file, "text").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    let path = file.clone();
    let error = thread::spawn(move || fs::write(path, "text"))
        .join()
        .unwrap();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::StorageFull);
    let script = format!("echo text > '{}'", file.display());
    let output = Command::new("sh").args(["-c", &script]).output()?;
    assert!(!output.status.success(), "{output:?}");
    fs::write(&outside, "text")?;
    assert_eq!(fs::read(&file)?, b"");
    assert_eq!(full.undo(), UndoOutcome::Restored);
    fs::write(&file, "text")?;
    assert_eq!(fs::read(&file)?, b"text");
    Ok(())
}

/// Of five sync calls, only the third fails.
#[chaos(non_destructive)]
fn the_third_sync_fails(cx: Context) -> Result {
    let file = File::create(cx.dir().join("file"))?;
    let _fault = cx.inject(SystemCall::new(cx.dir(), CallKind::Sync).nth(3))?;
    let synced: Vec<bool> = (0..5).map(|_| file.sync_all().is_ok()).collect();
    assert_eq!(synced, [true, true, false, true, true]);
    Ok(())
}

/// One of four renames fails. The seed decides which one.
#[chaos(non_destructive)]
fn a_drawn_rename_fails(cx: Context) -> Result {
    let fault = SystemCall::new(cx.dir(), CallKind::Rename).one_of_the_first(4);
    let _fault = cx.inject(fault.fails_with(Errno::EACCES))?;
    let mut failed = Vec::new();
    for number in 1..=4 {
        let (here, there) = (format!("{number}"), format!("{number}.new"));
        fs::write(cx.dir().join(&here), "")?;
        if fs::rename(cx.dir().join(here), cx.dir().join(there)).is_err() {
            failed.push(number);
        }
    }
    assert_eq!(failed.len(), 1, "{failed:?}");
    cx.note(failed[0]);
    Ok(())
}

/// A delayed `open` call succeeds after at least 60 ms.
#[chaos(non_destructive)]
fn opening_takes_long(cx: Context) -> Result {
    let path = cx.dir().join("file");
    fs::write(&path, "text")?;
    let delay = Duration::from_millis(60);
    let _slow = cx.inject(SystemCall::new(cx.dir(), CallKind::Open).delayed_by(delay))?;
    let began = Instant::now();
    let read = fs::read(&path)?;
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
    assert_eq!(read, b"text");
    Ok(())
}

/// A write call transfers at most 7 bytes, and a read call transfers at most 3 bytes. Callers that
/// loop still transfer all bytes.
#[chaos(non_destructive)]
fn reads_and_writes_are_short(cx: Context) -> Result {
    let path = cx.dir().join("file");
    let text: Vec<u8> = (0..100).collect();
    let writing = cx.inject(SystemCall::new(cx.dir(), CallKind::Write).shortened_to(7))?;
    assert_eq!(File::create(&path)?.write(&text)?, 7);
    fs::write(&path, &text)?;
    drop(writing);
    let reading = cx.inject(SystemCall::new(cx.dir(), CallKind::Read).shortened_to(3))?;
    assert_eq!(File::open(&path)?.read(&mut [0; 10])?, 3);
    assert_eq!(fs::read(&path)?, text);
    drop(reading);
    assert_eq!(File::open(&path)?.read(&mut [0; 10])?, 10);
    Ok(())
}

/// The disk is full after ten bytes, in the middle of the second write.
#[chaos(non_destructive)]
fn the_disk_is_full(cx: Context) -> Result {
    let (a, b) = (cx.dir().join("a"), cx.dir().join("b"));
    let full = cx.inject(SystemCall::new(cx.dir(), CallKind::Write).full_after(10))?;
    fs::write(&a, "seven..")?;
    let error = fs::write(&b, "seven..").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!((fs::read(&a)?.len(), fs::read(&b)?.len()), (7, 3));
    assert!(fs::write(&a, "x").is_err());
    assert_eq!(full.undo(), UndoOutcome::Restored);
    fs::write(&b, "seven..")?;
    // The fault also limits `fs::copy`, which copies inside the kernel.
    let _full = cx.inject(SystemCall::new(cx.dir(), CallKind::Write).full_after(5))?;
    let error = fs::copy(&b, &a).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(fs::read(&a)?, b"seven");
    Ok(())
}

/// A bit flips between two reads of a file.
///
/// The fault opens files itself, and works even without a free descriptor.
#[chaos(non_destructive)]
fn a_file_changes_while_it_is_read(cx: Context) -> Result {
    let path = cx.dir().join("file");
    let text = [7; 64];
    fs::write(&path, text)?;
    let changing = cx.inject(FlipWhileRead::new(&path).before_read(3))?;
    let read = |file: &mut File| -> Result<Vec<u8>> {
        let mut bytes = vec![0; text.len()];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let mut files = [File::open(&path)?, File::open(&path)?, File::open(&path)?];
    let _none = cx.inject(Descriptors::new().leaving(0))?;
    assert_eq!(read(&mut files[0])?, text);
    assert_eq!(read(&mut files[1])?, text);
    let changed = read(&mut files[2])?;
    let bits: u32 = changed
        .iter()
        .zip(text)
        .map(|(a, b)| (a ^ b).count_ones())
        .sum();
    assert_eq!(bits, 1);
    assert_eq!(changing.undo(), UndoOutcome::Restored);
    drop(_none);
    assert_eq!(fs::read(&path)?, text);

    let never = cx.inject(FlipWhileRead::new(&path).before_read(100))?;
    assert_eq!(fs::read(&path)?, text);
    assert!(matches!(never.undo(), UndoOutcome::NeverApplied { .. }));
    cx.inject(FlipWhileRead::new(&path).before_one_of(1))?
        .until_end();
    assert_ne!(fs::read(&path)?, text);
    Ok(())
}

/// Four threads read a file while one of its bits flips and is restored.
#[chaos(non_destructive)]
fn a_file_changes_while_many_read_it(cx: Context) -> Result {
    let path = cx.dir().join("file");
    fs::write(&path, [7; 64])?;
    for _ in 0..20 {
        let changing = cx.inject(FlipWhileRead::new(&path).before_one_of(8))?;
        thread::scope(|scope| {
            let readers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..4).try_for_each(|_| fs::read(&path).map(drop))))
                .collect();
            // The fault is undone while the threads read. The bit may not have flipped yet.
            let undone = changing.undo();
            assert!(
                matches!(
                    undone,
                    UndoOutcome::Restored | UndoOutcome::NeverApplied { .. }
                ),
                "{undone}"
            );
            readers
                .into_iter()
                .try_for_each(|reader| reader.join().expect("a reader does not panic"))
        })?;
        assert_eq!(fs::read(&path)?, [7; 64]);
    }
    Ok(())
}

/// An exploration is refused while a system-call fault is in effect.
#[chaos(non_destructive)]
fn cannot_be_explored_as_well(cx: Context) -> Result {
    let _fault = cx.inject(SystemCall::new(cx.dir(), CallKind::Sync))?;
    let explored = cx.crash_everywhere(|dir| Ok(fs::write(dir.join("a"), "")?), |_, _| Ok(()));
    let error = explored.unwrap_err().to_string();
    assert!(
        error.contains("intercept its system calls already"),
        "{error}"
    );
    Ok(())
}

/// Panics while a system-call fault is in effect.
#[chaos(non_destructive)]
fn panics_meanwhile(cx: Context) -> Result {
    let _fault = cx.inject(SystemCall::new(cx.dir(), CallKind::Write))?;
    panic!("as it must");
}
