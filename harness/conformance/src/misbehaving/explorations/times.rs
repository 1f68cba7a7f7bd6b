//! Files whose times mean something.

use super::durability::{compare, sync};
use clarity_chaos::explore::Crash;
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The time of the source, from which the cached file comes.
const SOURCE: SystemTime = SystemTime::UNIX_EPOCH;

const LATER: Duration = Duration::from_secs(1000);

fn cache(dir: &Path, steps: [fn(&mut File) -> Result; 2]) -> Result {
    let mut file = File::create(dir.join("cached"))?;
    for step in steps {
        step(&mut file)?;
    }
    file.sync_all()?;
    sync(dir)
}

fn write(file: &mut File) -> Result {
    Ok(file.write_all(b"text")?)
}

fn mark(file: &mut File) -> Result {
    file.sync_all()?;
    file.set_modified(SOURCE)?;
    // Allocation without growth can change the time.
    let allocation = rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&*file, allocation, 0, 4096)?;
    Ok(file.set_modified(SOURCE + LATER)?)
}

/// A cached file with the time of its source counts as complete. It must get the time last.
#[chaos(non_destructive)]
fn cache_is_fresh_by_its_time(cx: Context) -> Result {
    compare(
        &cx,
        &["write of 4 bytes at 0 of cached", "fresh, but"],
        |dir| {
            cache(
                dir,
                [mark, |file| {
                    write(file)?;
                    Ok(file.set_modified(SOURCE + LATER)?)
                }],
            )
        },
        |dir| cache(dir, [write, mark]),
        |dir, crash: Crash| {
            let path = dir.join("cached");
            let Ok(found) = fs::metadata(&path) else {
                assert!(!crash.acknowledged(), "no file");
                return Ok(());
            };
            let is_fresh = found.modified()? == SOURCE + LATER;
            if crash.acknowledged() && !is_fresh {
                return Err("not fresh, but acknowledged".into());
            }
            match fs::read(path)? {
                text if is_fresh && text != b"text" => {
                    Err(format!("fresh, but with {} bytes", text.len()).into())
                }
                _ => Ok(()),
            }
        },
    )
}
