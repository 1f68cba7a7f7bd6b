//! No corruption of a published version gives a wrong answer, or ends the process.
//!
//! Some thousands in every run of the tests; as many as are wanted with
//!
//! ```sh
//! CORRUPTIONS=1000000 cargo test --release --test corruptions -- --nocapture
//! ```
//!
//! and the same again with `CORRUPTIONS_SEED`, which a failure tells.

#[path = "../chaos_tests/support/corruptions/mod.rs"]
mod corruptions;

use clarity_chaos::Result;
use corruptions::{Corruptions, Specimen, Tally};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const COLE_KRIPKE: &[u8] = include_bytes!("../chaos_tests/models/cole_kripke/1/model.onnx");
const PAT_SMALL: &[u8] = include_bytes!("data/pat_small.onnx");

/// Its input in minutes: a week.
const WEEK: usize = 7 * 24 * 60;

fn specimens() -> Result<Vec<Specimen>> {
    let row = |minutes: usize| {
        (0..minutes)
            .map(|minute| (minute * 7 % 100) as f32)
            .collect()
    };
    Ok(vec![
        Specimen::new("cole_kripke", COLE_KRIPKE.to_vec(), row(60))?,
        Specimen::new("pat_small", PAT_SMALL.to_vec(), row(WEEK))?,
    ])
}

/// A number from the environment.
fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}: expected a whole number, found {text:?}")),
        Err(_) => default,
    }
}

/// A folder in memory where there is one: a file that is overwritten goes to the disk at once.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("there is room for a folder")
}

#[test]
fn no_corruption_gives_a_wrong_answer() {
    let (count, seed) = (number("CORRUPTIONS", 4_000), number("CORRUPTIONS_SEED", 42));
    let done = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let tallies = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let share = count / workers + u64::from(worker < count % workers);
                let done = &done;
                scope.spawn(move || work(seed, worker, share, &|| tell(done, count)))
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
    assert!(harmless > 0, "not even the date of a manifest was changed");
    assert!(refused > 20 * harmless, "most corruptions do harm");
}

/// One worker's share, with a store and a generator of its own.
fn work(seed: u64, worker: u64, share: u64, tell: &dyn Fn()) -> Tally {
    let folder = folder();
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(worker << 32));
    let specimens = specimens().expect("the specimens are models of this project");
    let corruptions = Corruptions::of(&specimens, folder.path()).expect("sound models are taken");
    let mut tally = Tally::default();
    for round in 0..share {
        if let Err(error) = corruptions.try_one(&mut rng, &mut tally) {
            panic!("seed {seed}, worker {worker}, round {round}: {error}");
        }
        tell();
    }
    assert!(corruptions.are_intact(), "the last repair was none");
    tally
}

/// Shows on a terminal how far all of them are.
fn tell(done: &AtomicU64, count: u64) {
    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
    let mut terminal = std::io::stderr();
    if done.is_multiple_of(count.div_ceil(1000)) && terminal.is_terminal() {
        let _ = write!(terminal, "\r{done} of {count}");
    }
}
