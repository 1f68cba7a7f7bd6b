//! Measures two ways to verify a version's shards: concurrently, and one after the other.

use crate::loads::Published;
use clarity::{Source, Version};
use clarity_benches::acceptance::{Bound, Line};
use clarity_benches::memory;
use clarity_benches::statistics::Spread;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// The number of files in a version.
const SHARDS: u64 = 8;

/// The lower bound of the speedup: the time on one processor, divided by the time on two.
const FASTER: f64 = 1.7;

/// The minimum size of a version that the store verifies concurrently, in MiB.
const WORTHWHILE: u64 = 4;

/// Publishes a version of `size` bytes, split into equal shards.
pub(crate) fn publish(directory: &Path, size: u64) -> Result<Published, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for shard in 0..SHARDS {
        let name = match shard {
            0 => "model.onnx".to_owned(),
            _ => format!("shard-{shard}"),
        };
        let file = directory.join(&name);
        fs::write(&file, vec![shard as u8; (size / SHARDS) as usize])?;
        files.insert(name.parse()?, Source::File(file));
    }
    Published::new(directory, &files)
}

/// Measures verification in each round, first on one processor and then on two.
///
/// An extra round at the start warms up and does not count. Returns `None` if the process may use
/// only one processor. Also returns `None` if `size`, in MiB, is below [`WORTHWHILE`].
pub(crate) fn measure(
    model: &Published,
    size: u64,
    rounds: u16,
) -> Result<Option<Line>, Box<dyn Error>> {
    let all = sched_getaffinity(None)?;
    let two = first(&all, 2);
    if two.count() < 2 {
        println!("left out: concurrent shards, which need two processors");
        return Ok(None);
    } else if size < WORTHWHILE {
        println!(
            "left out: {SHARDS} shards of {size} MiB, which the store verifies one after the other"
        );
        return Ok(None);
    }
    let (mut alone, mut concurrent) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let times = [
            verify_on(model, size, &first(&all, 1)),
            verify_on(model, size, &two),
        ];
        sched_setaffinity(None, &all)?;
        let [one, both] = times;
        let (one, both) = (one?, both?);
        if round > 0 {
            alone.push(one);
            concurrent.push(both);
        }
    }
    println!("\n{size} MiB in {SHARDS} shards: milliseconds, median (min to max)");
    for (what, times) in [
        ("one after the other", &alone),
        ("two at a time", &concurrent),
    ] {
        if let Some(spread) = Spread::of_seconds(times) {
            println!("  {what:<32} {:.2}", spread.times(1e3));
        }
    }
    Ok(Spread::of_ratios(&alone, &concurrent).map(|found| Line {
        quantity: format!("{size:>4} MiB in {SHARDS} shards: one after the other / two at a time"),
        bound: Bound::AtLeast(FASTER),
        found,
    }))
}

/// Verifies the version on `processors`, and returns the elapsed time. The store starts a thread
/// for each processor.
fn verify_on(
    model: &Published,
    size: u64,
    processors: &CpuSet,
) -> Result<Duration, Box<dyn Error>> {
    sched_setaffinity(None, processors)?;
    memory::warm_up(size << 20);
    let began = Instant::now();
    let version = model.store.open(&model.name, Version::FIRST)?;
    let duration = began.elapsed();
    drop(black_box(version));
    Ok(duration)
}

/// Returns the first `count` processors of a set.
fn first(all: &CpuSet, count: usize) -> CpuSet {
    let mut some = CpuSet::new();
    let numbers = (0..CpuSet::MAX_CPU).filter(|&number| all.is_set(number));
    numbers.take(count).for_each(|number| some.set(number));
    some
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_takes_the_first_processors_of_a_set() {
        let mut all = CpuSet::new();
        [3, 5, 8].into_iter().for_each(|number| all.set(number));
        let two = first(&all, 2);
        assert!(two.is_set(3) && two.is_set(5) && !two.is_set(8));
        assert_eq!(first(&all, 9).count(), 3);
    }
}
