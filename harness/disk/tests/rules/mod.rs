//! Numbers of states, and single states, that follow from the rules by hand.
//!
//! Each program starts with the directory `d0`, and with 100 bytes in each of `a` and `x`.

use crate::facts::ops::write;
use crate::facts::{before, shown};
use crate::reference::{Model, Op, State, states};
use std::collections::BTreeSet;

mod calls;
mod data;
mod mappings;
mod metadata;
mod unnamed;

const MODELS: [Model; 3] = [Model::Posix, Model::Journaled, Model::Ext4Ordered];

fn enumerate(program: &[Op], model: Model) -> BTreeSet<State> {
    states(&before(), program, program.len(), model, 512, 10_000).expect("there are few states")
}

/// Returns the numbers of states under `Posix`, `Journaled` and `Ext4Ordered`.
fn numbers(program: &[Op]) -> [usize; 3] {
    MODELS.map(|model| enumerate(program, model).len())
}

fn has(program: &[Op], model: Model, state: &str) -> bool {
    let state = shown(state);
    enumerate(program, model)
        .iter()
        .any(|found| state.matches(found))
}

/// Overwrites a byte of a file in place.
fn overwrite(handle: usize) -> Op {
    write(handle, 0, 1, b'N')
}

fn exchange(a: &str, b: &str) -> Op {
    Op::Exchange {
        a: a.into(),
        b: b.into(),
    }
}
