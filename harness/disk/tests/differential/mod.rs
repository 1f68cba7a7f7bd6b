//! Compares the models with a naive reference, for random programs.
//!
//! By default, a run compares a few programs. `PROGRAMS` and `PROGRAMS_SEED` set the number
//! and the seed:
//!
//! ```sh
//! PROGRAMS=10000 cargo test --release -p clarity-chaos-disk differential
//! ```

use crate::programs::{self, Program};
use crate::reference::{self, Model, State};
use clarity_chaos_disk::{Choice, Journal, PowerLoss, States};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

/// Programs with more states than this at one point are drawn again.
const LIMIT: usize = 1 << 14;

const SECTOR: usize = 512;

const MODELS: [(PowerLoss, Model); 3] = [
    (PowerLoss::Posix, Model::Posix),
    (PowerLoss::Journaled, Model::Journaled),
    (PowerLoss::Ext4Ordered, Model::Ext4Ordered),
];

/// A whole number from an environment variable, or `default` if the variable is not set.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// The states of the crate, in the terms of the reference.
fn states(journal: &Journal, calls: usize, model: PowerLoss) -> Option<BTreeSet<State>> {
    journal.with_states(calls, model, SECTOR, |states| {
        let all = states.all(64 * LIMIT)?;
        let all = all.iter().map(|choice| content(states, choice)).collect();
        Some(all).filter(|all: &BTreeSet<State>| all.len() <= LIMIT)
    })
}

/// The content of a choice, in the terms of the reference.
fn content(states: &States<'_>, choice: &Choice) -> State {
    programs::in_terms_of_reference(&states.state(choice).snapshot)
}

/// Formats a value, and counts equal bytes in a row: `48 x 100` instead of `48, 48, 48, …`.
fn show(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let mut shown: Vec<(&str, usize)> = Vec::new();
    for word in text.split(", ") {
        match shown.last_mut() {
            Some((last, count)) if *last == word => *count += 1,
            _ => shown.push((word, 1)),
        }
    }
    let words = shown.into_iter().map(|(word, count)| match count {
        1 => word.to_owned(),
        count => format!("{word} x {count}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Compares all points of a program. Returns the number of states, or `None` if there are too many
/// at one point.
fn compare(program: &Program) -> Option<usize> {
    let journal = program.journal();
    let live = programs::in_terms_of_reference(&journal.live());
    assert_eq!(
        live,
        reference::live(&program.before, &program.calls),
        "live: {program:?}"
    );
    let mut compared = 0;
    for calls in 0..=program.calls.len() {
        let mut weaker: Option<BTreeSet<State>> = None;
        for (model, other) in MODELS {
            let (before, of) = (&program.before, &program.calls);
            let expected = reference::states(before, of, calls, other, SECTOR, LIMIT)?;
            let found = states(&journal, calls, model)?;
            let missing: Vec<&State> = expected.difference(&found).take(2).collect();
            let added: Vec<&State> = found.difference(&expected).take(2).collect();
            assert!(
                missing.is_empty() && added.is_empty(),
                "{model:?} after {calls} calls of {}\nmissing: {}\nadded: {}",
                show(program),
                show(&missing),
                show(&added),
            );
            compared += found.len();
            // Each model allows all states of the next one.
            if let Some(weaker) = weaker {
                let added: Vec<&State> = found.difference(&weaker).take(2).collect();
                assert!(
                    added.is_empty(),
                    "only {model:?} after {calls} calls of {}\nhas: {}",
                    show(program),
                    show(&added),
                );
            }
            weaker = Some(found);
        }
    }
    Some(compared)
}

/// Compares programs as [`compare`] does, on all processors.
fn compare_all(programs: &[Program]) -> Vec<Option<usize>> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let parts = programs.chunks(programs.len().div_ceil(processors));
    thread::scope(|scope| {
        let compare = |part: &[Program]| part.iter().map(compare).collect::<Vec<_>>();
        let threads: Vec<_> = parts
            .map(|part| scope.spawn(move || compare(part)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .flat_map(|counts| counts.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

#[test]
fn models_have_the_same_states_as_the_reference() {
    let (programs, seed) = (number("PROGRAMS", 500), number("PROGRAMS_SEED", 1));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut compared, mut states, mut drawn_again) = (0, 0, 0);
    while compared < programs {
        let draw = |_| Program::draw(programs::ALL, &mut rng);
        let drawn: Vec<Program> = (compared..programs).map(draw).collect();
        for count in compare_all(&drawn) {
            match count {
                Some(count) => (compared, states) = (compared + 1, states + count),
                None => drawn_again += 1,
            }
        }
    }
    println!("{compared} programs of seed {seed}, {states} states; {drawn_again} drawn again");
    assert!(states > 0, "no states were compared");
}

/// The representative states and the drawn ones are among all states.
#[test]
fn representative_and_drawn_states_are_possible() {
    use rand::RngExt as _;
    let mut rng = ChaCha8Rng::seed_from_u64(number("PROGRAMS_SEED", 1));
    let mut checked = 0;
    while checked < 200 {
        let variety = [programs::ALL, programs::UNMAPPED][rng.random_range(0..2)];
        let program = Program::draw(variety, &mut rng);
        let journal = program.journal();
        for (model, _) in MODELS {
            journal.with_states(program.calls.len(), model, SECTOR, |states| {
                let Some(all) = states.all(64 * LIMIT) else {
                    return;
                };
                let all: BTreeSet<State> =
                    all.iter().map(|choice| content(states, choice)).collect();
                let drawn = states.draw(&mut |limit| rng.random_range(0..limit));
                let representatives: Vec<Choice> = states.representatives().iter().collect();
                let whole = states.state(&representatives[0]);
                assert_eq!(whole.missing, [0; 0], "{}", show(&program));
                for choice in representatives.iter().chain([&drawn]) {
                    let state = content(states, choice);
                    assert!(
                        all.contains(&state),
                        "{model:?}: {}: {}",
                        show(&program),
                        show(&state)
                    );
                }
                checked += 1;
            });
        }
    }
}
