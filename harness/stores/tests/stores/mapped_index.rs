//! A log of records whose index is a mapped file.

use crate::verdict::expect_broken;
use clarity_chaos::explore::{Crash, ExploreError, Explored, PowerLoss, acknowledge};
use clarity_chaos::{Context, Result, chaos};
use memmap2::MmapMut;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// The length of the index: a count, and one offset for each record.
const INDEX: usize = 8192;

const RECORDS: [&str; 3] = ["first", "second record", "third"];

/// The order in which an append syncs.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// The record, then its offset, then the count.
    RecordFirst,
    /// The record after the index.
    IndexFirst,
    /// The offset and the count together.
    CountWithOffset,
}

fn map(dir: &Path) -> Result<MmapMut> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(dir.join("index"))?;
    // SAFETY: only this process opens the directory.
    Ok(unsafe { MmapMut::map_mut(&file)? })
}

/// Gives the place of an offset. The offsets lie on the second page of the index.
fn place(number: usize) -> std::ops::Range<usize> {
    let start = INDEX / 2 + 8 * number;
    start..start + 8
}

fn count(index: &[u8]) -> usize {
    usize::from(index[0])
}

fn append(dir: &Path, record: &str, order: Order) -> Result {
    let mut log = File::options().append(true).open(dir.join("log"))?;
    let mut index = map(dir)?;
    let number = count(&index);
    let end = log.metadata()?.len() + record.len() as u64;
    let write = |log: &mut File| {
        log.write_all(record.as_bytes())
            .and_then(|()| log.sync_all())
    };
    if !matches!(order, Order::IndexFirst) {
        write(&mut log)?;
    }
    index[place(number)].copy_from_slice(&end.to_le_bytes());
    if !matches!(order, Order::CountWithOffset) {
        index.flush()?;
    }
    index[0] += 1;
    index.flush()?;
    if matches!(order, Order::IndexFirst) {
        write(&mut log)?;
    }
    Ok(())
}

/// Requires whole records, and the acknowledged ones.
fn is_durable(dir: &Path, crash: Crash) -> Result {
    let (index, log) = (fs::read(dir.join("index"))?, fs::read(dir.join("log"))?);
    let found = count(&index);
    if found < crash.acknowledgements() {
        return Err(format!("found {found} records").into());
    }
    let mut start = 0;
    for (number, record) in RECORDS.iter().enumerate().take(found) {
        let end = u64::from_le_bytes(index[place(number)].try_into()?);
        let end = usize::try_from(end)?;
        match log.get(start..end) {
            Some(bytes) if bytes == record.as_bytes() => start = end,
            other => return Err(format!("record {number} is {other:?}").into()),
        }
    }
    Ok(())
}

fn explore(cx: &Context, order: Order) -> Result<Result<Explored, ExploreError>> {
    fs::write(cx.dir().join("index"), vec![0; INDEX])?;
    fs::write(cx.dir().join("log"), "")?;
    let operation = move |dir: &Path| {
        for record in RECORDS {
            append(dir, record, order)?;
            acknowledge();
        }
        Ok(())
    };
    let exploration = cx.explore().power_loss(PowerLoss::Journaled);
    Ok(exploration.crash_everywhere(operation, is_durable))
}

/// Each step is durable before the next one.
#[chaos(non_destructive)]
fn record_before_offset_before_count_is_durable(cx: Context) -> Result {
    println!("{:?}", explore(&cx, Order::RecordFirst)??);
    Ok(())
}

/// The index can lead to a record that is not there.
#[chaos(non_destructive)]
fn index_before_record_is_not_durable(cx: Context) -> Result {
    expect_broken(explore(&cx, Order::IndexFirst)?)
}

/// The page of the count can reach the disk before the page of the offset.
#[chaos(non_destructive)]
fn count_with_offset_is_not_durable(cx: Context) -> Result {
    expect_broken(explore(&cx, Order::CountWithOffset)?)
}
