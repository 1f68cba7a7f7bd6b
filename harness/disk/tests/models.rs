//! The naive reference and the crate have each state that was measured on a real disk.

mod differential;
mod facts;
mod programs;
mod reference;
mod rules;

use clarity_chaos_disk::{Choice, PowerLoss};
use facts::{Fact, before, facts, programs};
use programs::{Program, in_terms_of_reference};
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
        [71, 20, 71, 71]
    );
}

#[test]
fn ext4_ordered_facts_of_ext4_have_a_state() {
    assert_eq!(count(Model::Ext4Ordered, &["ext4", "ext4n"]), [71, 20]);
}

#[test]
fn posix_facts_of_each_file_system_have_a_state() {
    assert_eq!(
        count(Model::Posix, &["ext4", "ext4n", "xfs", "btrfs"]),
        [71, 20, 71, 71]
    );
}

#[test]
fn models_of_the_crate_have_each_fact() {
    let facts = facts();
    for (name, calls) in programs() {
        let calls: Vec<_> = calls.into_iter().map(Into::into).collect();
        let before = before();
        let journal = Program { before, calls }.journal();
        for model in [
            PowerLoss::Posix,
            PowerLoss::Journaled,
            PowerLoss::Ext4Ordered,
        ] {
            let of_model =
                |fact: &&Fact| model != PowerLoss::Ext4Ordered || fact.system.starts_with("ext4");
            let facts = facts.iter().filter(|fact| fact.program == name);
            let mut missing: Vec<&Fact> = facts.filter(of_model).collect();
            // Larger sectors give fewer states.
            journal.with_states(journal.calls(), model, 4096, |states| {
                let mut remove = |choice: &Choice| {
                    let state = in_terms_of_reference(&states.state(choice).snapshot);
                    missing.retain(|fact| !fact.shown.matches(&state));
                    missing.is_empty()
                };
                // Most facts are representative states, so few programs need all states.
                if !states
                    .representatives()
                    .iter()
                    .any(|choice| remove(&choice))
                {
                    let all = states.all(1 << 16).unwrap_or_default();
                    all.iter().any(remove);
                }
            });
            assert!(missing.is_empty(), "{model} has no state for {missing:#?}");
        }
    }
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
