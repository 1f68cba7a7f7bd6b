//! The naive reference has each state that was measured on a real disk.

mod differential;
mod facts;
mod programs;
mod reference;
mod rules;

use facts::{Fact, before, facts, programs};
use reference::{Model, Op, State, states};
use std::collections::BTreeSet;

/// The sector sizes that are tried in turn: larger sectors give fewer states.
const SECTORS: [usize; 3] = [512, 4096, 65_536];

const LIMIT: usize = 3_000;

#[test]
fn facts_have_one_program_for_each_description() {
    let facts = facts();
    let lines: BTreeSet<&str> = facts.iter().map(|fact| fact.program.as_str()).collect();
    assert_eq!(lines, programs().into_keys().collect());
}

#[test]
fn journaled_facts_of_each_file_system_have_a_state() {
    assert_eq!(
        count(Model::Journaled, &["ext4", "ext4n", "xfs", "btrfs"]),
        [59, 20, 59, 59]
    );
}

#[test]
fn ext4_ordered_facts_of_ext4_have_a_state() {
    assert_eq!(count(Model::Ext4Ordered, &["ext4", "ext4n"]), [59, 20]);
}

#[test]
fn posix_facts_of_each_file_system_have_a_state() {
    assert_eq!(
        count(Model::Posix, &["ext4", "ext4n", "xfs", "btrfs"]),
        [59, 20, 59, 59]
    );
}

/// Returns the number of facts of each file system; each must have a state.
fn count(model: Model, systems: &[&str]) -> Vec<usize> {
    let facts = facts();
    for (program, calls) in programs() {
        let states = final_states(&calls, model);
        let missing = facts
            .iter()
            .filter(|fact| fact.program == program && systems.contains(&fact.system.as_str()))
            .filter(|fact| !states.iter().any(|state| fact.shown.matches(state)))
            .collect::<Vec<&Fact>>();
        assert!(
            missing.is_empty(),
            "{model:?} has no state for {missing:#?}"
        );
    }
    let of = |system: &&str| facts.iter().filter(|fact| fact.system == *system).count();
    systems.iter().map(of).collect()
}

/// Returns the states after the program, with the smallest sector that keeps within the limit.
fn final_states(calls: &[Op], model: Model) -> BTreeSet<State> {
    let of = |sector: &usize| states(&before(), calls, calls.len(), model, *sector, LIMIT);
    SECTORS
        .iter()
        .find_map(of)
        .expect("the largest sector has few states")
}
