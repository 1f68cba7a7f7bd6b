//! Operations with many changes or a large file. They must not need much memory.

use clarity_chaos::explore::PowerLoss;
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// The maximum growth of the test's peak memory, in KiB.
const MAX_GROWTH: usize = 64 << 10;

const JOURNAL: u64 = 64 << 20;

/// Returns the peak of this process's memory, in KiB.
fn peak() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let size = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(size.ok_or("no peak of memory")?.parse()?)
}

/// The bytes of a sparse file are neither in memory nor on the disk.
#[chaos(non_destructive)]
fn sparse_journal(cx: Context) -> Result {
    let earlier = peak()?;
    File::create(cx.dir().join("journal"))?.set_len(JOURNAL)?;
    let explored = cx
        .explore()
        .power_loss(PowerLoss::Journaled)
        .states(100)
        .crash_everywhere(
            |dir| {
                let journal = OpenOptions::new().write(true).open(dir.join("journal"))?;
                for number in 0..10 {
                    journal.write_all_at(&[7; 100], number * (JOURNAL / 10))?;
                }
                Ok(())
            },
            |dir, _| {
                let found = fs::metadata(dir.join("journal"))?;
                assert_eq!(found.len(), JOURNAL);
                assert!(found.blocks() < 10_000, "{} blocks", found.blocks());
                Ok(())
            },
        )?;
    assert!(explored.states > 20, "{explored:?}");
    let growth = peak()? - earlier;
    assert!(growth < MAX_GROWTH, "{growth} KiB");
    Ok(())
}

/// The number of states stays near the maximum.
#[chaos(non_destructive)]
fn unsynced_appends(cx: Context) -> Result {
    let explored = cx
        .explore()
        .power_loss(PowerLoss::Posix)
        .states(300)
        .crash_everywhere(
            |dir| {
                let mut log = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(dir.join("log"))?;
                for number in 0..60 {
                    log.write_all(&[number; 100])?;
                }
                Ok(())
            },
            |_, _| Ok(()),
        )?;
    assert!((200..600).contains(&explored.states), "{explored:?}");
    assert!(!explored.all_states);
    Ok(())
}
