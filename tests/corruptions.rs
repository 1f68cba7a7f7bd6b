//! No corruption of a published version leads to a wrong answer or ends the process.
//!
//! By default, a run makes some thousands of corruptions. Environment variables set the number and
//! the seed:
//!
//! ```sh
//! CORRUPTIONS=1000000 CORRUPTIONS_SEED=7 cargo test --release --test corruptions -- --nocapture
//! ```
//!
//! The message of a failure contains the seed.

use clarity_chaos::Result;
use clarity_testbed::MODEL_BYTES;
use clarity_testbed::corruptions::{Corruptions, Specimen, Tally};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const PAT_SMALL: &[u8] = include_bytes!("data/pat_small.onnx");

/// The input of `pat_small`: a week, one number for each minute.
const WEEK: usize = 7 * 24 * 60;

fn specimens() -> Result<Vec<Specimen>> {
    let row = |minutes: usize| {
        (0..minutes)
            .map(|minute| (minute * 7 % 100) as f32)
            .collect()
    };
    Ok(vec![
        Specimen::new("cole_kripke", MODEL_BYTES.to_vec(), row(60))?,
        Specimen::new("pat_small", PAT_SMALL.to_vec(), row(WEEK))?,
    ])
}

/// A whole number from an environment variable, or `default` if the variable is not set.
fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}: expected a whole number, found {text:?}")),
        Err(_) => default,
    }
}

/// A temporary directory, in memory if possible, so overwritten files need not reach a disk.
fn temporary_directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a temporary directory can be made")
}

#[test]
fn corruption_is_refused_or_harmless() {
    let (count, seed) = (number("CORRUPTIONS", 4_000), number("CORRUPTIONS_SEED", 42));
    let done = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let tallies = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let share = count / workers + u64::from(worker < count % workers);
                let done = &done;
                scope.spawn(move || work(seed, worker, share, &|| report(done, count)))
            })
            .collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        let tallies: thread::Result<Vec<Tally>> = joined.collect();
        tallies.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let refused: u64 = tallies.iter().map(|tally| tally.refused).sum();
    let harmless: u64 = tallies.iter().map(|tally| tally.harmless).sum();
    println!("{count} corruptions of seed {seed}: {refused} refused, {harmless} harmless, 0 wrong");
    assert_eq!(refused + harmless, count);
    assert!(
        harmless > 0,
        "no corruption was harmless, not even one of a date"
    );
    assert!(
        refused > 20 * harmless,
        "too few of the corruptions were refused"
    );
}

/// Makes one worker's share of the corruptions, with the worker's own store and generator.
fn work(seed: u64, worker: u64, share: u64, report: &dyn Fn()) -> Tally {
    let directory = temporary_directory();
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(worker << 32));
    let specimens = specimens().expect("the specimens have one row each");
    let corruptions =
        Corruptions::of(&specimens, directory.path()).expect("sound models can be published");
    let mut tally = Tally::default();
    for round in 0..share {
        if let Err(error) = corruptions.try_one(&mut rng, &mut tally) {
            panic!("seed {seed}, worker {worker}, round {round}: {error}");
        }
        report();
    }
    assert!(corruptions.are_intact(), "a version is not repaired");
    tally
}

/// Shows the progress if standard error is a terminal.
fn report(done: &AtomicU64, count: u64) {
    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
    let mut terminal = std::io::stderr();
    if done.is_multiple_of(count.div_ceil(1000)) && terminal.is_terminal() {
        let _ = write!(terminal, "\r{done} of {count}");
    }
}
